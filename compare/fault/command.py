"""The command `compare/faults`: every scene behind both proxies, a table, and 1 where lb fails what HAProxy serves."""

import argparse
import asyncio
import re
from pathlib import Path

from twin.proxy import Failed

from .scenes import SCENES
from .world import World, what_is_missing

# Where both fail requests, lb may fail as large a share as HAProxy, give or take what chance decides: which of them were
# under way when it happened.
SLACK = 1.5
SLACK_SHARE = 0.05


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lb", default="target/release/lb", help="the binary")
    parser.add_argument("--scene", help="a pattern: these alone")
    options = parser.parse_args()
    lb = Path(options.lb).resolve()
    wrong = 0
    print(f"{'scene':32} {'lb':44} HAProxy")
    for scene in SCENES:
        if options.scene and not re.search(options.scene, scene.name):
            continue
        missing = what_is_missing(scene)
        if missing:
            print(f"{scene.name:32} not played: {missing}")
            continue
        try:
            seen = {name: play(scene, name, lb) for name in ("lb", "haproxy")}
            if judge(scene, seen):
                # The best of two: a busy machine may fail anyone once.
                again = {name: play(scene, name, lb) for name in seen}
                seen = {name: min(seen[name], again[name], key=failed) for name in seen}
        except Failed as error:
            print(f"compare/faults: {scene.name}: {error}")
            return 2
        reason = judge(scene, seen)
        wrong += bool(reason)
        print(f"{scene.name:32} {told(seen['lb']):44} {told(seen['haproxy'])}{'   <-- ' + reason if reason else ''}", flush=True)
    print(f"{wrong} scenes in which lb fails more than HAProxy")
    return 1 if wrong else 0


def play(scene, name, lb):
    """What the clients saw."""
    world = World(scene, name, lb)
    try:
        seen = asyncio.run(scene.play(world))
        if not world.is_alive():
            seen["died"] += 1
    finally:
        world.close()
    return seen


def failed(seen):
    # A connection that is closed without a word between two requests is no request's failure; with a request on it, it is.
    return sum(count for end, count in seen.items() if end != "200")


def judge(scene, seen):
    """Why lb is worse, if it is."""
    ours, theirs = failed(seen["lb"]), failed(seen["haproxy"])
    if seen["lb"]["died"]:
        return "lb died"
    if not seen["lb"]["200"] and seen["haproxy"]["200"]:
        return "lb served nothing"
    shares = [failed(seen[name]) / max(seen[name].total(), 1) for name in ("lb", "haproxy")]
    if shares[0] <= scene.may_fail:
        return None
    if theirs == 0 and ours > 0:
        return f"{ours} requests failed, of HAProxy's none"
    if shares[0] > shares[1] * SLACK + SLACK_SHARE:
        return f"{shares[0]:.0%} of requests failed, of HAProxy's {shares[1]:.0%}"
    return None


def told(seen):
    return ", ".join(f"{count} {end}" for end, count in sorted(seen.items()))
