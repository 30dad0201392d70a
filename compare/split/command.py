"""The command `compare/splits`."""

import argparse
import concurrent.futures
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from twin.proxy import Failed

from . import grammar, http2, judge, known, peers

SEED = 20260731
CASES = 600
# Long enough for a server to note what it was sent.
SETTLE_SECONDS = 0.5


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lb", default="target/release/lb", help="the binary")
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--seed", default=SEED)
    parser.add_argument("--http", type=int, choices=(1, 2), help="with this version alone; as many cases with each otherwise")
    parser.add_argument("--case", type=int, help="this one alone, with all that was seen")
    options = parser.parse_args()
    numbers = [options.case] if options.case is not None else range(options.cases)
    versions = {1: grammar, 2: http2}
    made = [versions[options.http]] if options.http else versions.values()
    cases = [version.case(options.seed, number) for version in made for number in numbers]
    try:
        running = peers.start(str(Path(options.lb).resolve()))
    except Failed as error:
        print(f"compare/splits: {error}")
        return 2
    names = [peer.name for peer in running]
    try:
        with concurrent.futures.ThreadPoolExecutor(len(running)) as pool:
            outcomes = list(pool.map(lambda peer: [peer.outcome(case) for case in cases], running))
        outcomes = [dict(zip(names, of_case, strict=True)) for of_case in zip(*outcomes, strict=True)]
        for number, case in enumerate(cases):
            if found_in(case, outcomes[number]):
                outcomes[number] = seen_alone(case, running)
        dead = [peer.name for peer in running if not peer.is_alive()]
    finally:
        for peer in running:
            peer.stop()
            shutil.rmtree(peer.directory)
    wrong = report(cases, outcomes, options)
    if dead:
        print(f"these did not live to the end: {', '.join(dead)}")
    return 1 if wrong or dead else 0


def seen_alone(case, running):
    """What comes of a case with nothing else at work: on a busy machine an answer, or a server's note, may come late."""
    time.sleep(SETTLE_SECONDS)
    for peer in running:
        peer.forget_notes()
    return {peer.name: peer.outcome(case) for peer in running}


def is_framed(case):
    return isinstance(case, http2.Case)


def found_in(case, outcome):
    """What is found, but for what is known."""
    return [line for line in judge.findings(outcome, is_framed(case)) if not known.reason(case, line)]


def report(cases, outcomes, options):
    """Prints what was found; how many cases are wrong."""
    wrong, excused, passed = 0, 0, 0
    for case, outcome in zip(cases, outcomes, strict=True):
        passed += any(not request["target"].startswith("/follower") for request in outcome["lb"].requests)
        found = found_in(case, outcome)
        excused += bool(not found and judge.findings(outcome, is_framed(case)))
        wrong += bool(found)
        if options.case is not None or found:
            print(f"case {case.number} of seed {options.seed}, HTTP/{2 if is_framed(case) else 1}: {case}")
            for name, one in outcome.items():
                print(f"  {name:8} {judge.steps(one)}, then {one.end}")
            for line in found:
                print(f"  {line}")
    print(f"{len(cases)} cases, {passed} passed on by lb, {wrong} split differently, {excused} known")
    return wrong


def with_server():
    """Runs this program again where gunicorn and hpack are, installing them into an environment of its own first."""
    try:
        import gunicorn  # noqa: F401
        import hpack  # noqa: F401
    except ImportError:
        place = Path(tempfile.gettempdir()) / "lb-compare-splits"
        python = place / "bin" / "python"
        if not python.exists():
            venv.create(place, with_pip=True)
        subprocess.run([python, "-m", "pip", "--quiet", "install", "gunicorn", "hpack"], check=True)
        if Path(sys.executable) != python:
            sys.exit(subprocess.run([python, *sys.argv]).returncode)
