"""What the examples' tests share: their configurations, put on free ports."""

import re
import socket


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """A port of the loopback interface that nobody has at the moment."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def replaced(text: str, pairs: list[tuple[str, str]]) -> str:
    """A text with each pair's first replaced by its second, wherever it stands and no digit follows. All at once: what
    is put in is not looked at again, or a port might be taken for another's beginning. `AssertionError` where one is
    not there."""
    for old, _ in pairs:
        assert old in text, f"{old} is not there any more"
    table = dict(pairs)
    pattern = "|".join(rf"{re.escape(old)}(?!\d)" for old in table)
    return re.sub(pattern, lambda found: table[found[0]], text)
