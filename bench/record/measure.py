"""Measurement: every peer of a case at work at once, one under load at a time, in turns, the order moving on by one
each round, so that what the machine does meanwhile happens to all of them alike."""

import os
import subprocess
import time
from contextlib import ExitStack
from statistics import median

from . import load, machine
from .cases import DEFAULT
from .load import Held, Load
from .machine import LOAD_CORE, Unavailable, pinned, say
from .peers import LB, Running, Setup

MAX_SERVERS, MAX_FRONTENDS = 1000, 100
IDLE, ACTIVE = 5000, 1000
# After so many requests, memory is looked at.
FEW, MANY = 1_000_000, 10_000_000
# Times scatter most, so they are taken in more rounds.
TIMES_MORE = 2
# Seconds before each sample of times. A hypervisor that took of the cores under full load leaves them be after a rest.
REST = 2


class Bench:
    """An origin, and whatever is measured in front of it."""

    def __init__(self, peers, options, directory):
        self.peers, self.options, self.directory = peers, options, directory
        self.wrk = machine.package("wrk", "wrk")
        self.loader = str(machine.TARGET / "release/lb-bench-load")

    def __enter__(self):
        self.origin_port = machine.free_ports(MAX_SERVERS + len(self.peers) * MAX_FRONTENDS)
        self.origin = subprocess.Popen(
            [machine.TARGET / "release/lb-bench-origin", str(self.origin_port), str(MAX_SERVERS)],
            stdout=subprocess.PIPE, preexec_fn=pinned(LOAD_CORE),
        )
        if self.origin.stdout.readline() != b"ready\n":
            raise Unavailable("the origin does not listen")
        return self

    def __exit__(self, *_):
        self.origin.kill()
        self.origin.wait()
        self.origin.stdout.close()

    def start(self, peer, setup, name):
        port = self.origin_port + MAX_SERVERS + self.peers.index(peer) * MAX_FRONTENDS
        return Running(peer, setup, port, self.origin_port, self.directory / name / peer.name)

    def cases(self, cases):
        samples = []
        for number, case in enumerate(cases, 1):
            say(f"bench: {number} of {len(cases)}: {case.title}")
            with ExitStack() as stack:
                running = []
                for peer in self.peers:
                    if (peer.name in LB or peer.name in case.peers) and not peer.cannot(case.setup):
                        one = self.start(peer, case.setup, case.name)
                        stack.callback(one.stop)
                        if case.idle:
                            stack.enter_context(Held(self.loader, "idle", one.port, case.idle))
                        running.append(one)
                list(self.sample(case, running, 1))
                for turn in range(self.options.rounds):
                    order = running[turn % len(running):] + running[:turn % len(running)]
                    samples += [{**sample, "round": turn} for sample in self.sample(case, order, self.options.seconds)]
        return samples

    def sample(self, case, order, seconds):
        for one in order:
            cpu, origin, stolen = one.cpu_us(), machine.cpu_us(self.origin.pid), machine.stolen_us()
            found = case.load.run(self.wrk, one, seconds, self.directory)
            requests = max(found["requests"], 1)
            cpu, origin = one.cpu_us() - cpu, machine.cpu_us(self.origin.pid) - origin
            stolen = machine.stolen_us() - stolen
            one.forget_log()
            yield {
                "case": case.name,
                "peer": one.peer.name,
                "requests": found["requests"],
                "errors": found["errors"],
                "per_second": round(requests / found["us"] * 1e6, 1),
                "cpu_us": round(cpu / requests, 3),
                "origin_cpu_us": round(origin / requests, 3),
                "stolen_percent": round(100 * stolen / found["us"] / os.cpu_count(), 1),
                "most_memory_kb": one.memory_kb("VmHWM"),
            }

    def latency(self, samples):
        """Times at half of what HAProxy can do, in the default configuration."""
        rates = [s["per_second"] for s in samples if s["case"] == "small-default-64" and s["peer"] == "haproxy"]
        if not rates:
            say("bench: no times: their rate is half of HAProxy's in small-default-64, which was not measured")
            return []
        rate = round(median(rates) / 2)
        say(f"bench: times at {rate} requests a second")
        found = []
        with ExitStack() as stack:
            running = [self.start(peer, self.nearest(peer), "latency") for peer in self.peers]
            for one in running:
                stack.callback(one.stop)
            for turn in range(self.options.rounds * (1 if self.options.short else TIMES_MORE)):
                order = running[turn % len(running):] + running[:turn % len(running)]
                for one in order:
                    time.sleep(0 if self.options.short else REST)
                    times = load.at_rate(self.loader, one.port, rate, max(self.options.seconds * 2, 2))
                    one.forget_log()
                    found.append({"peer": one.peer.name, "round": turn, "rate": rate, **times})
        return found

    def nearest(self, peer):
        """The default configuration, as far as the peer has it."""
        return Setup(log=True) if peer.cannot(DEFAULT) else DEFAULT

    def memory(self):
        """What each peer holds: at the start, for a connection that idles and one with a request under way."""
        found = []
        for peer in self.peers:
            say(f"bench: memory of {peer.name}")
            one = self.start(peer, self.nearest(peer), "memory")
            try:
                start = one.memory_kb()
                Load().run(self.wrk, one, 1, self.directory)
                warm = one.memory_kb()
                with Held(self.loader, "idle", one.port, IDLE):
                    idle = one.memory_kb()
                before = one.memory_kb()
                with Held(self.loader, "hold", one.port, ACTIVE):
                    Load(1).run(self.wrk, one, 1, self.directory)
                    active = one.memory_kb()
                row = {
                    "peer": peer.name,
                    "start_kb": start,
                    "warm_kb": warm,
                    "idle_connection_kb": round((idle - warm) / IDLE, 2),
                    "active_connection_kb": round((active - before) / ACTIVE, 2),
                }
                if peer.name == "lb" and not self.options.short:
                    row |= self.after_many(one)
                found.append(row)
            finally:
                one.stop()
        return found

    def after_many(self, one):
        say(f"bench: memory of {one.peer.name} after {MANY:,} requests")
        done, row = 0, {}
        while done < MANY:
            done += Load().run(self.wrk, one, 10, self.directory)["requests"]
            one.forget_log()
            if done >= FEW:
                row.setdefault("after_1m_kb", one.memory_kb())
        return {**row, "after_10m_kb": one.memory_kb()}
