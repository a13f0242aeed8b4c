#!/usr/bin/python3
"""What a Primary tells its NBD clients, and of them: nbd_clients.py SCENARIO (each is a function below)."""

import json
import os
import random
import re
import subprocess
import sys

import nbd
from lab import MIB, Cluster, expect, run, skip, step, tool, wait_until

BLOCK = 4096
OUT, UNDER_WAY, LOCAL_ONLY = 1, 2, 4
STRANGER = 4711  # a user that owns nothing here


def connected(uri, contexts=()):
    handle = nbd.NBD()
    for context in contexts:
        handle.add_meta_context(context)
    handle.connect_uri(uri)
    return handle


def runs(handle, context, size):
    """(offset, length, flags) of the whole export."""
    found, at = [], 0
    while at < size:
        def take(name, offset, entries, _error):
            nonlocal at
            if name != context:
                return
            for length, flags in zip(entries[::2], entries[1::2]):
                found.append((offset, length, flags))
                offset += length
            at = offset
        handle.block_status(min(size - at, 1 << 30), at, take)
    return found


def sync_context():
    """Incremental copying needs to know which copies have what: lockstep:sync."""
    with Cluster(size=36 * MIB) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        uri = alpha.uri()
        listed = tool("nbdinfo", "--list", "--json", uri).stdout
        expect("lockstep:sync" in listed and "base:allocation" in listed, f"contexts are not listed: {listed}")
        handle = connected(uri, ["base:allocation", "lockstep:sync"])
        size = handle.get_size()
        expect(handle.can_meta_context("lockstep:sync"), "the context was not granted")
        expect(runs(handle, "lockstep:sync", size) == [(0, size, 0)], "equal copies are said to differ")
        expect(sum(length for _, length, _ in runs(handle, "base:allocation", size)) == size, "two contexts: the other one is lost")

        beta.do("disconnect", "r0")
        wait_until(lambda: alpha.connection() != "Connected", "the link to go")
        handle.pwrite(b"x" * 2 * BLOCK, 5 * BLOCK)
        handle.pwrite(b"y" * 512, 9 * MIB + 512)
        here = OUT | LOCAL_ONLY
        expected = [(0, 5 * BLOCK, 0), (5 * BLOCK, 2 * BLOCK, here), (7 * BLOCK, 9 * MIB - 7 * BLOCK, 0), (9 * MIB, BLOCK, here),
                    (9 * MIB + BLOCK, size - 9 * MIB - BLOCK, 0)]
        expect(runs(handle, "lockstep:sync", size) == expected, f"{runs(handle, 'lockstep:sync', size)}")
        total = re.search(r"^\s*(\d+)\s+\S+\s+5\b", tool("nbdinfo", "--map=lockstep:sync", "--totals", uri).stdout, re.M)
        expect(total and int(total.group(1)) == 3 * BLOCK, "nbdinfo --map does not show it")
        step("what only this node has is told, block by block")

        beta.do("connect", "r0")
        for node in cluster.nodes:
            node.wait_sync()
        expect(runs(handle, "lockstep:sync", size) == [(0, size, 0)], "still different after the resync")
        handle.shutdown()
        step("and nothing once it is resynced")


PROBE = """
import nbd, sys
h = nbd.NBD()
h.set_opt_mode(True)
h.set_full_info(True)
h.set_strict_mode(0)
h.connect_uri(sys.argv[1])
h.opt_go()
print(h.is_read_only(), h.get_export_description())
try:
    h.pwrite(b"z" * 4096, 0)
    print("written")
except nbd.Error as error:
    print("errno", error.errnum)
print(chr(h.pread(512, 0)[0]))
sys.stdout.flush()
sys.stdin.readline()
try:
    h.pwrite(b"z" * 4096, 0)
    print("written")
except nbd.Error as error:
    print("errno", error.errnum)
"""


class Stranger:
    """A client of another user, at its own pace."""

    def __init__(self, uri):
        self.process = subprocess.Popen(["/usr/bin/python3", "-c", PROBE, uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        user=STRANGER, cwd="/")

    def line(self):
        return self.process.stdout.readline().strip()

    def again(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.line()

    def end(self):
        self.process.kill()
        self.process.wait(10)


def let_everybody_in(node):
    path = re.search(r"socket=([^&]+)", node.uri()).group(1)
    os.chmod(path, 0o666)
    directory = os.path.dirname(path)
    while directory != "/":
        os.chmod(directory, os.stat(directory).st_mode | 0o011)
        directory = os.path.dirname(directory)


def clients_of(node):
    return json.loads(node.do("clients", "r0", "--json"))["clients"]


def single_writer():
    """One client writes at a time; who it is, and what it waits for, is shown."""
    if os.geteuid() != 0:
        skip("only root can be several users")
    with Cluster(size=36 * MIB) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        let_everybody_in(alpha)
        expect("No NBD client" in alpha.do("clients", "r0"), "clients where there are none")
        writer, second = connected(alpha.uri()), connected(alpha.uri())
        writer.pwrite(b"a" * BLOCK, 0)
        second.pwrite(b"a" * BLOCK, BLOCK)

        stranger = Stranger(alpha.uri())
        offered = stranger.line()
        expect(offered.startswith("True") and "uid 0 writes to it" in offered, f"offered: {offered}")
        expect(stranger.line() == "errno 1", "a second client was let write")
        expect(stranger.line() == "a", "it cannot even read")
        step(f"another user is offered the export read-only: {offered[5:]}")
        shown = {(client["client"], client["access"], client["writes"]) for client in clients_of(alpha)}
        expect(("uid 0", "read-write", True) in shown and (f"uid {STRANGER}", "read-only", False) in shown, f"{shown}")
        text = alpha.do("clients", "r0")
        expect(f"uid {STRANGER} unix r0/0 read-only" in text and "uid 0 unix r0/0 read-write, writes" in text, text)
        stranger.end()

        beta.daemon.pause()
        data = nbd.Buffer.from_bytearray(bytearray(b"b" * BLOCK))
        request = writer.aio_pwrite(data, 2 * BLOCK)
        waiting = wait_until(lambda: [op for client in clients_of(alpha) for op in client["in-flight"]], "the write to be in flight", interval=0.01)
        expect((waiting[0]["operation"], waiting[0]["offset"], waiting[0]["length"]) == ("write", 2 * BLOCK, BLOCK), f"{waiting}")
        beta.daemon.resume()
        while not writer.aio_command_completed(request):
            writer.poll(100)
        step("what a client waits for is shown, with its age")

        writer.shutdown()
        second.shutdown()
        wait_until(lambda: not clients_of(alpha), "the clients to be gone")
        stranger = Stranger(alpha.uri())
        expect(stranger.line().startswith("False") and stranger.line() == "written", "the export was not free")
        barred = connected(alpha.uri())
        expect(barred.is_read_only(), "two clients may write")
        barred.shutdown()
        stranger.end()
        step("the next one may write when the last connection of the one before is gone")


def shared_writers():
    """Clients that look after themselves: the daemon's --shared, and the option."""
    if os.geteuid() != 0:
        skip("only root can be several users")
    for how in [{"options": "shared-writers yes;"}, {"daemon_options": ["--shared"]}]:
        both_write(how)


def both_write(how):
    with Cluster(size=36 * MIB, **how) as cluster:
        cluster.bring_up(primary=cluster.alpha)
        let_everybody_in(cluster.alpha)
        writer = connected(cluster.alpha.uri())
        writer.pwrite(b"a" * BLOCK, 0)
        stranger = Stranger(cluster.alpha.uri())
        expect(stranger.line().startswith("False") and stranger.line() == "written", "it is not heard")
        stranger.line()
        writer.pwrite(b"a" * BLOCK, 0)
        expect(stranger.again() == "written", "one was shut out later")
        stranger.end()
        writer.shutdown()
        step(f"both write: {how}")


HOLE, DATA = 3, 0


def allocation_of(handle, size):
    """(offset, length, flags) of base:allocation, neighbours joined."""
    joined = []
    for offset, length, flags in runs(handle, "base:allocation", size):
        if joined and joined[-1][2] == flags:
            joined[-1] = (joined[-1][0], joined[-1][1] + length, flags)
        else:
            joined.append((offset, length, flags))
    return joined


def allocation():
    """A backup of a thin volume reads what is there: base:allocation tells of holes, and only where this node may speak."""
    with Cluster(size=100 * MIB) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        handle = connected(alpha.uri(), ["base:allocation", "lockstep:sync"])
        size = handle.get_size()
        if allocation_of(handle, size) != [(0, size, HOLE)]:
            skip("the file system has no holes")
        handle.pwrite(b"x" * MIB, 8 * MIB)
        handle.pwrite(b"y" * BLOCK, 50 * MIB)
        expected = [(0, 8 * MIB, HOLE), (8 * MIB, MIB, DATA), (9 * MIB, 41 * MIB, HOLE), (50 * MIB, BLOCK, DATA),
                    (50 * MIB + BLOCK, size - 50 * MIB - BLOCK, HOLE)]
        expect(allocation_of(handle, size) == expected, f"{allocation_of(handle, size)}")
        expect(runs(handle, "lockstep:sync", size) == [(0, size, 0)], "the other context is lost")
        handle.trim(MIB, 8 * MIB)
        expected = [(0, 50 * MIB, HOLE), *expected[3:]]
        expect(allocation_of(handle, size) == expected, f"{allocation_of(handle, size)}")
        step("holes are told, and writes and trims change them at once")

        copy = cluster.directory / "copy"
        tool("nbdcopy", alpha.uri(), copy)
        expect(os.stat(copy).st_blocks * 512 < 2 * MIB, "a copy takes more than what is there")
        with open(copy, "rb") as file:
            file.seek(50 * MIB)
            expect(file.read(2 * BLOCK) == b"y" * BLOCK + bytes(BLOCK), "the copy has something else")
        step("a copy of it is thin")

        beta.daemon.pause()
        cluster.gamma.pause()
        wait_until(lambda: allocation_of(handle, size) == [(0, size, DATA)], "alpha to tell no more than it may without its lease")
        cluster.gamma.resume()
        beta.daemon.resume()
        wait_until(lambda: allocation_of(handle, size) == expected, "holes to be told again")
        step("without the lease all is data")
        handle.shutdown()
        alpha.do("secondary", "r0")
        beta.promote()
        handle = connected(beta.uri(), ["base:allocation"])
        expect(handle.pread(BLOCK, 50 * MIB) == b"y" * BLOCK, "a write is lost")
        there = [entry for entry in allocation_of(handle, size) if entry[2] == DATA]
        expect(there == [(50 * MIB, BLOCK, DATA)], f"the other copy: {there}")
        handle.shutdown()
        step("the other copy has the same holes")


def pattern(length, seed):
    return random.Random(seed).randbytes(MIB) * (length // MIB) + bytes(length % MIB)


def large_payloads():
    """More than is offered, as other servers take it: up to 64 MiB in one request."""
    with Cluster(size=160 * MIB) as cluster:
        cluster.bring_up(primary=cluster.alpha)
        handle = connected(cluster.alpha.uri())
        handle.set_strict_mode(0)
        for at, length in [(0, 64 * MIB), (65 * MIB, 64 * MIB - 512), (70 * MIB + 512, 33 * MIB)]:
            data = pattern(length, at)
            handle.pwrite(data, at)
            expect(handle.pread(length, at) == data, f"{length} bytes at {at} do not come back")
        expect(handle.pread(5 * MIB, 65 * MIB) == pattern(5 * MIB, 65 * MIB), "what is beside a large write has changed")
        step("64 MiB are written and read as one")
        requests = [handle.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(pattern(64 * MIB, i))), 32 * MIB * (i % 3)) for i in range(6)]
        while requests:
            handle.poll(1000)
            requests = [request for request in requests if not handle.aio_command_completed(request)]
        expect(handle.pread(64 * MIB, 64 * MIB) == pattern(64 * MIB, 5), "the last of six overlapping ones is not what is there")
        handle.shutdown()
        cluster.alpha.do("secondary", "r0")
        cluster.compare_disks(159 * MIB)
        step("six at once, overlapping, have one order on both copies")


SCENARIOS = [sync_context, single_writer, shared_writers, allocation, large_payloads]

if __name__ == "__main__":
    wanted = sys.argv[1] if len(sys.argv) == 2 else ""
    chosen = [scenario for scenario in SCENARIOS if scenario.__name__ == wanted]
    if not chosen:
        sys.exit(f"usage: nbd_clients.py {' | '.join(scenario.__name__ for scenario in SCENARIOS)}")
    sys.exit(run(chosen[0]))
