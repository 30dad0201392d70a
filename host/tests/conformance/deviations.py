"""What is known to be otherwise than the documents demand, and why. A case that is listed here has to fail, in the very
way that is told; docs/http2.md says the same to users."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Deviation:
    """Cases by their names, what is seen in them, and the reason."""

    cases: re.Pattern[str]
    seen: re.Pattern[str]
    reason: str


def deviation(cases: str, seen: str, reason: str) -> Deviation:
    return Deviation(re.compile(cases), re.compile(seen), reason)


KNOWN: list[Deviation] = []


def known(case: str) -> Deviation | None:
    """What is known of a case."""
    return next((deviation for deviation in KNOWN if deviation.cases.search(case)), None)
