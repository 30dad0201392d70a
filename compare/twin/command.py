"""The command: which proxies, which cases, what is printed, and what the exit code is."""

import argparse
import re
import signal
import subprocess
import sys
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
DOCUMENT = REPOSITORY / "docs" / "haproxy-differences.md"
# Configurations in progress at once; their cases mostly wait for timeouts.
CONCURRENT_CONFIGURATIONS = 4
# Cases that differ are run again, alone, for a busy machine can make two equal proxies differ. More than this
# many are no accident.
MOST_RUN_AGAIN = 40
TRIES = 3


def arguments():
    parser = argparse.ArgumentParser(prog="compare/run", description="Compare lb with HAProxy on the same traffic.")
    parser.add_argument(
        "--lb", type=Path, metavar="PATH", help="the binary; default target/release/lb, built if absent"
    )
    parser.add_argument("--only-haproxy", action="store_true", help="run HAProxy alone and show what it does")
    parser.add_argument(
        "--self-test", action="store_true", help="HAProxy against itself, then against changed configurations"
    )
    parser.add_argument(
        "--case",
        action="append",
        default=[],
        metavar="NAME",
        help="only this case, or those beginning with NAME-; may be repeated",
    )
    parser.add_argument("--verbose", action="store_true", help="show every fact of every case")
    return parser.parse_args()


def main():
    options = arguments()
    # So that proxies are stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        return run(options)
    except Failed as failure:
        print(f"compare: {failure}")
        return 1


def run(options):
    haproxy = haproxy_starter(find_haproxy())
    chosen = [case for case in CASES if not options.case or any(named(case, name) for name in options.case)]
    if not chosen:
        raise Failed(f"no case is called {', '.join(options.case)}")
    if options.only_haproxy:
        records = records_of({"haproxy": haproxy}, chosen)
        for case in chosen:
            report.show_record(case, records[case.name]["haproxy"])
        return 0
    if options.self_test:
        return self_test(haproxy, chosen, options.verbose)
    failed = compare({"haproxy": haproxy, "lb": lb_starter(lb_binary(options.lb))}, chosen, options.verbose)
    untold = untold_differences()
    if untold:
        print(f"{DOCUMENT.relative_to(REPOSITORY)} and differences.py do not both have: {', '.join(untold)}")
    return 1 if failed or untold else 0


def untold_differences():
    """The list that users read names each intended difference, in bold, and no other."""
    told = set(re.findall(r"\*\*(.+?)\*\*", DOCUMENT.read_text()))
    return sorted(told ^ {difference.name for difference in INTENDED})


def named(case, name):
    return case.name == name or case.name.startswith(f"{name}-")


def compare(starters, chosen, verbose):
    """Runs the cases with both proxies, shows the table, and says how many cases differ."""
    started = time.monotonic()
    records = records_of(starters, chosen)
    verdicts = judged(chosen, records)
    again = {}
    for _ in range(TRIES - 1):
        differing = [case for case in chosen if verdicts[case.name].differences]
        if not 0 < len(differing) <= MOST_RUN_AGAIN:
            break
        more = records_of(starters, differing, 1)
        verdicts_again = judged(differing, more)
        for case in differing:
            if not verdicts_again[case.name].differences:
                again[case.name] = [label for label, _, _ in verdicts[case.name].differences]
                records[case.name], verdicts[case.name] = more[case.name], verdicts_again[case.name]
    return report.show_table(chosen, records, verdicts, again, verbose, time.monotonic() - started)


def judged(chosen, records):
    return {
        case.name: judge(case.name, *(record.facts for record in records[case.name].values()), INTENDED)
        for case in chosen
    }


def self_test(haproxy, chosen, verbose):
    """Shows that the harness is deterministic, and that it can fail."""
    failed = compare({"haproxy": haproxy, "lb": haproxy}, chosen, verbose)
    changed = {
        "another cookie": lambda text: text.replace("cookie SERVER insert", "cookie SERVE insert"),
        "another timeout": lambda text: text.replace("timeout server 300ms", "timeout server 600ms"),
        "another header": lambda text: text.replace("option forwardfor", "option forwardfor header X-Client"),
        "another order": lambda text: text.replace("balance roundrobin", "balance leastconn"),
    }
    few = [case for case in CASES if case.name in ("plain", "cookie-valid", "server-silent", "order-roundrobin-1-2-3")]
    unnoticed = []
    for name, change in changed.items():
        records = records_of({"haproxy": haproxy, "lb": changing(haproxy, change)}, few)
        if not any(verdict.differences for verdict in judged(few, records).values()):
            unnoticed.append(name)
    print(
        "changed configurations: "
        + (f"NOT NOTICED: {', '.join(unnoticed)}" if unnoticed else f"all {len(changed)} noticed")
    )
    return 1 if failed or unnoticed else 0


def haproxy_starter(path):
    def start(configuration, port, addresses):
        return Proxy([path, "-db", "-f"], ".cfg", configuration.haproxy(port, addresses), port)

    return start


def changing(start, change):
    """Starts HAProxy with a configuration that `change` has changed."""

    def start_changed(configuration, port, addresses):
        class Changed(type(configuration)):
            def haproxy(self, port, addresses):
                return change(configuration.haproxy(port, addresses))

        return start(Changed(configuration.name), port, addresses)

    return start_changed


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


def records_of(starters, chosen, concurrent=CONCURRENT_CONFIGURATIONS):
    """Every case's record with every proxy: {case name: {proxy: Record}}."""
    records = {case.name: {} for case in chosen}
    by_configuration = {}
    for case in chosen:
        by_configuration.setdefault(case.configuration.name, []).append(case)
    # The longest first, so that none is left over at the end.
    groups = sorted(by_configuration.values(), key=len, reverse=True)
    jobs = [(proxy, start, group) for group in groups for proxy, start in starters.items()]
    with ThreadPoolExecutor(concurrent * len(starters)) as pool:
        for proxy, found in pool.map(lambda job: (job[0], run_group(*job[1:])), jobs):
            for name, record in found.items():
                records[name][proxy] = record
    return records


def run_group(start, group):
    """The cases of one configuration, one after the other, in a world of their own."""
    records, world = {}, None
    try:
        world = World(start, group[0].configuration)
        for case in group:
            records[case.name] = world.run(case)
    except Failed as failure:
        broken = Record()
        broken.add("the proxy did not start", failure)
        records.update({case.name: broken for case in group if case.name not in records})
    finally:
        if world:
            world.close()
    return records
