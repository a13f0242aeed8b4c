#!/usr/bin/python3
"""QEMU's block layer behind an address that moves with the Primary: moving_address.py SCENARIO (each is a function below).

alpha, beta, the witness and the client are machines of their own, with TLS on every connection between them. The client's
qemu-storage-daemon opens the export at an address that goes from node to node, and serves it on by a unix socket: there a load
writes, which may see no error whatever happens to the Primary. Needs root.
"""

import shutil
import sys
import time
from pathlib import Path

import nbd
import network
from failover import REFUSED, export_size
from keys import pre_shared_keys
from lab import BLOCK, MIB, LabError, Writer, check_writes, expect, flip, free_port, run, skip, step, tool, wait_until
from link_tls import SecureCluster
from nbd_clients import clients_of

BLOCKS = 4096  # what the loads write to; the disks are larger
SERVICE = "10.98.0.100"
DEVICE = "lan0"
ANNOUNCE = Path(__file__).resolve().with_name("announce.py")


def inside(name, *argv, **options):
    """A program on one of the machines."""
    return tool("ip", "netns", "exec", name, *argv, **options)


def setting(name, key, value):
    inside(name, "sysctl", "-q", "-w", f"net.ipv4.{key}={value}")


class Lan:
    """The segment that clients share with the nodes. An address is where it was announced last."""

    def __init__(self, names):
        tool("ip", "link", "add", "lan", "type", "bridge")
        tool("ip", "link", "set", "lan", "up")
        for number, name in enumerate(names, 1):
            tool("ip", "link", "add", f"lan-{name}", "type", "veth", "peer", "name", DEVICE, "netns", name)
            tool("ip", "link", "set", f"lan-{name}", "master", "lan", "up")
            tool("ip", "-n", name, "address", "add", f"10.98.0.{number}/24", "dev", DEVICE)
            tool("ip", "-n", name, "link", "set", DEVICE, "up")

    @staticmethod
    def cut(name):
        tool("ip", "link", "set", f"lan-{name}", "down")

    @staticmethod
    def heal(name):
        tool("ip", "link", "set", f"lan-{name}", "up")


class Site(SecureCluster):
    """The cluster, the address, the segment that it moves on, and the client's machine."""

    def __init__(self, listen="0.0.0.0"):
        super().__init__(size=48 * MIB, network=network.Network())
        tool("ip", "netns", "add", "client")
        self.lan = Lan(["alpha", "beta", "client"])
        # QEMU asks for keep-alive and leaves its pace to the machine, where it is two hours.
        for key in ["time", "intvl"]:
            setting("client", f"tcp_keepalive_{key}", 1)
        self.qemu = None
        self.service_port = free_port()
        psk = pre_shared_keys(self.keys / "keys.psk", "alice")
        certificate, key = self.authority.server(lines=f"ip_address = {SERVICE}")
        self.options = (f"nbd-tls forced; nbd-tls-certificate {certificate}; nbd-tls-key {key}; nbd-tls-ca {self.authority.ca}; "
                        f"nbd-tls-psk {psk};")
        for node in self.nodes:
            node.more += f"    nbd {listen}:{self.service_port};\n"
        self.write_config()

    def address_appears(self, node):
        tool("ip", "-n", node.name, "address", "add", f"{SERVICE}/32", "dev", DEVICE)
        self.spawn(f"announce-{len(self.others)}", "ip", "netns", "exec", node.name, "/usr/bin/python3", ANNOUNCE, DEVICE, SERVICE)

    def address_goes(self, node):
        tool("ip", "-n", node.name, "address", "del", f"{SERVICE}/32", "dev", DEVICE)

    def address_moves(self, old, new):
        self.address_goes(old)
        self.address_appears(new)

    def isolate(self, node):
        self.lan.cut(node.name)
        self.network.isolate(node.name)

    def reconnect(self, node):
        """As whoever manages the address would: it is not on two machines of one segment."""
        self.address_goes(node)
        self.network.rejoin(node.name)
        self.lan.heal(node.name)

    def by_certificate(self):
        directory = self.authority.directory / "of-client1"
        if not directory.exists():
            self.authority.client_directory("client1", "organization = Example")
        return f"tls-creds-x509,id=t,dir={directory},endpoint=client,verify-peer=yes"

    def by_psk(self):
        return f"tls-creds-psk,id=t,dir={self.keys},endpoint=client,username=alice"


class Qemu:
    """qemu-storage-daemon on the client's machine."""

    def __init__(self, site, credentials, delay=60):
        self.socket = site.directory / "qemu.sock"
        self.uri = f"nbd+unix:///r0?socket={self.socket}"
        self.process = site.spawn(
            "qemu", "ip", "netns", "exec", "client", "qemu-storage-daemon", "--object", credentials, "--blockdev",
            f"driver=nbd,node-name=n,export=r0,server.type=inet,server.host={SERVICE},server.port={site.service_port},"
            f"server.keep-alive=on,tls-creds=t,reconnect-delay={delay},open-timeout=60",
            "--nbd-server", f"addr.type=unix,addr.path={self.socket}", "--export", "nbd,id=e,node-name=n,name=r0,writable=on")
        site.qemu = self

    def serves(self):
        expect(self.process.alive(), f"qemu-storage-daemon ended\n{self.process.tail()}")
        return tool("nbdinfo", "--size", self.uri, check=False).returncode == 0

    def wait(self):
        wait_until(self.serves, "qemu-storage-daemon to serve")

    @staticmethod
    def attempts():
        """Connections that were asked for on its machine so far."""
        names, values = [line.split() for line in inside("client", "cat", "/proc/net/snmp").stdout.splitlines() if line.startswith("Tcp:")]
        return int(values[names.index("ActiveOpens")])

    @staticmethod
    def waits_for_answers():
        """The other machine has taken all that this one has sent: nothing is left that would be sent again by itself."""
        lines = inside("client", "ss", "-Htn", "dst", SERVICE).stdout.splitlines()
        return lines and all(line.split()[:3] == ["ESTAB", "0", "0"] for line in lines)


def unharmed(summary):
    """The load had an answer to every write, and a good one, by the one connection that it had."""
    expect(summary["finished"] and not summary["errors"] and not summary["unanswered"] and summary["connections"] == 1,
           f"the client noticed: {summary}")


def through(site, primary, happening):
    """A load, what happens under it, and all well again; every answered write is there. Returns who is Primary then."""
    name = happening.__name__
    writer = Writer(site, f"{name}-{len(site.others)}", [site.qemu.uri], BLOCKS)

    def answers(count):
        """More answers; a load that has ended has met an error."""
        target = writer.answered() + count
        wait_until(lambda: writer.answered() >= target or not writer.process.alive(), f"{target} answered writes")
        if not writer.process.alive():
            unharmed(writer.finish())

    answers(1000)
    began = time.monotonic()
    primary, repair = happening(site, primary)
    took = time.monotonic() - began
    answers(1000)
    repair()
    for node in site.nodes:
        node.wait_sync()
    answers(500)
    summary = writer.stop()
    step(f"{name}: {primary.name} is ready after {took:.2f} s; {summary['answered']} writes, the longest time without an answer "
         f"{summary['longest_gap']:.2f} s")
    unharmed(summary)
    check_writes(site, site.qemu.uri, BLOCKS, [writer.log])
    return primary


def through_all(site, primary, who, *happenings):
    """One after the other with one client that stays; then both copies are compared."""
    for happening in happenings:
        primary = through(site, primary, happening)
        shown = {(is_["client"], is_["tls"], is_["writes"]) for is_ in clients_of(primary)}
        expect(shown == {(who, True, True)}, f"who is there: {shown}")
    size = export_size(primary)
    expect(site.qemu.process.stop() == 0, "qemu-storage-daemon did not end well")
    site.compare_disks(size)
    step("the copies are equal")


def ready(site, credentials, **options):
    """alpha is Primary, the address is there, and the client has it open. Returns who is Primary."""
    site.bring_up(primary=site.alpha, **options)
    site.address_appears(site.alpha)
    Qemu(site, credentials).wait()
    return site.alpha


def end_connections(name, end):
    """Those with the service, as seen by this machine. A Primary gives a client up after a minute by itself: longer than that waits."""
    if not inside(name, "ss", "-HntK", end, SERVICE).stdout.strip():
        skip("this kernel does not end connections for others (CONFIG_INET_DIAG_DESTROY)")


# What happens to a Primary: each returns who is Primary then, and what makes all well again.


def nothing_to_repair():
    pass


def killed(site, primary):
    """The daemon dies; the address follows the role."""
    other = site.peer(primary)
    primary.daemon.kill()
    other.promote()
    site.address_moves(primary, other)
    return other, lambda: site.rejoin(primary)


def killed_and_moved_at_once(site, primary):
    """The address is there before the role: who comes meanwhile is refused, and comes again."""
    other = site.peer(primary)
    primary.daemon.kill()
    site.address_moves(primary, other)
    other.promote()
    return other, lambda: site.rejoin(primary)


def stopped(site, primary):
    """SIGTERM, as for an upgrade. It is served for some seconds more, in case it leaves, and then hung up on."""
    other = site.peer(primary)
    primary.daemon.stop()
    other.promote()
    site.address_moves(primary, other)
    return other, lambda: site.rejoin(primary)


def restarted(site, primary):
    """The same Primary once more, before another was asked."""
    primary.daemon.kill()
    site.rejoin(primary)
    primary.promote()
    return primary, nothing_to_repair


def cut_off(site, primary):
    """The Primary's machine is off every network, and has the address until it is back."""
    other = site.peer(primary)
    site.isolate(primary)
    other.promote()
    site.address_appears(other)

    def repair():
        site.reconnect(primary)
        wait_until(lambda: primary.role() == "Secondary", f"{primary.name} to be Secondary")

    return other, repair


def fell_silent(site, primary):
    """As a machine that dies when it has taken requests and not answered: no packet is on its way, and none will be but keep-alive's."""
    primary.daemon.pause()
    wait_until(site.qemu.waits_for_answers, "the requests to be taken")
    other, repair = cut_off(site, primary)

    def wake_up():
        primary.daemon.resume()
        repair()

    return other, wake_up


def switched_over(site, primary):
    """In good order. A client that stays keeps the role where it is: its way is taken from it first, then its connection."""
    other = site.peer(primary)
    said = primary.refuses([REFUSED], "secondary", "r0")
    expect("held open" in said, said)
    site.address_goes(primary)
    end_connections(primary.name, "src")
    wait_until(lambda: not clients_of(primary), "the client's connection to be gone")
    primary.do("secondary", "r0")
    other.do("primary", "r0")
    site.address_appears(other)
    return other, nothing_to_repair


def lost_the_client(site, primary):
    """The client gives up its connection, and the Primary does not learn of it before the client is there again."""
    site.lan.cut("client")
    end_connections("client", "dst")
    site.lan.heal("client")
    return primary, nothing_to_repair


def certificate():
    """A client with a certificate; it may start before there is a Primary."""
    with Site() as site:
        site.bring_up()
        site.address_appears(site.alpha)
        qemu = Qemu(site, site.by_certificate())
        wait_until(lambda: qemu.attempts() >= 2, "the client to come again after a Secondary turned it away")
        site.alpha.promote()
        qemu.wait()
        through_all(site, site.alpha, "certificate CN=client1,O=Example", killed, cut_off, switched_over, restarted)


def pre_shared_key():
    """A client with a key, and nodes that listen at the address itself."""
    with Site(listen=SERVICE) as site:
        site.alpha.do("create-md", "r0")
        site.alpha.start()
        said = site.alpha.refuses([20], "up", "r0")
        expect(f"cannot listen on the NBD address {SERVICE}" in said, said)
        site.alpha.daemon.stop()
        for node in site.nodes:
            setting(node.name, "ip_nonlocal_bind", 1)
        primary = ready(site, site.by_psk(), create=["--force"])
        through_all(site, primary, "psk alice", killed_and_moved_at_once, cut_off, stopped)


def silence():
    """What one side does not tell the other: a machine that dies, a client that comes anew."""
    with Site() as site:
        primary = ready(site, site.by_certificate())
        through_all(site, primary, "certificate CN=client1,O=Example", fell_silent, lost_the_client, fell_silent)


def error_of(action):
    try:
        action()
    except LabError as error:
        return str(error)
    raise LabError("what is wrong was not noticed")


def noticed():
    """What these tests look for is found where it is: an I/O error, a changed block, a difference of the copies."""
    with Site() as site:
        primary = ready(site, site.by_certificate())
        writer = Writer(site, "load", [site.qemu.uri], BLOCKS)
        writer.wait_for(1000)
        unharmed(writer.stop())
        check_writes(site, site.qemu.uri, BLOCKS, [writer.log])
        handle = nbd.NBD()
        handle.connect_uri(site.qemu.uri)
        was = handle.pread(BLOCK, 7 * BLOCK)
        handle.pwrite(bytes([was[0] ^ 1]) + was[1:], 7 * BLOCK)
        said = error_of(lambda: check_writes(site, site.qemu.uri, BLOCKS, [writer.log]))
        expect("block 7 " in said and "1 of 4096 blocks are wrong" in said, said)
        handle.pwrite(was, 7 * BLOCK)
        handle.shutdown()
        check_writes(site, site.qemu.uri, BLOCKS, [writer.log])
        site.qemu.process.stop()
        step("a bit that changed in one block is found")

        Qemu(site, site.by_certificate(), delay=0).wait()
        said = error_of(lambda: through(site, primary, killed))
        expect("'EIO'" in said, said)
        step(f"without reconnect-delay {said}")
        site.qemu.process.stop()
        site.rejoin(primary)
        for node in site.nodes:
            node.wait_sync()
        size = export_size(site.beta)
        site.compare_disks(size)
        flip(primary.disk, 7)
        step(error_of(lambda: site.compare_disks(size)).strip())


SCENARIOS = [certificate, pre_shared_key, silence, noticed]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: moving_address.py {'|'.join(chosen)}")
    network.enter()
    sys.exit(run(chosen[sys.argv[1]]))
