"""Limits on client connections: past them a connection waits and nothing is refused. And the plain log."""

import time

from configurations import FULL_FRONTEND, FULL_LISTENER, FULL_PROCESS, LOG_PLAIN
from twin.suite import case, get

WAITING_SECONDS = 0.2


def waits(client):
    """Records whether a request that was sent stays without an answer for now."""
    try:
        client.fill(WAITING_SECONDS)
        client.record.add(f"{client.label} waits", "no")
    except Exception:
        client.record.add(f"{client.label} waits", "yes")


def one_too_many(world, held_ports, late_port):
    held = [world.client(f"client {number}", port=port) for number, port in enumerate(held_ports)]
    for client in held:
        client.request(get())
    late = world.client("late client", port=late_port)
    late.send(get("/late"))
    waits(late)
    held[0].close()
    late.response()
    late.end()


@case("frontend-full", FULL_FRONTEND, logs=2)
def frontend_full(world):
    one_too_many(world, [0], 0)


@case("frontend-full-other-listener", FULL_FRONTEND, logs=2)
def frontend_full_other_listener(world):
    one_too_many(world, [0], 1)


@case("listener-full", FULL_LISTENER, logs=2)
def listener_full(world):
    one_too_many(world, [0], 0)


@case("listener-full-other-free", FULL_LISTENER, logs=2)
def listener_full_other_free(world):
    one_too_many(world, [0], 1)


@case("process-full", FULL_PROCESS, logs=3)
def process_full(world):
    one_too_many(world, [0, 1], 0)


@case("log-plain", LOG_PLAIN, logs=0)
def log_plain(world):
    client = world.client()
    client.request(get("/1"))
    client.request(get("/2"))
    client.end()
    time.sleep(0.05)
