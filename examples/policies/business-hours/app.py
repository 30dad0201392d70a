"""business-hours: other weights by day than by night.

A server's labels `day_weight` and `night_weight` take the place of its weight in those hours: batch machines help out
at night, expensive ones rest. Each is a schedule of turns, spread out evenly, so that the order is the same on every
worker and every balancer. Nothing at all with a weight at this hour: the policy passes.
"""

from typing import List, Optional, Tuple

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.balancer import Arrival, Candidate
from wit_world.exports.setup import Description, Kind, Refusal, Setting, Value, Value_Integer
from wit_world.imports.types import Server

HOUR_MS = 3_600_000

hours = {"begin": 8, "end": 20, "offset": 0}
labels: List[dict] = []
day: List[int] = []
night: List[int] = []


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
        for name, schedule in ("day_weight", day), ("night_weight", night):
            schedule[:] = turns([int(labels[c.server].get(name, c.weight)) for c in candidates])

    def pick(self, arrival: Arrival) -> Optional[int]:
        hour = (arrival.time_ms // HOUR_MS + hours["offset"]) % 24
        schedule = day if hours["begin"] <= hour < hours["end"] else night
        return schedule[arrival.sequence % len(schedule)] if schedule else None


def turns(weights: List[int]) -> List[int]:
    """Each index as often as its weight, evenly spread: at (i + 1/2) / weight of the way for its i-th turn."""
    due = [((2 * i + 1) / (2 * weight), index) for index, weight in enumerate(weights) for i in range(weight)]
    return [index for _, index in sorted(due)]
