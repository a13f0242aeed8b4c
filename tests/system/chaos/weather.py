"""What the cables of network.Network do besides being whole or cut: lose everything one way, lose some packets, be slow.

Losses are nft's, at the switch port where a machine's packets come in; slowness is a token bucket on the port where they
leave to the other machine. Where the kernel or nft can't do it, can_lose and can_slow say so and the plan does without.
"""

import itertools
import shutil
import subprocess

from network import Network

TABLE = "chaos"


def _works(*argv):
    return shutil.which(argv[0]) is not None and subprocess.run(argv, capture_output=True, check=False).returncode == 0


class Weather(Network):
    def __init__(self, names, planes=1):
        super().__init__(names, planes)
        self.can_lose = all([_works("nft", "add", "table", "netdev", TABLE)]
                            + [self._add_chain(*pair, plane) for pair in itertools.permutations(names, 2) for plane in self.planes])
        port = self._port("alpha", "beta")
        self.can_slow = _works("tc", "qdisc", "add", "dev", port, "root", "tbf", *self._bucket(1))
        self.clear()

    def _add_chain(self, here, there, plane):
        port = self._port(here, there, plane)
        return _works("nft", "add", "chain", "netdev", TABLE, port,
                      f'{{ type filter hook ingress device "{port}" priority 0; }}')

    @staticmethod
    def _bucket(mbit):
        return ["rate", f"{mbit}mbit", "burst", "16k", "latency", "400ms"]

    def lose(self, sender, receiver, plane, percent):
        """Packets of one machine to another are lost: at random, with 100 all of them, with 0 none."""
        port = self._port(sender, receiver, plane)
        which = [] if percent >= 100 else ["numgen", "random", "mod", "100", "<", str(percent)]
        if self.can_lose:
            _works("nft", "flush", "chain", "netdev", TABLE, port)
        if percent:
            _works("nft", "add", "rule", "netdev", TABLE, port, *which, "drop")

    def slow(self, one, other, plane, mbit):
        for sender, receiver in [(one, other), (other, one)]:
            _works("tc", "qdisc", "replace", "dev", self._port(receiver, sender, plane), "root", "tbf", *self._bucket(mbit))

    def fast(self, one, other, plane):
        for here, there in [(one, other), (other, one)]:
            _works("tc", "qdisc", "delete", "dev", self._port(here, there, plane), "root")

    def clear(self):
        """Every cable is as good as new."""
        for (one, other), plane in itertools.product(itertools.combinations(self.names, 2), self.planes):
            self.fast(one, other, plane)
            for here, there in [(one, other), (other, one)]:
                self.heal(here, there, plane)
                self.lose(here, there, plane, 0)
