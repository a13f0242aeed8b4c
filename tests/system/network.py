"""Several machines' networks on one: a namespace each, and a cable between every two that can be cut without a word.

enter() starts the program again in namespaces of its own, so that everything here is gone when it ends, however it ends.
Each machine has one address; the way to another leads over a bridge of its own, whose port is the cable: with the port
down, packets are lost in silence, as when a switch dies.
"""

import itertools
import os
import shutil
import subprocess
import sys

from lab import expect, skip, tool

INSIDE = "LOCKSTEP_TEST_NETWORK"
NAMES = ["alpha", "beta", "gamma"]


def enter():
    """Goes on only inside; skips the test where that is not possible."""
    if os.environ.get(INSIDE):
        return
    if os.geteuid() != 0:
        skip("network namespaces need root")
    expect(shutil.which("ip") and shutil.which("unshare"), "iproute2 and util-linux have to be installed")
    probe = "ip netns add probe && ip link add cable type bridge"
    wrapped = ["unshare", "--net", "--mount", "bash", "-c", "mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns && "]
    if subprocess.run([*wrapped[:-1], wrapped[-1] + probe], capture_output=True, check=False).returncode != 0:
        skip("this machine has no network namespaces or no bridges")
    os.environ[INSIDE] = "1"
    os.execvp("unshare", [*wrapped[:-1], wrapped[-1] + 'exec "$@"', "network", sys.executable, *sys.argv])


def remove():
    """Everything that a Network made, for one after another in one program. Nothing may run there any more."""
    for name in NAMES:
        tool("ip", "netns", "delete", name)
    for one, other in itertools.combinations(NAMES, 2):
        tool("ip", "link", "delete", f"br-{one[0]}{other[0]}")


class Network:
    """The machines and their cables."""

    def __init__(self, names=None):
        self.names = names or NAMES
        self.addresses = {name: f"10.99.0.{number}" for number, name in enumerate(self.names, 1)}
        for name, address in self.addresses.items():
            tool("ip", "netns", "add", name)
            tool("ip", "-n", name, "link", "set", "lo", "up")
            tool("ip", "-n", name, "address", "add", f"{address}/32", "dev", "lo")
        for one, other in itertools.combinations(self.names, 2):
            bridge = f"br-{one[0]}{other[0]}"
            tool("ip", "link", "add", bridge, "type", "bridge")
            tool("ip", "link", "set", bridge, "up")
            for here, there in [(one, other), (other, one)]:
                port = self._port(here, there)
                tool("ip", "link", "add", port, "type", "veth", "peer", "name", there, "netns", here)
                tool("ip", "link", "set", port, "master", bridge, "up")
                tool("ip", "-n", here, "link", "set", there, "up")
                tool("ip", "-n", here, "route", "add", f"{self.addresses[there]}/32", "dev", there,
                     "src", self.addresses[here])

    @staticmethod
    def _port(here, there):
        return f"{here[0]}-{there[0]}"

    def place(self, name):
        return self.addresses[name], ["ip", "netns", "exec", name]

    def cut(self, one, other):
        tool("ip", "link", "set", self._port(one, other), "down")

    def heal(self, one, other):
        tool("ip", "link", "set", self._port(one, other), "up")

    def isolate(self, name):
        for other in self.names:
            if other != name:
                self.cut(name, other)

    def rejoin(self, name):
        for other in self.names:
            if other != name:
                self.heal(name, other)
