"""The load, a process of its own: `load.py PORT TLS_PORT` plays all lanes until its standard input ends. Each second it
prints one line of JSON: how requests ended, by lane, and each end that its lane does not allow, with its time."""

import asyncio
import collections
import json
import random
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from endurance.lanes import LANES, Clients
from fault.load import PATIENCE_SECONDS

# What takes its time by itself, at most.
LONGEST_SECONDS = PATIENCE_SECONDS + 12
# Past so many under way the machine does not keep up, and the rest is not sent: what lb holds follows from how many clients
# it once had, so that a load which piled up now and then would look like something that grows.
MOST_UNDER_WAY = 200
NOT_SENT = "not sent"


class Load:
    def __init__(self, clients):
        self.clients = clients
        self.going = True
        self.counts = collections.defaultdict(collections.Counter)
        self.failures = []
        self.tasks = set()

    async def run(self):
        lanes = [asyncio.create_task(self._lane(lane)) for lane in LANES]
        reporting = asyncio.create_task(self._report())
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        self.going = False
        await asyncio.gather(*lanes)
        await asyncio.gather(*self.tasks)
        reporting.cancel()
        self._print()
        await self.clients.close()

    async def _lane(self, lane):
        due = time.monotonic()
        while self.going:
            due += random.expovariate(lane.per_second)
            await asyncio.sleep(max(0, min(due - time.monotonic(), 1)))
            if len(self.tasks) >= MOST_UNDER_WAY:
                self._note(lane, NOT_SENT)
                continue
            task = asyncio.create_task(self._play(lane))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _play(self, lane):
        try:
            end = await asyncio.wait_for(lane.play(self.clients, lane.path), LONGEST_SECONDS)
        except TimeoutError:
            end = "silence"
        except asyncio.IncompleteReadError as error:
            end = "cut" if error.partial else "closed"
        except OSError as error:
            end = "closed" if isinstance(error, ConnectionError) else type(error).__name__
        self._note(lane, end)

    def _note(self, lane, end):
        self.counts[lane.name][end] += 1
        if end == "silence" or (lane.ends and end not in (*lane.ends, NOT_SENT)):
            self.failures.append((round(time.time(), 3), lane.name, end))

    async def _report(self):
        while True:
            await asyncio.sleep(1)
            self._print()

    def _print(self):
        print(json.dumps({"counts": self.counts, "failures": self.failures}), flush=True)
        self.counts.clear()
        self.failures.clear()


if __name__ == "__main__":
    asyncio.run(Load(Clients(*map(int, sys.argv[1:3]))).run())
