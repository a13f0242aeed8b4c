"""Several machines' networks on one: a namespace each, and a cable between every two that can be cut without a word.

enter() starts the program again in namespaces of its own, so that everything here is gone when it ends, however it ends.
Each machine has one address; the way to another leads over a bridge of its own, whose port is the cable: with the port
down, packets are lost in silence, as when a switch dies.
"""

import itertools
import json
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
        tool("ip", "link", "delete", f"br-{one[0]}{other[0]}0")


class Network:
    """The machines and their cables. With several planes each machine has an address in each, and each plane has its own cables."""

    def __init__(self, names=None, planes=1):
        self.names = names or NAMES
        self.planes = range(planes)
        for name in self.names:
            tool("ip", "netns", "add", name)
            tool("ip", "-n", name, "link", "set", "lo", "up")
            for plane in self.planes:
                self.address_appears(name, plane)
        for one, other in itertools.combinations(self.names, 2):
            for plane in self.planes:
                self._connect(one, other, plane)

    def _connect(self, one, other, plane):
        bridge = f"br-{one[0]}{other[0]}{plane}"
        tool("ip", "link", "add", bridge, "type", "bridge")
        tool("ip", "link", "set", bridge, "up")
        for here, there in [(one, other), (other, one)]:
            port, inside = self._port(here, there, plane), f"{there}{plane}"
            tool("ip", "link", "add", port, "type", "veth", "peer", "name", inside, "netns", here)
            tool("ip", "link", "set", port, "master", bridge, "up")
            tool("ip", "-n", here, "link", "set", inside, "up")
            tool("ip", "-n", here, "route", "add", f"{self.address(there, plane)}/32", "dev", inside,
                 "src", self.address(here, plane))

    @staticmethod
    def _port(here, there, plane=0):
        return f"{here[0]}-{there[0]}{plane}"

    def address(self, name, plane=0):
        return f"10.99.{plane}.{self.names.index(name) + 1}"

    def address_appears(self, name, plane):
        tool("ip", "-n", name, "address", "add", f"{self.address(name, plane)}/32", "dev", "lo")

    def address_goes(self, name, plane):
        """With the routes that need it."""
        tool("ip", "-n", name, "address", "del", f"{self.address(name, plane)}/32", "dev", "lo")

    def routes_return(self, name, plane):
        for other in self.names:
            if other != name:
                tool("ip", "-n", name, "route", "replace", f"{self.address(other, plane)}/32", "dev", f"{other}{plane}",
                     "src", self.address(name, plane))

    def paths(self, nodes):
        """Connections of these nodes with a path in each plane."""
        def path(one, other, plane):
            return "    path { " + " ".join(f"host {node.name} address {self.address(node.name, plane)}:{node.port};"
                                            for node in (one, other)) + " }\n"
        return "".join("  connection {\n" + "".join(path(one, other, plane) for plane in self.planes) + "  }\n"
                       for one, other in itertools.combinations(nodes, 2))

    def place(self, name):
        return self.address(name), ["ip", "netns", "exec", name]

    def cut(self, one, other, plane=0):
        tool("ip", "link", "set", self._port(one, other, plane), "down")

    def heal(self, one, other, plane=0):
        tool("ip", "link", "set", self._port(one, other, plane), "up")

    def carried(self, one, other, plane):
        """Bytes that have gone over this cable so far."""
        shown = tool("ip", "-s", "-j", "link", "show", self._port(one, other, plane))
        counted = json.loads(shown.stdout)[0]["stats64"]
        return counted["rx"]["bytes"] + counted["tx"]["bytes"]

    def isolate(self, name):
        for other in self.names:
            if other != name:
                self.cut(name, other)

    def rejoin(self, name):
        for other in self.names:
            if other != name:
                self.heal(name, other)
