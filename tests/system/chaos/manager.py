"""The cluster manager of a chaos run: what Pacemaker would do, without waiting for anything.

It looks at every node's status, starts what was killed, brings up what is down, takes back disks that failed and are well
again, and asks another node to be Primary when the present one doesn't serve. It believes nobody: whether that is right is
for Lockstep to decide, and refusals are part of the game. Everything happens in tick(), commands run beside it.
"""

import collections
import json
import subprocess
import time

from lab import expect, step

LOOK = 0.2  # seconds between looks at a node
PATIENCE = 20.0  # seconds for a command; some wait for leases to end


class Errand:
    """A command that runs beside the test."""

    def __init__(self, node, *words):
        self.node, self.words, self.end = node, words, time.monotonic() + PATIENCE
        self.child = subprocess.Popen([str(word) for word in node.command(*words)], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.output = ""

    def done(self):
        if self.child.poll() is None and time.monotonic() > self.end:
            self.child.kill()
        if self.child.poll() is None:
            return False
        self.output += self.child.stdout.read()
        self.child.stdout.close()
        return True

    def good(self):
        return self.child.returncode == 0

    def __str__(self):
        said = self.output.strip().splitlines()
        return f"{self.node.name}: {' '.join(self.words)}: {self.child.returncode}{': ' + said[0] if said else ''}"


class Keeper:
    """Looks after one machine: its daemon, and on a data node its resource and disk."""

    def __init__(self, process, node=None, disk=None, dismiss=None):
        self.process, self.node, self.disk = process, node, disk
        self.dismiss = dismiss  # sends the clients away for a moment; a Primary that they use isn't taken down
        self.errand, self.wishes = None, []
        self.look_at = 0.0
        self.state, self.start_at = {}, None
        self.held = False  # kept down on purpose
        self.deaths = 0

    def kill(self, seconds):
        """SIGKILL; it is started again after so long. It may linger until its last I/O is done."""
        self.start_at = time.monotonic() + seconds
        if self.process.alive():
            self.process.child.kill()
        self.state = {}
        self.deaths += 1

    def role(self):
        return self.state.get("role")

    def serves(self):
        return self.role() == "Primary" and not self.state.get("suspended")

    def disk_state(self):
        return (self.state.get("devices") or [{}])[0].get("disk-state")

    def _diskless(self):
        return self.disk_state() in ("Failed", "Diskless")

    def level(self):
        """Its copy and its peers' are known to be the same."""
        def same(link):
            peer = (link.get("peer_devices") or [{}])[0]
            return (link.get("connection-state") == "Connected" and peer.get("peer-disk-state") == "UpToDate"
                    and peer.get("out-of-sync") == 0)
        links = self.state.get("connections") or []
        return self.disk_state() == "UpToDate" and bool(links) and all(map(same, links))

    def wish(self, *words):
        """A command to be run as soon as no other runs here; behind those that were wished for before, also if it was among them."""
        if words in self.wishes:
            self.wishes.remove(words)
        self.wishes.append(words)

    def idle(self):
        """Nothing that changes anything is under way."""
        return not self.wishes and (self.errand is None or self.errand.words[0] == "status")

    def tick(self, now):
        if not self.process.alive():
            self._dead(now)
        elif self.node:
            self._alive(now)

    def _dead(self, now):
        expect(self.start_at is not None, f"{self.process.name} ended by itself, with status "
                                          f"{self.process.child.returncode}\n{self.process.tail()}")
        if now >= self.start_at:
            self.process.start()
            self.start_at, self.state = None, {}

    def _alive(self, now):
        if self.errand and self.errand.done():
            self._finished(self.errand)
            self.errand = None
        if self.errand or self.process.paused:
            return
        if self.wishes:
            self.errand = Errand(self.node, *self.wishes.pop(0))
        elif now >= self.look_at:
            self.look_at = now + LOOK
            self.errand = Errand(self.node, "status", "r0", "--json")

    def _finished(self, errand):
        if errand.words[0] != "status":
            step(f"        {errand}")
            if errand.words[0] == "down" and not errand.good() and self._diskless():
                # Its clients wait for a disk that it won't have: a stop that fails ends in a fence.
                step(f"        {self.node.name}: killed by the manager")
                self.kill(0)
            return
        try:
            self.state = json.loads(errand.output)[0] if errand.good() else {}
        except (ValueError, IndexError):
            self.state = {}
        if self.held:
            return
        if not self.state:
            self.wish("adjust", "r0")
        elif self._diskless() and not (self.disk and self.disk.sick()):
            self.dismiss()
            self.wish("down", "r0")
            self.wish("adjust", "r0")


class Manager:
    def __init__(self, dice, keepers):
        self.dice, self.keepers = dice, keepers
        self.nodes = [keeper for keeper in keepers.values() if keeper.node]
        self.unreachable = collections.Counter()  # names of machines that are cut off, and how many faults do that
        self.bad_since = None
        self.turn_at = 0.0

    def reaches(self, keeper):
        """Whether it knows anything of that node: what runs there goes on, for all it knows, or doesn't."""
        return keeper.process.alive() and not keeper.process.paused and not self.unreachable[keeper.node.name]

    def primary(self):
        """Who serves, or calls himself Primary at least; None if nobody does."""
        for keeper in sorted(self.nodes, key=lambda keeper: not keeper.serves()):
            if keeper.role() == "Primary":
                return keeper
        return None

    def tick(self):
        now = time.monotonic()
        for keeper in self.keepers.values():
            keeper.tick(now)
        served = any(keeper.serves() and self.reaches(keeper) for keeper in self.nodes)
        if served:
            self.bad_since = None
        elif self.bad_since is None:
            self.bad_since = now
        elif now > self.bad_since + 0.3 and now >= self.turn_at:
            self.turn_at = now + 0.5
            self._promote()

    def _promote(self):
        fit = [keeper for keeper in self.nodes if keeper.role() == "Secondary" and self.reaches(keeper) and not keeper.wishes
               and not (keeper.errand and keeper.errand.words[0] == "primary")]
        if fit:
            self.dice.choice(fit).wish("primary", "r0")
