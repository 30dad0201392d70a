"""Holds two records against each other, with the intended differences taken out."""

from dataclasses import dataclass, field

from .log_line import TIMERS

TIMER_TOLERANCE_MS = 120


@dataclass
class Verdict:
    compared: int = 0
    differences: list = field(default_factory=list)
    intended: list = field(default_factory=list)


def judge(case_name, left, right, intended):
    """`intended` are differences with a `reason`: each changes the facts of both records, alone and beside each other."""
    verdict = Verdict()
    labels = list(left) + [label for label in right if label not in left]
    verdict.compared = len(labels)
    raw = {label for label in labels if not same(label, left.get(label), right.get(label))}
    masked_left, masked_right = dict(left), dict(right)
    for difference in intended:
        before = {label for label in raw if not same(label, masked_left.get(label), masked_right.get(label))}
        difference.mask(case_name, masked_left)
        difference.mask(case_name, masked_right)
        difference.pair(case_name, masked_left, masked_right)
        after = {label for label in raw if not same(label, masked_left.get(label), masked_right.get(label))}
        if before - after:
            verdict.intended.append((difference.name, sorted(before - after)))
    for label in labels:
        if not same(label, masked_left.get(label), masked_right.get(label)):
            verdict.differences.append((label, left.get(label), right.get(label)))
    return verdict


def same(label, left, right):
    if left is None or right is None:
        return left == right
    if label.startswith("log ") and label.split(" ")[2] in TIMERS:
        return same_timer(left, right)
    return left == right


def same_timer(left, right):
    """A phase reached or not must agree; how long it took may differ by the noise of a busy machine."""
    if left.startswith("+") != right.startswith("+"):
        return False
    left_ms, right_ms = int(left), int(right)
    if left_ms < 0 or right_ms < 0:
        return left_ms == right_ms
    return abs(left_ms - right_ms) <= TIMER_TOLERANCE_MS
