"""What happens to lb and to its servers all the while, in a row that is drawn by chance: reloads, right ones and wrong
ones, swaps of policies, servers that come and go, and faults."""

import collections
import random
import signal
import time

from .world import OWN

# Between two things that happen, and between two that servers of `churn` suffer.
PAUSE_SECONDS = 1.5
CHURN_PAUSE_SECONDS = 8
# How long requests may fail for what a server suffered: until its check fails or `timeout server` is over, and some.
AFTERMATH_SECONDS = 3


class Trouble:
    """`play` until told to stop. `suffered` are the times at which servers of `churn` were struck, or came back."""

    def __init__(self, world, seed):
        self.world = world
        self.draw = random.Random(seed)
        self.counts = collections.Counter()
        self.suffered = []
        self.certificate = "one"
        self.listed = list(world.good)

    def play(self, ended, quiet):
        """Until `ended` is set; leaves lb with its first configuration, and all servers well until `quiet` is set: those that
        were started here are killed with the thread that started them."""
        kinds = (self.reload,) * 6 + (self.wrong_reload, self.swap_policy, self.swap_policy, self.fresh_policy, self.renew_certificate,
                 self.found_servers, self.found_servers, self.found_nonsense, self.stalled_log)  # fmt: skip
        churn_due = time.monotonic() + CHURN_PAUSE_SECONDS
        while not ended.wait(PAUSE_SECONDS):
            if time.monotonic() >= churn_due:
                self.strike()
                churn_due = time.monotonic() + CHURN_PAUSE_SECONDS
            kind = self.draw.choice(kinds)
            kind()
            self.counts[kind.__name__.replace("_", " ")] += 1
        self.world.list_servers(self.world.good)
        self.world.write_configuration()
        self.world.reload()
        quiet.wait()

    def reload(self):
        self.world.write_configuration(self.draw)
        self.world.reload()

    def wrong_reload(self):
        self.world.write_configuration(self.draw, mistake=True)
        self.world.reload()

    def swap_policy(self):
        """The file alone: that it changed is seen by `watch`."""
        self.world.put_policy(self.draw.choice(OWN))

    def fresh_policy(self):
        self.world.put_policy(self.draw.choice(OWN), fresh=True)

    def renew_certificate(self):
        self.certificate = "two" if self.certificate == "one" else "one"
        self.world.put_certificate(self.certificate)
        self.world.reload()

    def found_servers(self):
        self.world.list_servers(self.draw.sample(self.world.good, self.draw.randint(1, len(self.world.good))))

    def found_nonsense(self):
        self.world.put_nonsense_for_servers()

    def stalled_log(self):
        """Nobody reads the log for a while."""
        self.world.log.reading.clear()
        time.sleep(1)
        self.world.log.reading.set()

    def strike(self):
        server = self.draw.choice(self.world.churning)
        how = self.draw.choice((self.kill, self.restart, self.stop))
        self.suffered.append(time.time())
        how(server)
        self.suffered.append(time.time())
        self.counts[f"{how.__name__} of a server"] += 1

    @staticmethod
    def kill(server):
        server.kill()
        time.sleep(2)
        server.start()

    @staticmethod
    def restart(server):
        """As a deployment does, but for the drain."""
        server.kill()
        server.start()

    @staticmethod
    def stop(server):
        server.signal(signal.SIGSTOP)
        time.sleep(1.5)
        server.signal(signal.SIGCONT)

    def explains(self, at):
        """Whether something of churn's had just happened at this time, or was about to."""
        return any(-0.5 < at - time < AFTERMATH_SECONDS for time in self.suffered)
