"""The scenes: what goes wrong, and when. Each is played behind lb and behind HAProxy."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from .load import Load

CLIENTS = 32
BEFORE, AFTER = 0.6, 1.3


@dataclass
class Scene:
    """`play` does it to a running world; the rest is what the world is like, in HAProxy's words and lb's."""

    name: str
    what: str
    play: Callable[..., Awaitable]
    behaviours: tuple = ("well", "well")
    checked: bool = True
    server: tuple = ("", "")
    log: str = "null"
    descriptors: int = 0
    # In MiB, of the process and its kernel's buffers: past that the kernel kills it.
    memory: int = 0
    # Whether the time of day is what `World.jump` says.
    clock: bool = False
    # The share of requests that may fail whatever proxy there is: how many were under way when it happened is chance, and
    # what has a body and no promise that it may come twice is sent to one server once.
    may_fail: float = 0.0


SCENES = []


def scene(what, **options):
    def add(play):
        SCENES.append(Scene(play.__name__.replace("_", "-"), what, play, **options))
        return play

    return add


async def under_load(world, during=None, clients=CLIENTS, **load):
    """Some calm, then what happens, then as long as it takes to be over; what the clients saw."""
    load = Load(world.port, clients, **load)
    await asyncio.sleep(BEFORE)
    if during:
        await during()
    await asyncio.sleep(AFTER)
    return await load.stop()


@scene("nothing happens")
async def calm(world):
    return await under_load(world)


@scene("a server is killed, and comes back")
async def killed(world):
    async def during():
        world.servers[0].kill()
        await asyncio.sleep(0.8)
        world.servers[0].start()

    return await under_load(world, during)


@scene("a server is killed that nobody checks", checked=False)
async def killed_unchecked(world):
    async def during():
        world.servers[0].kill()

    return await under_load(world, during)


@scene("a server is killed under requests with bodies", may_fail=0.02)
async def killed_under_uploads(world):
    async def during():
        world.servers[0].kill()

    return await under_load(world, during, body=b"x" * 2000)


@scene("a server stands still for a second")
async def stopped(world):
    async def during():
        world.servers[0].signal(signal.SIGSTOP)
        await asyncio.sleep(1.0)
        world.servers[0].signal(signal.SIGCONT)

    return await under_load(world, during)


@scene("a server resets each connection with a request on it", behaviours=("well", "resets"))
async def resetting(world):
    return await under_load(world)


@scene("servers close connections that they said they would keep", behaviours=("closes-early", "closes-early"))
async def early_closing(world):
    return await under_load(world)


# A connection that is closed while the request is on its way: a few in ten thousand, behind either.
@scene("the same under requests with bodies", behaviours=("closes-early", "closes-early"), may_fail=0.002)
async def early_closing_under_uploads(world):
    return await under_load(world, body=b"x" * 2000)


@scene("servers are slow, and take four requests at once", behaviours=("slow", "slow"), server=("maxconn 4", "maxconn = 4"))
async def slow_and_full(world):
    return await under_load(world)


@scene("a server accepts and never answers", behaviours=("well", "silent"))
async def silent(world):
    return await under_load(world)


@scene("a server breaks off its answers", behaviours=("well", "half"))
async def broken_off(world):
    return await under_load(world)


# Who asks while both servers are taken to be UP, or when both are known to be DOWN, is told so at once by either proxy. How many
# that are is chance: who was caught between waits for the turn-around, and asks for nothing else meanwhile.
@scene("all servers are killed, and come back", may_fail=0.1)
async def all_killed(world):
    async def during():
        for server in world.servers:
            server.kill()
        await asyncio.sleep(0.5)
        for server in world.servers:
            server.start()

    return await under_load(world, during)


@scene("the log's disk is full", log="full")
async def log_disk_full(world):
    return await under_load(world)


@scene("the time of day jumps an hour ahead, a day back, and home", clock=True, log="file")
async def clock_jumps(world):
    async def during():
        for seconds in (3600, -86400, 0):
            world.jump(seconds)
            await asyncio.sleep(0.5)

    load = Load(world.port, CLIENTS)
    await asyncio.sleep(BEFORE)
    await during()
    before = world.lines_logged()
    await asyncio.sleep(AFTER)
    seen = await load.stop()
    await asyncio.sleep(0.3)
    # Whoever has stopped writing says nothing of the requests since.
    seen["unlogged"] += world.lines_logged() - before < 100
    return seen


@scene("no descriptors are left", descriptors=400)
async def descriptors_used_up(world):
    return await under_load(world, clients=500, keep=False)


@scene("two hundred clients send a byte now and then")
async def slow_clients(world):
    idle = [await asyncio.open_connection("127.0.0.1", world.port) for _ in range(200)]

    async def drip():
        for byte in b"GET / HTTP":
            for _, writer in idle:
                writer.write(bytes([byte]))
            await asyncio.sleep(0.1)

    seen = await under_load(world, drip)
    for _, writer in idle:
        writer.close()
    return seen


@scene("memory is short, and a thousand clients hold some", memory=48)
async def short_of_memory(world):
    """A third of them have sent half of an upload, a third do not take their answers, a third rest."""
    halves = b"POST / HTTP/1.1\r\nHost: example.test\r\nContent-Length: 400000\r\n\r\n" + b"x" * 200000
    asking = b"GET / HTTP/1.1\r\nHost: example.test\r\n\r\n"
    held = []

    async def during():
        for number in range(999):
            _, writer = await asyncio.open_connection("127.0.0.1", world.port)
            writer.transport.pause_reading()
            writer.write((halves, asking * 100, asking)[number % 3])
            held.append(writer)

    seen = await under_load(world, during)
    for writer in held:
        writer.transport.abort()
    return seen


@scene("ten reloads in a row")
async def reloads(world):
    async def during():
        for _ in range(10):
            world.reload()
            await asyncio.sleep(0.2)

    return await under_load(world, during)


@scene("ten reloads, each client with new connections")
async def reloads_under_new_connections(world):
    async def during():
        for _ in range(10):
            world.reload()
            await asyncio.sleep(0.2)

    return await under_load(world, during, clients=8, keep=False)

