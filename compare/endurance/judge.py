"""Whether anything grew, and whether anything was lost without a cause."""

import statistics
from dataclasses import dataclass

from .trouble import AFTERMATH_SECONDS

# What lb does not have at the beginning: connections, compiled policies, buffers, an allocator's arenas. A tenth, but as
# long as it takes in a short run.
WARM_UP_SHARE, WARM_UP_SECONDS = 0.1, 60
# Below this a run says nothing about growth: its slope by the hour is noise times sixty.
SHORTEST_SECONDS = 1200
# A strike at servers may cost what is under way there, and what comes until a check has failed: with some 200 requests a
# second for three servers and checks that take 0.2 s and 0.7 s at most, 60 a second in 0.9 s.
LOST_A_STRIKE = 60
# A server that takes as long as a check may is late.
LATE_US = 200_000


@dataclass
class Bound:
    """By how much the median of the last tenth may exceed that of the first: `share` of it, and `beside`. What grows shows in the
    line through all samples too (least squares), which must rise by as much between the middles of the two: medians alone
    differ by what happens to be at their ends, and a line is tilted by a few peaks."""

    share: float
    beside: float
    unit: str
    why: str


BOUNDS = {
    "anonymous": Bound(0.05, 1024, "KiB", "one byte kept for each request would be some 6,000 KiB an hour, 4 KiB for each reload 4,000"),
    "rss": Bound(0.05, 2048, "KiB", "as anonymous, and pages of files that are mapped"),
    "descriptors": Bound(0.05, 8, "", "one that is lost in a thousand aborted requests would be 180 an hour"),
    "threads": Bound(0, 1, "", "one that compiles may be there or not"),
    "mappings": Bound(0, 80, "", "a configuration kept has some 40 for its policies; reloads are a thousand an hour"),
    "virtual": Bound(0, 40 << 20, "KiB", "a configuration kept sets some 20 GiB of addresses aside for its policies"),
    "process_current_connections": Bound(0.1, 10, "", "the load is the same all the time"),
    "config_generations": Bound(0, 2, "", "a tunnel lives for six seconds and keeps one, or two"),
    "backend_current_requests": Bound(0.1, 10, "", "the load is the same all the time"),
    "server_current_requests": Bound(0.1, 10, "", "the load is the same all the time"),
    "cache": Bound(0.0, 1 << 20, "KiB", "half of what wasmtime keeps at most before it tidies up"),
}  # fmt: skip
# The median of a probe, less that of the same request without lb: the machine's own changes are in both.
LATENCY = Bound(0.5, 300, "µs", "what grows with each reload or request would be twice as much after the first ten minutes")
# A health check or two are under way when one looks.
REST_DESCRIPTORS = 4


@dataclass
class Verdict:
    name: str
    first: float
    last: float
    slope: float
    bound: Bound
    allowed: float
    span: float

    @property
    def wrong(self):
        return min(self.last - self.first, self.slope * self.span) > self.allowed


def judge_growth(samples):
    return [of(name, [(sample["at"], sample[name]) for sample in samples], bound) for name, bound in BOUNDS.items()]


def judge_latency(times):
    """Of medians by minute."""
    return of("probe, less direct", [(row["at"], row["lb p50"] - row["direct p50"]) for row in times], LATENCY)


def of(name, points, bound):
    points = settled(points)
    tenth = max(1, len(points) // 10)
    first, last = (statistics.median(value for _, value in part) for part in (points[:tenth], points[-tenth:]))
    slope = statistics.linear_regression(*zip(*points, strict=True)).slope if len(points) > 2 else 0.0
    span = (points[-1][0] - points[0][0]) * 0.9
    return Verdict(name, first, last, slope, bound, abs(first) * bound.share + bound.beside, span)


def settled(points):
    begin, end = points[0][0], points[-1][0]
    warm = begin + max((end - begin) * WARM_UP_SHARE, min(WARM_UP_SECONDS, (end - begin) / 2))
    return [point for point in points if point[0] >= warm]


def by_minute(times):
    """Percentiles of the probe's times, in µs."""
    minutes = {}
    for at, which, micros in times:
        minutes.setdefault(int(at // 60), {"lb": [], "direct": []})[which].append(micros)
    rows = []
    for minute, parts in sorted(minutes.items()):
        if min(map(len, parts.values())) < 100:
            continue
        row = {"at": minute * 60}
        for which, micros in parts.items():
            cuts = statistics.quantiles(micros, n=100)
            row |= {f"{which} p50": round(cuts[49]), f"{which} p99": round(cuts[98])}
        rows.append(row)
    return rows


def without_cause(failures, trouble, times):
    """Those ends that nothing explains; in what goes to `churn` a strike does, of so many as it may cost, and a machine so busy
    that a good server itself was late: its checks and its `timeout server` are short."""
    late = [at for at, which, micros in times if which == "direct" and micros > LATE_US]
    left, explained = [], []
    for failure in failures:
        at, lane, end = failure
        caused = trouble.explains(at) or any(abs(at - each) < AFTERMATH_SECONDS for each in late)
        (explained if "churn" in lane and end != "silence" and caused else left).append(failure)
    strikes = len(trouble.suffered) // 2
    if len(explained) > strikes * LOST_A_STRIKE:
        left += explained
    return left, explained


def at_rest(before, after):
    """What was not given back, once nobody asks for anything; pipes are kept, so many and no more."""
    wrong = []
    for name in (
        "process_current_connections",
        "backend_current_requests",
        "server_current_requests",
        "backend_current_queue",
    ):
        if after[name]:
            wrong.append(f"{name} is {after[name]:g}")
    if after["config_generations"] != 1:
        wrong.append(f"{after['config_generations']:g} configurations are kept")
    for name, slack in (("descriptors", REST_DESCRIPTORS), ("threads", 1)):
        counts = [taken[name] - (taken["pipes"] if name == "descriptors" else 0) for taken in (before, after)]
        if counts[1] > counts[0] + slack:
            wrong.append(f"{name} are {counts[1]}, before the load {counts[0]}")
    return wrong
