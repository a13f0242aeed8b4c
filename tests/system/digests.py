#!/usr/bin/python3
"""Digests at rest: bits that flip are found and healed: digests.py SCENARIO (each is a function below)."""

import os
import random
import sys

import nbd

from lab import BLOCK, MIB, Cluster, Writer, client_of, expect, flip, run, step, wait_until

SIZE = 64 * MIB
HALF = 32 * MIB


def fill(node):
    """Random data in the first half; returns it."""
    data = os.urandom(HALF)
    client = client_of(node)
    for place in range(0, HALF, MIB):
        client.pwrite(data[place:place + MIB], place)
    client.flush()
    client.shutdown()
    return data


def expect_data(node, data, what, piece=MIB):
    client = client_of(node)
    for place in range(0, len(data), piece):
        expect(client.pread(min(piece, len(data) - place), place) == data[place:place + piece], f"{what}: wrong bytes at {place}")
    client.shutdown()


def expect_on_disk(node, data, what):
    with node.disk.open("rb") as disk:
        expect(disk.read(len(data)) == data, f"{what}: {node.name}'s disk is not healed")


def healed(node):
    return node.status()["devices"][0]["healed"] // (BLOCK // 1024)


def all_healed(node, data):
    """What a read has found is written anew a moment later."""
    def equal():
        with node.disk.open("rb") as disk:
            return disk.read(len(data)) == data
    wait_until(equal, f"{node.name}'s disk to be healed")


def flipped():
    """Flipped bits reach no client, whichever copy has them; reads and verify find and heal all of them, under load and after a new start."""
    with Cluster(size=SIZE) as cluster:
        alpha, beta = cluster.alpha, cluster.beta
        cluster.bring_up(primary=alpha, create=("--digests",))
        data = fill(alpha)
        first = HALF // BLOCK
        writer = Writer(cluster, "writer", [alpha.uri("r0")], first - 2 * MIB // BLOCK, first=first)
        writer.wait_for(300)
        step("on the Primary, found by reads")
        for block in random.sample(range(first), 50):
            flip(alpha.disk, block)
        expect_data(alpha, data, "read from the Primary")
        all_healed(alpha, data)
        expect(healed(alpha) >= 50, f"{healed(alpha)} of 50 blocks count as healed")
        step("on the Secondary, found by verify")
        for block in random.sample(range(first), 50):
            flip(beta.disk, block)
        alpha.do("verify", "r0", "--wait")
        all_healed(beta, data)
        step("on both, in other places, found by verify")
        blocks = random.sample(range(first), 60)
        for i, block in enumerate(blocks):
            flip((alpha, beta)[i % 2].disk, block)
        alpha.do("verify", "r0", "--wait")
        all_healed(alpha, data)
        all_healed(beta, data)
        writer.stop()
        step("after a new start of both, the digests are those on disk")
        alpha.do("secondary", "r0")
        for node in (alpha, beta):
            node.do("down", "r0")
        for block in random.sample(range(first), 40):
            flip(alpha.disk, block)
        for node in (alpha, beta):
            node.do("up", "r0")
        for node in (alpha, beta):
            node.do("wait-connect", "r0", "--timeout", "60")
        alpha.promote()
        expect_data(alpha, data, "read after a new start", piece=64 * 1024)
        all_healed(alpha, data)
        expect("does not hold what was written" in alpha.daemon.tail(5000), "the log does not tell of it")
        alpha.do("verify", "r0", "--wait")
        alpha.do("secondary", "r0")
        cluster.compare_disks(SIZE - 2 * MIB)


def only_copy():
    """Without another copy a client gets an error and no wrong bytes, until it writes the block anew."""
    with Cluster(size=SIZE) as cluster:
        alpha, beta = cluster.alpha, cluster.beta
        cluster.bring_up(primary=alpha, create=("--digests",))
        data = fill(alpha)
        beta.do("disconnect", "r0")
        wait_until(lambda: alpha.connection() != "Connected", "the link to go")
        flip(alpha.disk, 1000)
        client = client_of(alpha)
        try:
            client.pread(BLOCK, 1000 * BLOCK)
            expect(False, "a block with a flipped bit was read")
        except nbd.Error as error:
            expect(error.errno == "EIO", f"the client got {error}")
        expect(client.pread(BLOCK, 1001 * BLOCK) == data[1001 * BLOCK:1002 * BLOCK], "its neighbour cannot be read")
        expect(alpha.status()["devices"][0]["disk-state"] == "UpToDate", "the disk was given up for one block")
        client.pwrite(data[1000 * BLOCK:1001 * BLOCK], 1000 * BLOCK)
        expect(client.pread(BLOCK, 1000 * BLOCK) == data[1000 * BLOCK:1001 * BLOCK], "what was written anew cannot be read")
        client.shutdown()
        beta.do("connect", "r0")
        beta.wait_sync()
        alpha.do("verify", "r0", "--wait")


def in_part():
    """Blocks that are read or written in part."""
    with Cluster(size=SIZE) as cluster:
        alpha, beta = cluster.alpha, cluster.beta
        cluster.bring_up(primary=alpha, create=("--digests",))
        data = bytearray(fill(alpha)[:4 * MIB])
        flip(alpha.disk, 7)
        client = client_of(alpha)
        for place in range(7 * BLOCK, 8 * BLOCK, 512):
            expect(client.pread(512, place) == data[place:place + 512], "a part of a block has the flipped bit")
        for _ in range(300):
            place, length = random.randrange(0, 4 * MIB - 65536, 512), random.randrange(512, 65536, 512)
            if random.random() < 0.5:
                data[place:place + length] = os.urandom(length)
                client.pwrite(bytes(data[place:place + length]), place)
            else:
                expect(client.pread(length, place) == data[place:place + length], f"wrong bytes at {place}+{length}")
        client.zero(MIB + 512, 512)
        data[512:MIB + 1024] = bytes(MIB + 512)
        expect(client.pread(4 * MIB, 0) == data, "wrong bytes after zeroes")
        client.flush()
        client.shutdown()
        alpha.do("verify", "r0", "--wait")
        alpha.do("secondary", "r0")
        for node in (alpha, beta):
            node.do("down", "r0")
            node.do("up", "r0")
        for node in (alpha, beta):
            node.do("wait-connect", "r0", "--timeout", "60")
        beta.promote()
        expect_data(beta, bytes(data), "the other copy")
        expect(healed(alpha) + healed(beta) == 0, "good blocks were taken for bad ones")


def source_with_rot():
    """A resync copies no bad block: everything else is levelled, and the copy joins when the block was written anew."""
    with Cluster(size=SIZE) as cluster:
        alpha, beta = cluster.alpha, cluster.beta
        cluster.bring_up(primary=alpha, create=("--digests",))
        beta.do("disconnect", "r0")
        wait_until(lambda: alpha.connection() != "Connected", "the link to go")
        data = fill(alpha)
        for block in (5, 70, 4000):
            flip(alpha.disk, block)
        beta.do("connect", "r0")
        left = 3 * BLOCK // 1024
        wait_until(lambda: alpha.status()["connections"][0]["peer_devices"][0]["out-of-sync"] == left,
                   "all but three blocks to be copied")
        expect(beta.status()["devices"][0]["disk-state"] == "Inconsistent", "a copy joined that lacks blocks")
        client = client_of(alpha)
        for block in (5, 70, 4000):
            client.pwrite(data[block * BLOCK:(block + 1) * BLOCK], block * BLOCK)
        client.shutdown()
        beta.wait_sync()
        expect_data(alpha, data, "read after the resync")
        expect_on_disk(beta, data, "after the resync")


SCENARIOS = [flipped, only_copy, in_part, source_with_rot]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: digests.py {'|'.join(chosen)}")
    sys.exit(run(chosen[sys.argv[1]]))
