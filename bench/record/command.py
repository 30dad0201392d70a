"""The command: what is asked for, the machine made ready, cases measured, the report written."""

import argparse
import datetime
import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import machine, report
from .cases import all_cases
from .machine import ROOT, Unavailable, say
from .measure import Bench
from .peers import LB, programs


def program(path):
    found = shutil.which(str(Path(path).resolve()))
    if not found:
        raise argparse.ArgumentTypeError(f"{path} is no program")
    return found


def pattern(text):
    try:
        return re.compile(text)
    except re.error as why:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {why}") from None


def arguments():
    parser = argparse.ArgumentParser(prog="bench/run", description="lb beside HAProxy, nginx and Envoy, on this machine.")
    parser.add_argument("--short", action="store_true", help="a few cases, once each: does it run, do its figures parse")
    parser.add_argument("--lb", type=program, help="the lb to measure; built where it is not given")
    parser.add_argument("--guided", type=program, help="another lb to measure beside: the one that bench/pgo built")
    parser.add_argument("--case", type=pattern, default="",
                        help="only cases whose names match this regular expression; latency, policies and memory are names too")
    parser.add_argument("--peers", default="haproxy,nginx,envoy", help="whom to measure beside lb")
    parser.add_argument("--rounds", type=int, default=5, help="samples of each case and peer")
    parser.add_argument("--seconds", type=int, default=2, help="of each sample")
    parser.add_argument("--record", action="store_true", help="keep samples, table and chart in bench/runs/DATE")
    parser.add_argument("--report", type=Path, help="only write table and chart of a recorded run anew")
    return parser.parse_args()


def find(name, how, reported):
    """A peer's program; `None`, and a word about it, where it cannot be had."""
    try:
        return how()
    except (Unavailable, OSError) as why:
        say(f"bench: {name} takes no part: {why}")
        reported[name] = str(why)
        return None


# One of each kind, beside which `lb policy bench` measures all others of it.
KINDS = (["roundrobin"], ["cookie", *(f"-o{o}" for o in ("name=SERVER", "insert=true", "indirect=true", "nocache=true"))])


def policies(lb):
    """What the built-in policies cost alone, and the same choices in native Rust."""
    commands = [[lb, "policy", "bench", *kind, "--json"] for kind in KINDS]
    commands.append([machine.build("lb-bench-native")])
    rows = []
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows += [{key: row[key] for key in ("policy", "call", "servers", "median_ns")} for row in json.loads(done.stdout)]
    return rows


def main():
    options = arguments()
    if options.report:
        report.write(options.report, report.read(options.report))
        return 0
    if options.short:
        options.rounds, options.seconds = 1, 1
    machine.raise_limits()
    lb = options.lb or machine.build("lb")
    for program in ("lb-bench-origin", "lb-bench-load"):
        machine.build(program)
    absent = {}
    wanted = options.peers.split(",")
    peers = programs(
        lb,
        options.guided,
        find("haproxy", lambda: machine.package("haproxy", "haproxy"), absent) if "haproxy" in wanted else None,
        find("nginx", lambda: machine.package("nginx", "nginx"), absent) if "nginx" in wanted else None,
        find("envoy", machine.envoy, absent) if "envoy" in wanted else None,
    )
    cases = [case for case in all_cases() if options.case.search(case.name) and (case.short or not options.short)]
    with tempfile.TemporaryDirectory(prefix="lb-bench-") as directory:
        bench = Bench(peers, options, Path(directory))
        result = {
            "date": datetime.date.today().isoformat(),
            "machine": machine.describe(),
            "versions": {peer.name: peer.version for peer in peers},
            "absent": absent,
            "seconds": options.seconds,
            "rounds": options.rounds,
        }
        kept = place(result["date"]) if options.record else None
        with bench:
            for part, measured in parts(bench, lb, cases, options):
                result[part] = measured(result)
                if kept:
                    # What has been measured is kept, whatever becomes of the rest.
                    report.write(kept, result)
    print(report.table(result))
    failed = [sample for sample in result["samples"] if sample["errors"]]
    for sample in failed:
        say(f"bench: {sample['peer']} failed {sample['errors']} requests of {sample['requests']} in {sample['case']}")
    return 1 if any(sample["peer"] in LB for sample in failed) else 0


def parts(bench, lb, cases, options):
    """What is measured, in order: by the name that it has in the result, and that `--case` knows it by."""
    yield "samples", lambda result: bench.cases(cases)
    for name, measured in (
        ("latency", lambda result: bench.latency(result["samples"])),
        ("policies", lambda result: policies(lb)),
        ("memory", lambda result: bench.memory()),
    ):
        if options.case.search(name):
            yield name, measured


def place(date):
    """A directory of its own for each recorded run."""
    for suffix in ["", *(f"-{number}" for number in range(2, 100))]:
        directory = ROOT / "bench/runs" / (date + suffix)
        if not directory.exists():
            directory.mkdir(parents=True)
            return directory
    raise SystemExit("bench: too many runs of one day")
