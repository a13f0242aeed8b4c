"""Brings the planned faults about and undoes them."""

import collections
import heapq
import itertools
import time

from lab import step


class Faults:
    def __init__(self, plan, manager, weather, disks, dismiss):
        self.manager, self.weather, self.disks, self.dismiss = manager, weather, disks, dismiss
        self.keepers = manager.keepers
        self.nodes, self.machines = plan.nodes, plan.machines()
        self.planes = range(plan.planes)
        self.order = itertools.count()
        self.agenda = []
        self.began = time.monotonic()
        self.counts = {}
        self.holds = collections.Counter()
        self.apart = set()  # who was told to disconnect and not yet to connect
        for fault in plan.faults:
            self._later(fault.at, lambda fault=fault: self._begin(fault))

    def _later(self, at, action):
        heapq.heappush(self.agenda, (at, next(self.order), action))

    def _now(self):
        return time.monotonic() - self.began

    def tick(self):
        while self.agenda and self.agenda[0][0] <= self._now():
            heapq.heappop(self.agenda)[2]()

    def over(self):
        return not self.agenda

    def _who(self, name):
        if name in self.machines:
            return name
        primary = self.manager.primary()
        first = primary.node.name if primary else self.manager.dice.choice(self.nodes)
        return first if name == "primary" else self.manager.dice.choice([node for node in self.nodes if node != first])

    def _begin(self, fault):
        names = [self._who(name) for name in fault.on]
        step(f"{fault}" + ("" if tuple(names) == fault.on else f": {' '.join(names)}"))
        self.counts[fault.kind] = self.counts.get(fault.kind, 0) + 1
        undo = getattr(self, "_" + fault.kind)(fault, names)
        if undo:
            self._later(self._now() + fault.seconds, undo)

    def heal(self):
        """Everything that is not yet undone, now."""
        self.agenda.clear()
        self.manager.unreachable.clear()
        self.weather.clear()
        for disk in self.disks.values():
            disk.heal()
        for keeper in self.keepers.values():
            keeper.process.resume()
            keeper.held = False
        for name in list(self.apart):
            self._connect(name)

    def _kill(self, fault, names):
        for name in names:
            self.keepers[name].kill(fault.seconds)

    _kill_several = _kill

    def _hold(self, key, begin, end):
        """Begins something that faults which overlap share; what is returned ends it with the last of them."""
        self.holds[key] += 1
        begin()

        def release():
            self.holds[key] -= 1
            if self.holds[key] == 0:
                end()
        return release

    def _pause(self, _fault, names):
        def paused(process):
            return self._hold(("pause", process.name, process.pid), process.pause, process.resume)
        ends = [paused(self.keepers[name].process) for name in names if self.keepers[name].process.alive()]
        return lambda: [end() for end in ends]

    _pause_several = _pause

    def _cable(self, plane, names):
        one, other = sorted(names)
        return self._hold(("cut", one, other, plane), lambda: self.weather.cut(one, other, plane),
                          lambda: self.weather.heal(one, other, plane))

    def _cut(self, fault, names):
        ends = [self._cable(plane, names) for plane in fault.planes]
        return lambda: [end() for end in ends]

    def _isolate(self, _fault, names):
        ends = [self._cable(plane, [names[0], other]) for other in self.machines if other != names[0] for plane in self.planes]
        self.manager.unreachable[names[0]] += 1

        def rejoin():
            self.manager.unreachable[names[0]] -= 1
            for end in ends:
                end()
        return rejoin

    def _lose(self, percent, pairs, planes):
        ends = [self._hold(("lose", *way), lambda way=way: self.weather.lose(*way, percent),
                           lambda way=way: self.weather.lose(*way, 0)) for way in [(*pair, plane) for pair in pairs for plane in planes]]
        return lambda: [end() for end in ends]

    def _one_way(self, fault, names):
        return self._lose(100, [tuple(names)], fault.planes)

    def _lossy(self, fault, names):
        return self._lose(fault.level, [tuple(names), tuple(reversed(names))], fault.planes)

    def _slow(self, fault, names):
        ends = [self._hold(("slow", *sorted(names), plane), lambda plane=plane: self.weather.slow(*names, plane, fault.level),
                           lambda plane=plane: self.weather.fast(*names, plane)) for plane in fault.planes]
        return lambda: [end() for end in ends]

    def _disk_error(self, _fault, names):
        disk = self.disks[names[0]]
        return self._hold(("error", names[0]), disk.fail, disk.repair)

    def _disk_hang(self, _fault, names):
        server = self.disks[names[0]].server
        return self._hold(("hang", names[0]), server.pause, server.resume)

    def _switch_over(self, _fault, names):
        old = self.keepers[names[0]]
        new = self.manager.dice.choice([keeper for keeper in self.manager.nodes if keeper is not old])
        self.dismiss()

        def exchange():
            old.wish("secondary", "r0")
            self._later(self._now() + 0.3, lambda: new.wish("primary", "r0"))
        self._later(self._now() + 0.3, exchange)

    def _invalidate(self, _fault, names):
        self.keepers[names[0]].wish("invalidate", "r0")

    def _disconnect(self, _fault, names):
        self.keepers[names[0]].wish("disconnect", "r0")
        self.apart.add(names[0])
        return lambda: self._connect(names[0])

    def _connect(self, name):
        self.apart.discard(name)
        self.keepers[name].wish("connect", "r0")

    def _down(self, _fault, names):
        keeper = self.keepers[names[0]]
        keeper.held = True
        self.dismiss()
        keeper.wish("down", "r0")

        def come_back():
            keeper.held = False
        return come_back
