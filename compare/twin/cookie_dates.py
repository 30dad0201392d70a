"""The dates that `maxidle` and `maxlife` put into a cookie's value: `VALUE|LAST|FIRST`.

Each is a count of 4-second steps since 1970, in 30 bits, as five digits of base 64. Runs happen at
different times, so dates are written down by their distance from now.
"""

import re
import time

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
STEP_SECONDS = 4
TOLERANCE_SECONDS = 12


def encode(seconds):
    steps = int(seconds) // STEP_SECONDS
    return "".join(DIGITS[steps >> shift & 63] for shift in (24, 18, 12, 6, 0))


def decode(text):
    value = 0
    for digit in text:
        value = value << 6 | DIGITS.index(digit)
    return value * STEP_SECONDS


def dated(value, last, first=None):
    return Dated(value, last, first)


class Dated:
    """A cookie's value with dates so many seconds from now; now is when it is written into a request."""

    def __init__(self, value, last, first):
        self.value, self.last, self.first = value, last, first

    def __str__(self):
        parts = [self.value, encode(time.time() + self.last)]
        if self.first is not None:
            parts.append(encode(time.time() + self.first))
        return "|".join(parts)


# The distances from now that cases use, in seconds, and how they are written down.
KNOWN = {
    0: "now",
    -60: "a minute ago",
    -1800: "half an hour ago",
    -7200: "two hours ago",
    -100_000: "28 hours ago",
    3600: "in an hour",
    200_000: "in 56 hours",
}


def hide_dates(text):
    """Replaces dates by how far from now they are, so that two runs agree."""

    def replace(match):
        if not all(digit in DIGITS for digit in match[1]):
            return match[0]
        distance = decode(match[1]) - time.time()
        for known, words in KNOWN.items():
            if abs(distance - known) <= TOLERANCE_SECONDS:
                return f"|<{words}>"
        return match[0]

    return re.sub(r"\|([^|;\r\n]{5})(?=[|;\r\n]|$)", replace, text)
