"""Holds a running lb against what the protocols' documents demand of it: HTTP/2 frame by frame (RFC 9113), its
compression (RFC 7541), WebSocket over it (RFC 8441), and what clients of other people make of all that, and of TLS.

`run LB [PART…]` sets it up. A PART is `frames`, `commands`, `websocket` or `tls`, or words of a case's name. Prints a line
for each case, then how many there were; ends with 1 if one of them failed. What is known to be otherwise stands in
deviations.py, and fails once it is so no more.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from cases import frames, streams, messages, compression, extended, floods  # noqa: E402, F401, I001  (they note their cases)
from clients import commands, tls, websocket  # noqa: E402
from deviations import known  # noqa: E402
from kit.cases import CASES, Case  # noqa: E402
from kit.wire import PATIENCE, Wrong  # noqa: E402
from kit.world import Peer, World  # noqa: E402

FILES = 64  # files that may stay open in lb behind it all: its own, and connections to servers that idle


class Results:
    """What held and what did not."""

    def __init__(self, wanted: list[str]):
        self.wanted = wanted
        self.held = self.failed = self.known = 0

    def note(self, name: str, why: str, took: float = 0) -> None:
        deviation = known(name)
        late = f" ({took:.1f} s)" if took > 1 else ""
        if deviation and not why:
            why = "deviations.py lists it, but it holds"
        elif deviation and deviation.seen.search(why):
            self.known += 1
            print(f"known  {name}{late}: {why.partition(';')[0]}", flush=True)
            return
        self.held, self.failed = self.held + (not why), self.failed + bool(why)
        print(f"FAILED {name}{late}: {why}" if why else f"ok     {name}{late}", flush=True)

    def holds(self, part: str, name: str, run, world: World) -> None:
        """Runs a case, and sees that lb serves others behind it."""
        if self.wanted and part not in self.wanted and not any(word in name for word in self.wanted):
            return
        begin = time.monotonic()
        why = ""
        try:
            run()
        except (Wrong, OSError) as error:
            why = str(error) or type(error).__name__
        except Exception as error:  # noqa: BLE001  (what came broke a library that reads it)
            why = f"{type(error).__name__}: {error}"
        try:
            world.still_serves()
        except (Wrong, OSError) as error:
            why = f"behind it, another client is not served: {error}"
        self.note(name, why, time.monotonic() - begin)


def frame_case(case: Case, peer: Peer) -> None:
    try:
        case.run(peer)
    finally:
        peer.close()


def left_behind(world: World) -> str:
    """What is wrong with lb behind all cases; nothing where nothing is."""
    if "panicked" in world.output():
        return world.output()[-2000:]
    for name in list(world.origin.released):
        world.origin.gate(name).set()
    end = time.monotonic() + PATIENCE
    while world.files_open() > FILES:
        if time.monotonic() > end:
            return f"{world.files_open()} files are open"
        time.sleep(0.1)
    return ""


def main() -> int:
    results = Results(sys.argv[2:])
    begin = time.monotonic()
    with World(sys.argv[1]) as world:
        for transport in ("clear text", "TLS"):
            for case in CASES:
                peer = Peer(world, transport)
                results.holds("frames", f"{case.name} [{transport}]", lambda: frame_case(case, peer), world)
        for part, cases in (("commands", commands.cases), ("websocket", websocket.cases), ("tls", tls.cases)):
            for name, run in cases(world):
                results.holds(part, name, run, world)
        results.note("behind all that no thread panicked, and no connection stayed", left_behind(world))
    print(f"{results.held} held, {results.known} are known not to, {results.failed} failed, "
          f"in {time.monotonic() - begin:.0f} s")
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main())
