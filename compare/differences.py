"""The intended differences between lb and HAProxy, each with its reason. Anything that is not here fails.

A difference is a mask: applied to the facts of both proxies, it makes equal what is allowed to differ and
leaves the rest. Masks are as narrow as can be: a status, a header's name or its order is never masked.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Difference:
    """`mask` changes the facts (label to value) of one case in place."""

    name: str
    reason: str
    mask: Callable


def own_pages(_case, facts):
    pages = set()
    for label in [label for label in facts if label.endswith(" headers")]:
        headers = facts[label].lower()
        answer = label.removesuffix(" headers")
        if "cache-control: no-cache" in headers and "content-type: text/html" in headers and "web-" not in answer:
            pages.add(facts[f"{answer} line"].split(" ")[1])
            facts[label] = re.sub(r"(?i)(content-length: )\d+", r"\1*", facts[label])
            if f"{answer} body" in facts:
                facts[f"{answer} body"] = "(a page of the proxy's own)"
    for label in [label for label in facts if label.endswith(" bytes") and "\r\n\r\n" in facts[label]]:
        head = facts[label].partition("\r\n\r\n")[0]
        if "text/html" in head:
            facts[label] = re.sub(r"(?i)(content-length: )\d+", r"\1*", head)
            pages.add(head.split(" ")[1])
    for label in [label for label in facts if re.fullmatch(r"log \d+ bytes", label)]:
        status, state = (facts[label.replace("bytes", field)] for field in ("status", "state"))
        # A page that the client did not wait for is counted as well.
        counted = status in pages or (status >= "400" and re.match(r"[A-Za-z][RQCH]", state))
        if facts[label] != "0" and counted:
            facts[label] = "*"


def whole_case(*names):
    def mask(case, facts):
        if case in names:
            facts.clear()

    return mask


INTENDED = [
    Difference(
        "own pages",
        "the pages that a proxy makes itself (400, 408, 502, 503, 504) are worded by each on its own, so their bodies, "
        "and with them content-length and the bytes in the log, differ; status, headers and their order do not",
        own_pages,
    ),
    Difference(
        "http/2",
        "HAProxy takes a client that begins with HTTP/2's preface as one that speaks it; lb speaks HTTP/1 only",
        whole_case("malformed-preface"),
    ),
]
