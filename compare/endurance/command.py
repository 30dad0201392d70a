"""The command `compare/soak`: lb under a steady load with all sorts of trouble, samples all the while, and 1 where
something grew or was lost."""

import argparse
import collections
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from twin.proxy import Failed

from .judge import SHORTEST_SECONDS, at_rest, by_minute, judge_growth, judge_latency, settled, without_cause
from .load import NOT_SENT
from .samples import Probe, sample
from .trouble import Trouble
from .world import World

SAMPLE_SECONDS = 5
# After the load: what waits for a timeout gives up, idle connections to servers are closed, old configurations go.
REST_SECONDS = 45
# Of what lb has said on its standard error, lines that are shown where something is wrong.
LAST_WORDS = 40
SHOWN = ("anonymous", "rss", "descriptors", "threads", "mappings", "process_current_connections", "config_generations")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=65, help="how long the load lasts (65)")
    parser.add_argument("--lb", default="target/release/lb", help="the binary")
    parser.add_argument("--seed", type=int, default=1, help="which trouble comes when")
    parser.add_argument("--keep", type=Path, help="a file for the samples, a JSON object a line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lb-soak-") as directory:
        try:
            world = World(Path(options.lb).resolve(), directory)
        except Failed as error:
            print(f"compare/soak: {error}")
            return 2
        try:
            return Soak(world, options).run()
        finally:
            world.close()


class Load:
    """The process of the clients, and what it says of them."""

    def __init__(self, world):
        script = Path(__file__).with_name("load.py")
        self.process = subprocess.Popen(
            [sys.executable, script, str(world.plain), str(world.secure)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.counts = collections.defaultdict(collections.Counter)
        self.failures = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            said = json.loads(line)
            for lane, ends in said["counts"].items():
                self.counts[lane].update(ends)
            self.failures += said["failures"]

    def total(self):
        """Those that were sent."""
        return sum(ends.total() - ends[NOT_SENT] for ends in list(self.counts.values()))

    def not_sent(self):
        return sum(ends[NOT_SENT] for ends in self.counts.values())

    def stop(self):
        self.process.stdin.close()
        self.thread.join(120)
        self.process.wait(10)


class Soak:
    def __init__(self, world, options):
        self.world, self.options = world, options
        self.trouble = Trouble(world, options.seed)
        self.samples = []
        self.kept = options.keep.open("w") if options.keep else contextlib.nullcontext()

    def run(self):
        with self.kept as kept:
            # Health checks have begun, and nobody asks for anything else.
            time.sleep(3)
            before = self._sample(kept)
            after = self._under_load(kept)
            self._record(kept, {"rest": after, "by minute": by_minute(self.probe.times), "failures": self._failures()})
        return self._report(before, after)

    def _under_load(self, kept):
        world = self.world
        self.load, self.probe = Load(world), Probe(world)
        ended, quiet = threading.Event(), threading.Event()
        happening = threading.Thread(target=self.trouble.play, args=(ended, quiet))
        happening.start()
        end = time.monotonic() + self.options.minutes * 60
        told = 0
        while time.monotonic() < end and world.process.poll() is None:
            time.sleep(SAMPLE_SECONDS)
            if world.process.poll() is None:
                self.samples.append(self._sample(kept))
            if len(self.samples) // 12 > told:
                told = len(self.samples) // 12
                self._tell()
        ended.set()
        self.load.stop()
        self.probe.stop()
        quiet.set()
        happening.join()
        if world.process.poll() is not None:
            return None
        return self._wait_for_rest(kept)

    def _wait_for_rest(self, kept):
        deadline = time.monotonic() + REST_SECONDS
        while True:
            time.sleep(2)
            after = self._sample(kept)
            if not at_rest(self.first, after) or time.monotonic() > deadline:
                return after

    def _sample(self, kept):
        taken = sample(self.world)
        self.first = getattr(self, "first", taken)
        self._record(kept, taken)
        return taken

    @staticmethod
    def _record(kept, what):
        if kept:
            print(json.dumps(what), file=kept, flush=True)

    def _tell(self):
        last = self.samples[-1]
        figures = ", ".join(f"{name} {last[name]:g}" for name in SHOWN)
        print(
            f"{time.strftime('%H:%M:%S')} {self.load.total()} requests, {len(self._failures())} unwanted ends; {figures}",
            flush=True,
        )

    def _failures(self):
        # The probe says nothing of lb where it asks the server itself.
        return self.load.failures + [failure for failure in self.probe.failures if failure[1] == "probe lb"]

    def _report(self, before, after):
        wrong = []
        print("\nlane: how its requests ended")
        for lane, ends in sorted(self.load.counts.items()):
            print(f"  {lane:22} {', '.join(f'{count} {end}' for end, count in ends.most_common())}")
        print("in the log, by status and termination state")
        for (backend, status, state), count in sorted(self.world.log.counts.items()):
            print(f"  {backend.decode():22} {status.decode():4} {state.decode()} {count}")
        print("what happened: " + ", ".join(f"{count} times {what}" for what, count in sorted(self.trouble.counts.items())))
        lost, explained = without_cause(self._failures(), self.trouble, self.probe.times)
        print(f"{self.load.total()} requests, {len(explained)} of them failed by what servers suffered or a busy machine")
        if late := self.load.not_sent():
            print(f"{late} were not sent: the machine was too busy")
        for at, lane, end in lost[:40]:
            print(f"  {time.strftime('%H:%M:%S', time.localtime(at))} {lane}: {end}")
        if lost:
            wrong.append(f"{len(lost)} requests failed without a cause")
        if after is None:
            wrong.append(f"lb ended by itself, with {self.world.process.poll()}")
            return self._end(wrong)
        counted = {name: after[name] for name in after if name.endswith("_total")}
        print("lb's own count: " + ", ".join(f"{name} {value:g}" for name, value in counted.items()))
        for name in ("frontend_internal_errors_total", "policy_faults_total"):
            most = max(each[name] for each in [*self.samples, after])
            wrong += [f"{most:g} of {name}"] if most else []
        panics = self.world.said().count(b"panicked")
        wrong += [f"{panics} panics"] if panics else []
        wrong += [f"at rest {what}" for what in at_rest(before, after)]
        wrong += self._growth()
        return self._end(wrong)

    def _growth(self):
        rows = by_minute(self.probe.times)
        verdicts = judge_growth(self.samples)
        if len(settled([(row["at"], row) for row in rows] or [(0, 0)])) > 2:
            verdicts.append(judge_latency(rows))
        print(f"{'':28} {'first tenth':>12} {'last tenth':>12} {'an hour':>10}   may rise by")
        for each in verdicts:
            print(
                f"{each.name:28} {each.first:12.0f} {each.last:12.0f} {each.slope * 3600:+10.1f}   {each.allowed:.0f} {each.bound.unit}"
            )
        for which in ("lb p50", "lb p99", "direct p50", "direct p99"):
            values = [row[which] for row in rows]
            if values:
                tenth = max(1, len(values) // 10)
                print(
                    f"{which + ', µs, by minute':28} {sum(values[:tenth]) / tenth:12.0f} {sum(values[-tenth:]) / tenth:12.0f}"
                )
        if self.samples[-1]["at"] - self.samples[0]["at"] < SHORTEST_SECONDS:
            print(f"Too short to judge growth: that takes {SHORTEST_SECONDS // 60} minutes.")
            return []
        return [f"{each.name} grows: {each.bound.why}" for each in verdicts if each.wrong]

    def _end(self, wrong):
        if wrong:
            for said in self.world.said().decode(errors="replace").splitlines()[-LAST_WORDS:]:
                print(f"lb said: {said}")
        for what in wrong:
            print(f"compare/soak: {what}")
        if not wrong:
            print("nothing grew, and nothing was lost without a cause")
        return 1 if wrong else 0
