"""Load: wrk (h2load for HTTP/2) for as much as goes, our own generator for a given rate and for connections that are held."""

import json
import re
import subprocess
from dataclasses import dataclass

from .machine import LOAD_CORE, Unavailable, package, pinned

# Prints what wrk found as one line of JSON, whatever its version prints for people.
DONE = """
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('{"requests": %d, "us": %d, "bytes": %d, "errors": %d}\\n', summary.requests, summary.duration,
    summary.bytes, e.connect + e.read + e.write + e.status + e.timeout))
end
"""

PIPELINE = """
init = function(args)
  local one = wrk.format("GET", "/")
  requests = string.rep(one, 16)
end
request = function() return requests end
"""


@dataclass(frozen=True)
class Load:
    """What clients do: as many requests as they can, each connection one at a time."""

    connections: int = 64
    path: str = "/"
    close: bool = False
    upload: int = 0
    pipeline: bool = False
    # Requests at once on each connection, by HTTP/2; 0: HTTP/1.1.
    streams: int = 0

    def script(self):
        lines = []
        if self.close:
            lines.append('wrk.headers["Connection"] = "close"')
        if self.upload:
            lines.append(f'wrk.method = "POST"\nwrk.body = string.rep("x", {self.upload})')
        return "\n".join(lines) + (PIPELINE if self.pipeline else "") + DONE

    def run(self, wrk, one, seconds, directory):
        """Returns requests, microseconds, bytes and errors."""
        url = f"{'https' if one.tls else 'http'}://127.0.0.1:{one.port}{self.path}"
        if self.streams:
            return self.multiplexed(url, seconds)
        script = directory / "load.lua"
        script.write_text(self.script())
        command = [wrk, "-t1", f"-c{self.connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script)]
        done = subprocess.run(
            command + [url], capture_output=True, text=True, preexec_fn=pinned(LOAD_CORE)
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode or not lines:
            raise Unavailable(f"wrk: {done.stdout}{done.stderr}")
        return json.loads(lines[-1])


    def multiplexed(self, url, seconds):
        command = [package("h2load", "nghttp2-client"), "-t1", f"-c{self.connections}", f"-m{self.streams}", f"-D{seconds}", url]
        done = subprocess.run(command, capture_output=True, text=True, preexec_fn=pinned(LOAD_CORE))
        numbers = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", done.stdout)
        total = re.search(r"traffic: .*?\((\d+)\) total", done.stdout)
        if done.returncode or not numbers or not total or "h2" not in done.stdout:
            raise Unavailable(f"h2load: {done.stdout}{done.stderr}")
        _, succeeded, failed, errored = map(int, numbers.groups())
        return {"requests": succeeded, "us": seconds * 1e6, "bytes": int(total[1]), "errors": failed + errored}


class Held:
    """Connections that are held open for as long as this lasts."""

    def __init__(self, program, kind, port, count):
        self.process = subprocess.Popen(
            [program, kind, f"127.0.0.1:{port}", str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=pinned(LOAD_CORE),
        )
        if self.process.stdout.readline() != b"ready\n":
            raise Unavailable(f"{count} connections could not be held")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def at_rate(program, port, rate, seconds, connections=64):
    """Sends at a rate; returns times in microseconds."""
    done = subprocess.run(
        [program, "rate", f"127.0.0.1:{port}", str(rate), str(seconds), str(connections)],
        capture_output=True, text=True, preexec_fn=pinned(LOAD_CORE),
    )
    if done.returncode:
        raise Unavailable(f"lb-bench-load: {done.stderr.strip()}")
    return json.loads(done.stdout)
