"""Health checks: what they ask, what passes, and what a DOWN server means to traffic."""

import time

from configurations import (
    BACKUPS,
    CHECK_VARIANTS,
    CHECKED_FAST,
    CHECKED_SLOWLY,
    CHECKED_TCP,
    FALL_3_RISE_2,
    PERSISTENT_LEFT_ALONE,
)
from twin.origin import HEALTHY
from twin.suite import case, get, ok

SICK = b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
# After an origin has answered a check, the proxy needs a moment to act on it.
MOMENT_SECONDS = 0.03


def take_down(world, *names):
    for name in names:
        world[name].health = SICK
    for name in names:
        world[name].wait_checks(2)
    time.sleep(MOMENT_SECONDS)


def bring_up(world, *names, checks=6):
    for name in names:
        world[name].health = HEALTHY
    for name in names:
        world[name].wait_checks(checks)
    time.sleep(MOMENT_SECONDS)


def ask(world, count, *lines):
    for number in range(count):
        client = world.client(f"client {number}")
        client.request(get(f"/{number}", *lines))
        client.close()


@case("down-server-gets-nothing", CHECKED_FAST, logs=4)
def down_server_gets_nothing(world):
    take_down(world, "web-a")
    ask(world, 4)
    bring_up(world, "web-a")


@case("down-server-cookie", CHECKED_FAST, logs=2)
def down_server_cookie(world):
    take_down(world, "web-a")
    ask(world, 2, "Cookie: SERVER=web-a")
    bring_up(world, "web-a")


@case("down-server-other-cookie", CHECKED_FAST, logs=2)
def down_server_other_cookie(world):
    take_down(world, "web-a")
    ask(world, 2, "Cookie: SERVER=web-b")
    bring_up(world, "web-a")


@case("all-servers-down", CHECKED_FAST, logs=3)
def all_servers_down(world):
    take_down(world, "web-a", "web-b")
    client = world.client()
    client.request(get("/1"))
    client.request(get("/2", "Cookie: SERVER=web-a"))
    client.request(get("/3", "Content-Length: 2", method="POST", body=b"ab"))
    client.end()
    bring_up(world, "web-a", "web-b")


@case("server-comes-back", CHECKED_FAST, logs=14)
def server_comes_back(world):
    """One failed check takes it DOWN, the fifth that passes brings it UP: two requests after each check."""
    take_down(world, "web-a")
    world["web-a"].health = HEALTHY
    for _ in range(7):
        world["web-a"].wait_checks(1)
        time.sleep(MOMENT_SECONDS)
        ask(world, 2)


@case("fall-3-rise-2", FALL_3_RISE_2, logs=18)
def fall_3_rise_2(world):
    """A server that was UP for long needs three failures, then two passes: two requests after each check."""
    world["web-a"].wait_checks(3)
    for health, checks in ((SICK, 5), (HEALTHY, 4)):
        world["web-a"].health = health
        for _ in range(checks):
            world["web-a"].wait_checks(1)
            time.sleep(MOMENT_SECONDS)
            ask(world, 2)


@case("fall-3-rise-2-flapping", FALL_3_RISE_2, logs=8)
def fall_3_rise_2_flapping(world):
    """Failures count only in a row: two, a pass, two more leave it UP."""
    world["web-a"].wait_checks(4)
    for health, checks in ((SICK, 2), (HEALTHY, 1), (SICK, 1)):
        world["web-a"].health = health
        for _ in range(checks):
            world["web-a"].wait_checks(1)
            time.sleep(MOMENT_SECONDS)
            ask(world, 2)
    bring_up(world, "web-a", checks=3)


@case("kept-connection-to-down-server", CHECKED_FAST, logs=3)
def kept_connection_to_down_server(world):
    client = world.client()
    client.request(get("/1", "Cookie: SERVER=web-a"))
    take_down(world, "web-a")
    client.request(get("/2", "Cookie: SERVER=web-a"))
    client.request(get("/3"))
    client.end()
    bring_up(world, "web-a")


@case("request-in-flight-when-server-goes-down", CHECKED_FAST)
def request_in_flight_when_server_goes_down(world):
    def script(connection, _request):
        time.sleep(0.4)
        connection.send(ok())
        return True

    world["web-a"].answers(script)
    client = world.client()
    client.send(get())
    world.seen(1)
    take_down(world, "web-a")
    client.response()
    client.end()
    bring_up(world, "web-a")


# What passes a check
for name, answer in {
    "200": HEALTHY,
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "299": b"HTTP/1.1 299 Odd\r\nContent-Length: 0\r\n\r\n",
    "301": b"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\n\r\n",
    "399": b"HTTP/1.1 399 Odd\r\nContent-Length: 0\r\n\r\n",
    "400": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "404": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    "500": b"HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n",
    "100-only": b"HTTP/1.1 100 Continue\r\n\r\n",
    "100-then-200": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "103-then-503": b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
    "coding-twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "length-plus": b"HTTP/1.1 200 OK\r\nContent-Length: +0\r\n\r\n",
    "space-before-colon": b"HTTP/1.1 200 OK\r\nX-A : a\r\nContent-Length: 0\r\n\r\n",
    "head-only-no-length": b"HTTP/1.0 200 OK\r\n\r\n",
    "half-a-head": b"HTTP/1.0 200 OK\r\nContent-Le",
    "status-line-only": b"HTTP/1.0 200 OK\r\n",
    "half-a-body": b"HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\nhalf.",
    "bare-lf": b"HTTP/1.0 200 OK\nContent-Length: 0\n\n",
    "rubbish": b"rubbish\r\n\r\n",
    "nothing": b"",
    "http-0.9": b"<html>",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "chunked-bad": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "big-body": b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000,
    "big-head": b"HTTP/1.1 200 OK\r\nX-A: " + b"x" * 20_000 + b"\r\n\r\n",
}.items():

    def run(world, answer=answer):
        world["web-a"].health = answer
        world["web-a"].wait_checks(2)
        time.sleep(MOMENT_SECONDS)
        ask(world, 2)
        bring_up(world, "web-a")

    case(f"check-answer-{name}", CHECKED_FAST, logs=2)(run)


@case("check-answer-late-but-in-time", CHECKED_SLOWLY, logs=2)
def check_answer_late_but_in_time(world):
    def late(connection):
        time.sleep(0.2)
        connection.send(HEALTHY)

    world["web-a"].health = late
    world["web-a"].wait_checks(2)
    time.sleep(MOMENT_SECONDS)
    ask(world, 2)


@case("check-answer-none-in-time", CHECKED_SLOWLY, logs=2)
def check_answer_none_in_time(world):
    """The check's interval is its whole budget."""
    world["web-a"].health = None
    world["web-a"].wait_checks(2)
    time.sleep(MOMENT_SECONDS)
    ask(world, 2)


@case("check-connection-refused", CHECKED_FAST, logs=2)
def check_connection_refused(world):
    world["web-a"].refuse()
    time.sleep(0.5)
    ask(world, 2)
    world["web-a"].open_again()
    bring_up(world, "web-a")


# What is asked
for configuration in CHECK_VARIANTS:

    def check_request(world):
        world["web-a"].wait_checks(1)
        world.record.add("check request", world["web-a"].checks[-1])
        ask(world, 2)

    case(f"check-request-{configuration.name.removeprefix('check-')}", configuration, logs=2)(check_request)


@case("check-tcp", CHECKED_TCP, logs=2)
def check_tcp(world):
    world["web-a"].refuse()
    time.sleep(0.5)
    ask(world, 2)


# Backups, and servers without weight
@case("backup-not-used", BACKUPS, logs=4)
def backup_not_used(world):
    ask(world, 4)


@case("backup-cookie", BACKUPS)
def backup_cookie(world):
    ask(world, 1, "Cookie: SERVER=web-c")


@case("backup-used-when-all-down", BACKUPS, logs=4)
def backup_used_when_all_down(world):
    take_down(world, "web-a", "web-b")
    ask(world, 4)
    bring_up(world, "web-a", "web-b")


@case("backup-left-when-one-is-back", BACKUPS, logs=6)
def backup_left_when_one_is_back(world):
    take_down(world, "web-a", "web-b")
    ask(world, 2)
    bring_up(world, "web-b")
    ask(world, 4)
    bring_up(world, "web-a")


@case("second-backup-when-first-down", BACKUPS, logs=2)
def second_backup_when_first_down(world):
    take_down(world, "web-a", "web-b", "web-c")
    ask(world, 2)
    bring_up(world, "web-a", "web-b", "web-c")


@case("weight-0-persistent-only", PERSISTENT_LEFT_ALONE, logs=5)
def weight_0_persistent_only(world):
    for number, lines in enumerate([[], [], [], ["Cookie: SERVER=web-c"], ["Cookie: SERVER=web-d"]]):
        client = world.client(f"client {number}")
        client.request(get(f"/{number}", *lines))
        client.close()
