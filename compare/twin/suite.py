"""How a case is declared: `@case(...)` on a function of the world, or `exchange(...)` for the plain ones."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from .configuration import Configuration


@dataclass
class Case:
    """`logs`: how many log lines to wait for; `unordered`: lines end at the same time, sort them;
    `uncompared`: fields of the log that no two runs agree on, such as the bytes of a download cut off.
    """

    name: str
    configuration: Configuration
    run: Callable
    logs: int = 1
    unordered: bool = False
    uncompared: tuple = ()


CASES = []


def case(name, configuration, logs=1, unordered=False, uncompared=()):
    def declare(function):
        assert all(known.name != name for known in CASES), f"two cases are called {name}"
        CASES.append(Case(name, configuration, function, logs, unordered, uncompared))
        return function

    return declare


def exchange(name, configuration, request, answer=None, method="GET", logs=1):
    """One request, one answer, on a connection of its own."""

    def run(world):
        if answer is not None:
            world.answer(answer)
        client = world.client()
        client.request(request, method)
        client.end()

    case(name, configuration, logs)(run)


def get(path="/", *headers, method="GET", version="HTTP/1.1", host=True, body=b""):
    """A request, header lines as given."""
    lines = [f"{method} {path} {version}"] + (["Host: example.test"] if host else []) + list(headers)
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def ok(*headers, status="200 OK", body=b"ok\n", version="HTTP/1.1", length=True):
    """An answer, header lines as given, after its Content-Length."""
    lines = [f"{version} {status}"] + ([f"Content-Length: {len(body)}"] if length else []) + list(headers)
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def then_close(data):
    """A script: reads the request, sends `data`, closes."""

    def script(connection, _request):
        connection.read_request_body(expected=False)
        connection.send(data)
        return False

    return script


def then_reset(data):
    """A script: reads the request, sends `data`, lets it arrive, and resets the connection."""

    def script(connection, _request):
        connection.read_request_body(expected=False)
        connection.send(data)
        time.sleep(0.05)
        connection.reset()
        return False

    return script


def then_silence(data=b""):
    """A script: reads the request, sends `data`, and says nothing more until the proxy lets go."""

    def script(connection, _request):
        connection.read_request_body(expected=False)
        if data:
            connection.send(data)
        connection.wait_closed()
        return False

    return script
