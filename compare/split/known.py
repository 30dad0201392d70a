"""Cases that are split differently and are no fault of lb's, each with its reason."""

import re


def reason(case):
    """Why this case may be split differently; None where it may not."""
    for pattern, why in KNOWN:
        if re.search(pattern, case.data):
            return why
    return None


KNOWN = [
    (rb"(?i)\r\nExpect: x\r\n", "an expectation that nobody knows is the server's to refuse; nginx drops it"),
]
