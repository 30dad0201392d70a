"""Who gets the next request: weighted orders, least connections, source hashes, full servers."""

import threading
import time

from configurations import (
    LEASTCONN,
    LEASTCONN_WEIGHTED,
    MAXCONN_1,
    MAXCONN_1_ABORT,
    MAXCONN_ONE_SERVER,
    ROUND_ROBIN_CHECKED,
    ROUND_ROBINS,
    SOURCE_CHECKED,
    SOURCES,
)
from twin.suite import case, get, ok

from .health import bring_up, take_down

# Where requests end at about the same time, how many are left when each is logged is chance.
COUNTS = ("process_conns", "frontend_conns", "backend_conns")


def ask_once(world, label, *lines, source=None):
    client = world.client(label, source=source)
    client.request(get("/" + label.replace(" ", "-"), *lines))
    client.close()


for configuration in ROUND_ROBINS:
    rounds = 2 * configuration.requests

    def in_turn(world, rounds=rounds):
        for number in range(rounds):
            ask_once(world, f"client {number}")

    case(f"order-{configuration.name}", configuration, logs=rounds)(in_turn)


@case("order-when-a-server-leaves-and-returns", ROUND_ROBIN_CHECKED, logs=24)
def order_when_a_server_leaves_and_returns(world):
    for number in range(8):
        ask_once(world, f"client {number}")
    take_down(world, "web-b")
    for number in range(8, 16):
        ask_once(world, f"client {number}")
    bring_up(world, "web-b")
    for number in range(16, 24):
        ask_once(world, f"client {number}")


# Least connections: requests are held open, so that loads differ
class Held:
    """Requests that origins leave unanswered until `let_go`, which answers one after the other."""

    def __init__(self, world):
        self.world = world
        self.clients, self.released, self.answered = [], [], 0
        world.always(self.script)

    def script(self, connection, request):
        connection.read_request_body(expected=False)
        self.released[int(request.path[1:])].wait(5)
        connection.send(ok())
        return True

    def ask(self, count, *lines):
        for _ in range(count):
            number = len(self.released)
            self.released.append(threading.Event())
            client = self.world.client(f"client {number}")
            client.send(get(f"/{number}", *lines))
            self.clients.append(client)
            self.world.seen(number + 1)

    def let_go(self, count=None):
        """Answers all, or the first so many."""
        for _ in range(len(self.clients) if count is None else count):
            client = self.clients.pop(0)
            self.released[self.answered].set()
            self.answered += 1
            client.response()
            self.world.settle(client)


@case("leastconn-idle", LEASTCONN, logs=6)
def leastconn_idle(world):
    for number in range(6):
        ask_once(world, f"client {number}")


@case("leastconn-held", LEASTCONN, logs=7, unordered=True)
def leastconn_held(world):
    held = Held(world)
    held.ask(7)
    held.let_go()


@case("leastconn-after-persistent", LEASTCONN, logs=6, unordered=True)
def leastconn_after_persistent(world):
    held = Held(world)
    held.ask(2, "Cookie: SERVER=web-a")
    held.ask(4)
    held.let_go()


@case("leastconn-weighted-held", LEASTCONN_WEIGHTED, logs=12, unordered=True)
def leastconn_weighted_held(world):
    held = Held(world)
    held.ask(12)
    held.let_go()


@case("leastconn-weighted-idle", LEASTCONN_WEIGHTED, logs=6)
def leastconn_weighted_idle(world):
    for number in range(6):
        ask_once(world, f"client {number}")


# Source
for configuration in SOURCES:

    def by_source(world):
        for number in range(1, 41):
            ask_once(world, f"client {number}", source=f"127.0.{number % 3}.{number}")

    case(f"order-{configuration.name}", configuration, logs=40)(by_source)


@case("source-when-a-server-leaves", SOURCE_CHECKED, logs=36)
def source_when_a_server_leaves(world):
    for phase in range(3):
        for number in range(12):
            ask_once(world, f"client {phase} {number}", source=f"127.0.0.{10 + number}")
        if phase == 0:
            take_down(world, "web-b")
        if phase == 1:
            bring_up(world, "web-b")


@case("source-cookie-first", SOURCE_CHECKED, logs=2)
def source_cookie_first(world):
    ask_once(world, "client 0", "Cookie: SERVER=web-a")
    ask_once(world, "client 1", "Cookie: SERVER=web-c")


# Full servers
@case("queue-served-when-a-place-is-free", MAXCONN_1, logs=4, unordered=True, uncompared=COUNTS)
def queue_served_when_a_place_is_free(world):
    def script(connection, _request):
        time.sleep(0.2)
        connection.send(ok())
        return True

    world.always(script)
    clients = []
    for number in range(4):
        client = world.client(f"client {number}")
        client.send(get(f"/{number}"))
        clients.append(client)
        time.sleep(0.03)
    for client in clients:
        client.response()
        client.end()


@case("queue-timeout", MAXCONN_1, logs=4, unordered=True)
def queue_timeout(world):
    held = Held(world)
    held.ask(2)
    for number in (2, 3):
        client = world.client(f"client {number}")
        client.request(get(f"/{number}", *(["Cookie: SERVER=web-a"] if number == 3 else [])))
        client.end()
    held.let_go()


@case("queue-for-the-cookie-s-server", MAXCONN_1, logs=3, unordered=True, uncompared=COUNTS)
def queue_for_the_cookies_server(world):
    def script(connection, _request):
        time.sleep(0.2)
        connection.send(ok())
        return True

    world.always(script)
    clients = []
    for number in range(3):
        client = world.client(f"client {number}")
        client.send(get(f"/{number}", "Cookie: SERVER=web-a"))
        clients.append(client)
        time.sleep(0.03)
    for client in clients:
        client.response()
        client.end()


@case("queue-client-leaves", MAXCONN_1, logs=3, unordered=True, uncompared=("server_conns",))
def queue_client_leaves(world):
    held = Held(world)
    held.ask(2)
    leaving = world.client("client 2")
    leaving.send(get("/2"))
    time.sleep(0.05)
    leaving.reset()
    time.sleep(0.05)
    world.always(world["web-b"].plain_answer)
    held.let_go(1)
    world.proxy.wait_lines(world.lines_before + 2, 1.0)
    world.settle(leaving)
    held.let_go()


@case("queue-client-half-closes", MAXCONN_1, logs=3, unordered=True)
def queue_client_half_closes(world):
    held = Held(world)
    held.ask(2)
    client = world.client("client 2")
    client.send(get("/2"))
    time.sleep(0.05)
    client.half_close()
    world.always(world["web-b"].plain_answer)
    held.let_go(1)
    client.response()
    client.end(1.0)
    world.settle(client)
    held.let_go()


@case("queue-abort-client-half-closes", MAXCONN_1_ABORT, logs=3, unordered=True, uncompared=COUNTS)
def queue_abort_client_half_closes(world):
    leave_the_queue(world, lambda client: client.half_close())


@case("queue-abort-client-resets", MAXCONN_1_ABORT, logs=3, unordered=True, uncompared=COUNTS)
def queue_abort_client_resets(world):
    leave_the_queue(world, lambda client: client.reset())


def leave_the_queue(world, leave):
    held = Held(world)
    held.ask(2)
    client = world.client("client 2")
    client.send(get("/2"))
    time.sleep(0.05)
    leave(client)
    world.proxy.wait_lines(world.lines_before + 1, 1.0)
    held.let_go()


@case("one-server-full", MAXCONN_ONE_SERVER, logs=5, unordered=True)
def one_server_full(world):
    held = Held(world)
    held.ask(5)
    held.let_go()
