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


UNSPECIFIC = "h2, the library beneath, says PROTOCOL_ERROR for all that it cannot read: the error is noticed and the " \
             "connection ends, as demanded; its type is the one for errors without a type of their own (section 7)"

KNOWN = [
    deviation(r"^RFC 9113 6\.\d+ .*(of (no|three|four|five|six|seven|nine) bytes|acknowledgement with).*FRAME_SIZE_ERROR",
              r"^GOAWAY with PROTOCOL_ERROR instead of FRAME_SIZE_ERROR", UNSPECIFIC),
    deviation(r"^RFC 9113 6\.5\.2 INITIAL_WINDOW_SIZE of 2\^\d+(-1)?: connection error",
              r"^GOAWAY with PROTOCOL_ERROR instead of FLOW_CONTROL_ERROR", UNSPECIFIC),
    deviation(r"^RFC 9113 5\.1 (DATA|HEADERS|empty DATA).* behind a request's end: stream error STREAM_CLOSED",
              r"^GOAWAY with PROTOCOL_ERROR instead of STREAM_CLOSED", UNSPECIFIC),
    deviation(r"^RFC 7541 .*connection error COMPRESSION_ERROR",
              r"^GOAWAY with PROTOCOL_ERROR instead of COMPRESSION_ERROR", UNSPECIFIC),
    deviation(r"^RFC 9113 8\.1 trailers with (a pseudo-header field|:path|:status): malformed",
              r"^answered with 200 instead",
              "h2 drops pseudo-header fields of trailers before lb sees the others: no server gets them"),
]


def known(case: str) -> Deviation | None:
    """What is known of a case."""
    return next((deviation for deviation in KNOWN if deviation.cases.search(case)), None)
