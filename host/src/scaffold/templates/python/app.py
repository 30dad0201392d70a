"""{{name}}: each candidate in its turn, beginning with the one that the setting `first` says.

What the host offers is in `wit_world.imports`, for example `request.header("host")`.
"""

from typing import List, Optional, Tuple

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.balancer import Arrival, Candidate
from wit_world.exports.setup import Description, Kind, Refusal, Setting, Value, Value_Integer
from wit_world.imports.types import Server

first = 0
count = 0


class Setup(exports.Setup):
    def describe(self) -> Description:
        setting = Setting(
            name="first",
            kind=Kind.INTEGER,
            default=Value_Integer(0),
            required=False,
            choices=[],
            doc="Which server is the first to be picked, counted from 0.",
        )
        return Description("{{name}}", "0.1.0", "each server in its turn", [setting])

    def configure(self, settings: List[Tuple[str, Value]], servers: List[Server]) -> None:
        global first
        for name, value in settings:
            if name == "first":
                if value.value < 0:
                    raise Err(Refusal("first", "must be 0 or more"))
                first = value.value


class Balancer(exports.Balancer):
    def update(self, candidates: List[Candidate]) -> None:
        global count
        count = len(candidates)

    def pick(self, arrival: Arrival) -> Optional[int]:
        """An index into the candidates; None passes to the next policy."""
        return (arrival.sequence + first) % count if count else None
