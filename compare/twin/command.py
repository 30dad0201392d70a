"""The command: which proxies, which cases, and what is printed."""

import argparse
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cases  # noqa: F401  (declares the cases)
from differences import INTENDED

from . import report
from .judge import judge
from .proxy import Failed, Proxy, find_haproxy
from .record import Record
from .suite import CASES
from .world import World

REPOSITORY = Path(__file__).resolve().parents[2]
# Configurations in progress at once; their cases mostly wait for timeouts.
CONCURRENT_CONFIGURATIONS = 4


def arguments():
    parser = argparse.ArgumentParser(prog="compare/run", description="Compare lb with HAProxy on the same traffic.")
    parser.add_argument("--lb", type=Path, help="the binary; default target/release/lb, built if absent")
    parser.add_argument("--only-haproxy", action="store_true", help="run HAProxy alone and show what it does")
    parser.add_argument("--self-test", action="store_true", help="HAProxy against itself, then against a changed configuration")
    parser.add_argument("--case", action="append", default=[], metavar="NAME", help="only this case (or every one beginning with NAME-)")
    parser.add_argument("--verbose", action="store_true", help="show every fact of every case")
    return parser.parse_args()


def main():
    options = arguments()
    try:
        return run(options)
    except Failed as failure:
        print(f"compare: {failure}")
        return 1


def run(options):
    haproxy = haproxy_starter(find_haproxy())
    chosen = [case for case in CASES if not options.case or any(case.name == name or case.name.startswith(f"{name}-") for name in options.case)]
    if not chosen:
        raise Failed(f"no case is called {', '.join(options.case)}")
    if options.only_haproxy:
        records = records_of({"haproxy": haproxy}, chosen)
        for case in chosen:
            report.show_record(case, records[case.name]["haproxy"])
        return 0
    other = haproxy if options.self_test else lb_starter(lb_binary(options.lb))
    started = time.monotonic()
    records = records_of({"haproxy": haproxy, "lb": other}, chosen)
    verdicts = {}
    for case in chosen:
        pair = records[case.name]
        verdicts[case.name] = judge(case.name, pair["haproxy"].facts, pair["lb"].facts, INTENDED)
    failed = report.show_table(chosen, records, verdicts, options.verbose, time.monotonic() - started)
    return 1 if failed else 0


def haproxy_starter(path):
    def start(configuration, port, addresses):
        return Proxy([path, "-db", "-f"], ".cfg", configuration.haproxy(port, addresses), port)

    return start


def lb_starter(path):
    def start(configuration, port, addresses):
        return Proxy([str(path), "run"], ".toml", configuration.lb(port, addresses), port)

    return start


def lb_binary(given):
    path = given or REPOSITORY / "target" / "release" / "lb"
    if not path.exists():
        if given:
            raise Failed(f"there is no {given}")
        built = subprocess.run(["cargo", "build", "--release"], cwd=REPOSITORY)
        if built.returncode:
            raise Failed("lb does not build")
    return path.resolve()


def records_of(starters, chosen):
    """Every case's record with every proxy: {case name: {proxy: Record}}."""
    records = {case.name: {} for case in chosen}
    by_configuration = {}
    for case in chosen:
        by_configuration.setdefault(case.configuration.name, []).append(case)
    jobs = [(proxy, start, group) for group in by_configuration.values() for proxy, start in starters.items()]
    with ThreadPoolExecutor(CONCURRENT_CONFIGURATIONS * len(starters)) as pool:
        for proxy, found in pool.map(lambda job: (job[0], run_group(*job[1:])), jobs):
            for name, record in found.items():
                records[name][proxy] = record
    return records


def run_group(start, group):
    """The cases of one configuration, one after the other, in a world of their own."""
    try:
        world = World(start, group[0].configuration)
    except Failed as failure:
        broken = Record()
        broken.add("the proxy did not start", failure)
        return {case.name: broken for case in group}
    try:
        return {case.name: world.run(case) for case in group}
    finally:
        world.close()
