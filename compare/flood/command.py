"""The command `compare/floods`: what a hostile byte costs lb and HAProxy, part by part."""

import argparse
import re
import statistics
from pathlib import Path

from twin.proxy import Failed

from . import handshakes
from .measure import Answer, ServersFlood, flood, hold
from .origin import ANSWERS_OF_SERVERS, FLOODS
from .parts import GUESTS, HELD, HTTP_1, HTTP_2
from .world import World

PEERS = ("lb", "haproxy")
# What is looked into: more than this for a byte, and more than so many times what HAProxy takes.
DEAR_NS, DEAR_RATIO = 20, 2.0
LEAST_BYTES = 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lb", default="target/release/lb", help="the binary")
    parser.add_argument("--part", default="", help="a pattern: these alone")
    parser.add_argument("--seconds", type=float, default=0.7, help="of each sample")
    parser.add_argument("--rounds", type=int, default=3, help="samples of each part and proxy; their median counts")
    options = parser.parse_args()
    try:
        return Floods(options).run()
    except Failed as error:
        print(f"compare/floods: {error}")
        return 2


class Floods:
    def __init__(self, options):
        self.options = options
        self.lb = Path(options.lb).resolve()
        self.dead = []

    def run(self):
        seconds = self.options.seconds
        print(f"{'hostile bytes':58} {'lb ns/B':>8} {'HAProxy':>8} {'ratio':>6}   {'peak KB':>8} {'HAProxy':>8}   sent to lb")
        for part in self.wanted([*HTTP_1, *HTTP_2]):
            self.bytes_row(part, lambda world, part=part: flood(world, part, seconds))
        for part in self.wanted([*map(Answer, ANSWERS_OF_SERVERS), *map(ServersFlood, FLOODS), *handshakes.PARTS]):
            self.bytes_row(part, lambda world, part=part: part.play(world, seconds))
        print(f"\n{'a request':58} {'lb µs':>8} {'HAProxy':>8} {'ratio':>6}")
        for part in self.wanted(GUESTS):
            self.request_row(part)
        print(f"\n{'held by a client':58} {'lb KB':>8} {'HAProxy':>8} {'ratio':>6}")
        for held in self.wanted(HELD):
            self.held_row(held)
        for what in self.dead:
            print(f"compare/floods: lb died of {what}")
        return 1 if self.dead else 0

    def wanted(self, parts):
        return [part for part in parts if re.search(self.options.part, part.name)]

    def measure(self, part, play):
        """The samples of each peer that takes part."""
        samples = {name: [] for name in PEERS if name == "lb" or not part.alone}
        for _ in range(self.options.rounds):
            for name, kept in samples.items():
                world = World(name, self.lb)
                try:
                    kept.append(play(world))
                    if name == "lb" and not world.is_alive():
                        self.dead.append(part.name)
                finally:
                    world.close()
        return samples

    def bytes_row(self, part, play):
        samples = self.measure(part, play)
        middle = {name: sorted(kept, key=lambda cost: cost.per_byte)[len(kept) // 2] for name, kept in samples.items()}
        # Who closes at the first bytes has no cost of a byte.
        cost = {name: each.per_byte for name, each in middle.items() if each.sent > LEAST_BYTES}
        memory = {name: each.memory / part.connections / 1000 for name, each in middle.items()}
        dear = len(cost) == 2 and cost["lb"] > max(DEAR_NS, DEAR_RATIO * cost["haproxy"])
        sent = f"{middle['lb'].sent / 1e6:.2f} MB by {middle['lb'].connections}"
        print(line(part, cost), f" {columns(memory)}   {sent}{'  <--' if dear else ''}", flush=True)

    def request_row(self, part):
        samples = self.measure(part, lambda world: flood(world, part, self.options.seconds))
        each = {name: [cost.cpu_ns / max(cost.answers, 1) / 1000 for cost in kept] for name, kept in samples.items()}
        print(line(part, {name: statistics.median(values) for name, values in each.items()}), flush=True)

    def held_row(self, held):
        samples = self.measure(held, lambda world: hold(world, held))
        cost = {name: statistics.median(memory for memory, _ in kept) / 1000 for name, kept in samples.items()}
        opened = samples["lb"][0][1]
        print(line(held, cost), f"  {opened} files of lb for {held.connections} clients", flush=True)


def line(part, cost):
    ours, theirs = cost.get("lb"), cost.get("haproxy")
    ratio = f"{ours / theirs:6.2f}" if ours and theirs and theirs > 0 else f"{'-':>6}"
    return f"{part.name:58} {columns(cost)} {ratio}"


def columns(values):
    return " ".join(f"{values[name]:8.1f}" if name in values else f"{'-':>8}" for name in PEERS)
