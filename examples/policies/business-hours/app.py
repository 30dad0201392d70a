"""business-hours: other weights by day than by night.

A server's labels `day_weight` and `night_weight` take the place of its weight in those hours: batch machines help out
at night, expensive ones rest. Turns follow from their number alone, so that the order is the same on every worker and
every balancer. Nothing at all with a weight at this hour: the policy passes.
"""

from bisect import bisect_right
from itertools import accumulate
from math import gcd
from typing import List, Optional, Tuple

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.balancer import Arrival, Candidate
from wit_world.exports.setup import Description, Kind, Refusal, Setting, Value, Value_Integer
from wit_world.imports.types import Server

HOUR_MS = 3_600_000


class Turns:
    """Whose turn it is: of as many in a row as the weights sum up to, each server gets as many as its weight."""

    def __init__(self, weights: List[int]) -> None:
        self.ends = list(accumulate(weights))
        self.total = self.ends[-1] if self.ends else 0
        # Steps of about 0.618 of the whole, the golden ratio, spread a server's turns out; without a common divisor they
        # come by every place before they come by one again.
        self.step = next(step for step in range(int(0.618 * self.total) + 1, self.total + 2) if gcd(step, self.total) == 1)

    def whose(self, number: int) -> Optional[int]:
        return bisect_right(self.ends, number * self.step % self.total) if self.total else None


hours = {"begin": 8, "end": 20, "offset": 0}
labels: List[dict] = []
turns = {"day_weight": Turns([]), "night_weight": Turns([])}


def integer(name: str, default: int, doc: str) -> Setting:
    return Setting(name, Kind.INTEGER, Value_Integer(default), False, [], doc)


class Setup(exports.Setup):
    def describe(self) -> Description:
        return Description("business-hours", "1.0.0", "servers by the weights of the day or of the night", [
            integer("begin", 8, "The hour at which the day begins, 0 to 23."),
            integer("end", 20, "The hour at which it ends, 1 to 24."),
            integer("offset", 0, "Hours to add to UTC, -12 to 14."),
        ])

    def configure(self, settings: List[Tuple[str, Value]], servers: List[Server]) -> None:
        given = {name: value.value for name, value in settings}
        if not -12 <= given["offset"] <= 14:
            raise Err(Refusal("offset", "must be from -12 to 14"))
        if not 0 <= given["begin"] < given["end"] <= 24:
            raise Err(Refusal("begin", "must be from 0 to 23, and before `end`, at most 24"))
        for server in servers:
            for name, text in server.labels:
                if name in ("day_weight", "night_weight") and not (text.isdecimal() and int(text) <= 256):
                    raise Err(Refusal(None, f"the {name} of server {server.name} must be from 0 to 256"))
        hours.update(given)
        labels[:] = [dict(server.labels) for server in servers]


class Balancer(exports.Balancer):
    def update(self, candidates: List[Candidate]) -> None:
        for name in turns:
            turns[name] = Turns([int(labels[c.server].get(name, c.weight)) for c in candidates])

    def pick(self, arrival: Arrival) -> Optional[int]:
        hour = (arrival.time_ms // HOUR_MS + hours["offset"]) % 24
        now = "day_weight" if hours["begin"] <= hour < hours["end"] else "night_weight"
        return turns[now].whose(arrival.sequence)
