"""The command `compare/splits`."""

import argparse
import concurrent.futures
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from twin.proxy import Failed

from . import grammar, judge, known, peers

SEED = 20260731
CASES = 600


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lb", default="target/release/lb", help="the binary")
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--seed", default=SEED)
    parser.add_argument("--case", type=int, help="this one alone, with all that was seen")
    options = parser.parse_args()
    numbers = [options.case] if options.case is not None else range(options.cases)
    cases = [grammar.case(options.seed, number) for number in numbers]
    try:
        running = peers.start(str(Path(options.lb).resolve()))
    except Failed as error:
        print(f"compare/splits: {error}")
        return 2
    try:
        with concurrent.futures.ThreadPoolExecutor(len(running)) as pool:
            outcomes = list(pool.map(lambda peer: [peer.outcome(case) for case in cases], running))
        dead = [peer.name for peer in running if not peer.is_alive()]
    finally:
        for peer in running:
            peer.stop()
            shutil.rmtree(peer.directory)
    names = [peer.name for peer in running]
    wrong = report(cases, [dict(zip(names, of_case, strict=True)) for of_case in zip(*outcomes, strict=True)], options)
    if dead:
        print(f"these did not live to the end: {', '.join(dead)}")
    return 1 if wrong or dead else 0


def report(cases, outcomes, options):
    """Prints what was found; how many cases are wrong."""
    wrong, excused, passed = 0, 0, 0
    for case, outcome in zip(cases, outcomes, strict=True):
        passed += bool(outcome["lb"].requests)
        found = judge.findings(outcome)
        if found and known.reason(case):
            excused += 1
        elif found:
            wrong += 1
        if options.case is not None or (found and not known.reason(case)):
            print(f"case {case.number} of seed {options.seed}: {case.data!r}, cut at {case.cut}")
            for name, one in outcome.items():
                print(f"  {name:8} {judge.steps(one)}, then {one.end}")
            for line in found:
                print(f"  {line}")
    print(f"{len(cases)} cases, {passed} passed on by lb, {wrong} split differently, {excused} known")
    return wrong


def with_server():
    """Runs this program again where gunicorn is, installing it into an environment of its own first."""
    try:
        import gunicorn  # noqa: F401
    except ImportError:
        place = Path(tempfile.gettempdir()) / "lb-compare-splits"
        python = place / "bin" / "python"
        if not python.exists():
            venv.create(place, with_pip=True)
        subprocess.run([python, "-m", "pip", "--quiet", "install", "gunicorn"], check=True)
        if Path(sys.executable) != python:
            sys.exit(subprocess.run([python, *sys.argv]).returncode)
