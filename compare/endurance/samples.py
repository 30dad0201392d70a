"""What is looked at every few seconds, and a probe of how long a small request takes, through lb and without it."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

PROBE_PAUSE_SECONDS = 0.05
REQUEST = b"GET / HTTP/1.1\r\nHost: probe.test\r\n\r\n"
GAUGES = (
    "lb_process_current_connections", "lb_config_generations", "lb_backend_current_requests", "lb_backend_current_queue",
    "lb_server_current_requests", "lb_limit_keys", "lb_discovery_filled_slots",
)  # fmt: skip
COUNTERS = (
    "lb_config_reloads_total", "lb_config_reload_failures_total", "lb_frontend_http_requests_total", "lb_process_cpu_seconds_total",
    "lb_log_lines_written_total", "lb_log_lines_dropped_total", "lb_frontend_internal_errors_total",
    "lb_policy_faults_total",
)  # fmt: skip


def sample(world):
    """The process as the kernel sees it, and as it sees itself. Sizes in KiB."""
    process = Path(f"/proc/{world.process.pid}")
    rollup = fields(process / "smaps_rollup")
    status = fields(process / "status")
    opened = list(targets(process / "fd"))
    figures = world.metrics()
    return {
        "at": round(time.time(), 1),
        "rss": rollup["Rss"],
        "pss": rollup["Pss"],
        "anonymous": rollup["Anonymous"],
        "virtual": status["VmSize"],
        "threads": status["Threads"],
        "mappings": (process / "maps").read_bytes().count(b"\n"),
        "descriptors": len(opened),
        # Each worker keeps up to sixteen for bodies that it splices.
        "pipes": sum(target.startswith("pipe:") for target in opened),
        "cache": sum(file.stat().st_size for file in world.cache.rglob("*") if file.is_file()) // 1024,
        **{name.removeprefix("lb_"): figures[name] for name in GAUGES + COUNTERS},
    }


def targets(directory):
    """Where the links of a directory lead."""
    for link in directory.iterdir():
        # One may be closed meanwhile.
        with contextlib.suppress(OSError):
            yield os.readlink(link)


def fields(path):
    """The numbers of a file of `Name: number unit` lines."""
    found = {}
    for line in path.read_text().splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdecimal():
            found[name] = int(words[0])
    return found


class Probe:
    """A process of its own that asks for something small twenty times a second, by turns through lb and directly."""

    def __init__(self, world):
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(world.plain), str(world.good[0].port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.times = []
        self.failures = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            at, which, micros = line.split()
            if micros == "failed":
                self.failures.append((float(at), f"probe {which}", "failed"))
            else:
                self.times.append((float(at), which, int(micros)))

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def probe(ports):
    streams = dict.fromkeys(ports)
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    while not ended.is_set():
        for which, port in ports.items():
            due = time.monotonic()
            try:
                if streams[which] is None:
                    streams[which] = socket.create_connection(("127.0.0.1", port), 10)
                streams[which].sendall(REQUEST)
                answer = b""
                while not answer.endswith(b"end"):
                    piece = streams[which].recv(65536)
                    if not piece:
                        raise ConnectionError
                    answer += piece
                took = int((time.monotonic() - due) * 1e6) if answer.startswith(b"HTTP/1.1 200") else "failed"
            except OSError:
                streams[which], took = None, "failed"
            print(round(time.time(), 2), which, took, flush=True)
            time.sleep(max(0, due + PROBE_PAUSE_SECONDS - time.monotonic()))


if __name__ == "__main__":
    probe({"lb": int(sys.argv[1]), "direct": int(sys.argv[2])})
