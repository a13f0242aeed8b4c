#!/usr/bin/python3
"""Bad days that cost something once: bad_days.py SCENARIO (each is a function below)."""

import os
import socket
import struct
import sys
import time

import nbd

from lab import MIB, Cluster, Writer, expect, run, step, tool, wait_until

SIZE = 64 * MIB
SECTOR = 4096
NO_DISK = 16


def export_size(node):
    return int(tool("nbdinfo", "--size", node.uri("r0")).stdout)


def client_of(node):
    handle = nbd.NBD()
    handle.connect_uri(node.uri("r0"))
    return handle


def overwrite(node, offset, data):
    """Changes the disk behind the daemon's back."""
    with node.disk.open("r+b") as disk:
        disk.seek(offset)
        disk.write(data)


def answered(handle, seconds):
    """Whether a small write is answered in time."""
    cookie = handle.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(SECTOR)), 0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if handle.aio_command_completed(cookie):
            return True
        handle.poll(100)
    return False


def down_and_up():
    """`down` leaves nothing behind that is in the way of the `up` right after it, and kills nothing."""
    with Cluster() as cluster:
        cluster.bring_up(primary=cluster.alpha)
        for number in range(100):
            cluster.beta.do("down", "r0")
            cluster.beta.do("up", "r0")
            if number % 5 == 0:
                time.sleep(number / 1000)  # somewhere in the handshake, the resync, the tenure that takes it back
        cluster.beta.wait_sync()
        step("100 rounds on the Secondary")
        for _ in range(5):
            cluster.alpha.do("down", "r0")
            cluster.alpha.do("up", "r0")
            cluster.alpha.promote()
        step("5 on the Primary")


def stopped_under_load():
    """SIGTERM of a Primary whose clients write: an end with status 0 within 20 s. It gives itself 8; the rest is for a busy machine."""
    with Cluster() as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        for frozen in (False, True):
            writer = Writer(cluster, f"writer{frozen}", [alpha.uri()], 4096)
            writer.wait_for(500)
            if frozen:
                beta.daemon.pause()
                cluster.gamma.pause()
                wait_until(lambda: alpha.status().get("suspended"), "alpha to freeze")
            began = time.monotonic()
            status = alpha.daemon.stop(60)
            took = time.monotonic() - began
            expect(status == 0, f"status {status} at SIGTERM{' while frozen' if frozen else ''}\n{alpha.daemon.tail()}")
            expect(took < 20, f"{took:.1f} s from SIGTERM to the end")
            step(f"stopped after {took:.2f} s{' while frozen' if frozen else ''}")
            writer.finish()
            beta.daemon.resume()
            cluster.gamma.resume()
            cluster.rejoin(alpha)
            alpha.promote()
            beta.wait_sync()


def clients_that_do_not_read():
    """Clients that ask for much and take nothing: when they are gone the others are served, and the daemon ends cleanly."""
    with Cluster() as cluster:
        alpha = cluster.alpha
        cluster.bring_up(primary=alpha)
        greedy = []
        for _ in range(8):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(10)
            sock.connect(str(alpha.socket))
            expect(len(sock.recv(18, socket.MSG_WAITALL)) == 18, "no greeting")
            sock.sendall(struct.pack(">I8sIIB", 3, b"IHAVEOPT", 1, 2, 114) + b"0")  # NBD_OPT_EXPORT_NAME "r0"
            expect(len(sock.recv(10, socket.MSG_WAITALL)) == 10, "no export")
            sock.settimeout(0.5)
            try:
                for cookie in range(64):
                    sock.sendall(struct.pack(">IHHQQI", 0x25609513, 0, 0, cookie, 0, 32 * MIB))
            except OSError:
                pass  # it takes no more requests
            greedy.append(sock)
        time.sleep(1)
        for sock in greedy:
            sock.close()
        expect(answered(client_of(alpha), 60), "a write is not answered, although the greedy clients are gone")
        expect(alpha.daemon.stop(60) == 0, f"the end with status {alpha.daemon.child.returncode}\n{alpha.daemon.tail()}")
        step("served again; a clean end")


def invalidated_and_killed():
    """What `invalidate` promised holds through a crash right after it."""
    with Cluster(size=4 * SIZE) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        handle = client_of(alpha)
        for number in range(6):
            handle.pwrite(os.urandom(MIB), 0)
            beta.do("invalidate", "r0")
            beta.daemon.kill()
            overwrite(beta, 2 * SIZE + number * SECTOR, os.urandom(SECTOR))  # what the operator saw
            cluster.rejoin(beta)
            beta.wait_sync()
            cluster.compare_disks(size)
        step("the copies are identical every time")


def damaged_metadata():
    """Two intact superblock copies are enough, one is not; damaged maps cost a resync and no data."""
    with Cluster(size=SIZE) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        handle = client_of(alpha)
        superblock = SIZE - 4 * SECTOR
        maps = range(size, superblock, SECTOR)
        for damaged, usable in [([0], True), ([0, 1], True), ([1, 2], True), ([0, 1, 2], False), ([1, 2, 3], False),
                                ([0, 1, 2, 3], False)]:
            beta.do("down", "r0")
            before = beta.disk.read_bytes()
            handle.pwrite(os.urandom(MIB), len(damaged) * 8 * MIB)
            for copy in damaged:
                overwrite(beta, superblock + copy * SECTOR, os.urandom(SECTOR))
            if usable:
                beta.do("up", "r0")
            else:
                beta.refuses([NO_DISK], "up", "r0")
                beta.disk.write_bytes(before)
                beta.do("up", "r0")
            beta.wait_sync()
            cluster.compare_disks(size)
        step("superblock copies")
        for number, places in enumerate([maps[-1:], maps[-2:], maps[:1], maps]):
            beta.do("down", "r0")
            handle.pwrite(os.urandom(MIB), number * 4 * MIB)
            for place in places:
                overwrite(beta, place, os.urandom(SECTOR))
            beta.do("up", "r0")
            beta.wait_sync()
            cluster.compare_disks(size)
        step("intent and bitmap pages")
        beta.do("down", "r0")
        overwrite(beta, superblock, alpha.disk.read_bytes()[superblock:])
        beta.refuses([NO_DISK], "up", "r0")
        step("another node's metadata is refused")


SCENARIOS = [down_and_up, stopped_under_load, clients_that_do_not_read, invalidated_and_killed, damaged_metadata]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: bad_days.py {'|'.join(chosen)}")
    sys.exit(run(chosen[sys.argv[1]]))
