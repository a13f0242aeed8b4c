#!/usr/bin/python3
"""How copies are made equal, and shown to be: copies.py SCENARIO (each is a function below)."""

import os
import random
import re
import sys
import time

from lab import BLOCK, MIB, Cluster, LabError, Writer, check_writes, client_of, expect, flip, run, skip, step, wait_until
from lossy import LossyDisk, usable

SIZE = 64 * MIB
DIFFERENT = 20
LOST = re.compile(r"no longer in the current set; (\d+) blocks")
COPIED = re.compile(r"resync done, (\d+) blocks")


def peer_device(node):
    return node.status()["connections"][0]["peer_devices"][0]


def allocated(path):
    return os.stat(path).st_blocks * 512


def fresh_peer_is_thin():
    """A full resync of a file with holes sends what is in it, and the new copy has the holes too."""
    size = 512 * MIB
    with Cluster(size=size) as cluster:
        cluster.bring_up(primary=cluster.alpha)
        client = client_of(cluster.alpha)
        for place in range(0, 400, 40):  # ten pieces of 1 MiB
            client.pwrite(os.urandom(MIB), place * MIB)
        client.pwrite(bytes(8 * MIB), 100 * MIB)  # zeroes that are written are zeroes
        client.flush()
        client.shutdown()
        step("beta's disk is made anew")
        cluster.beta.do("down", "r0")
        with cluster.beta.disk.open("wb") as disk:
            disk.truncate(size)
        cluster.beta.do("create-md", "--force", "r0")
        cluster.beta.do("up", "r0")
        cluster.beta.wait_sync()
        used = allocated(cluster.beta.disk)
        step(f"its file takes {used // 1024} KiB")
        expect(used < 14 * MIB, f"10 MiB of data take {used} bytes of the new copy")
        cluster.alpha.do("secondary", "r0")
        cluster.compare_disks(size - MIB)


def paused():
    """pause-sync holds a resync on either side, resume-sync lets it go on; a copy that waits stays what it was."""
    with Cluster(size=SIZE) as cluster:
        alpha, beta = cluster.alpha, cluster.beta
        cluster.bring_up(primary=alpha)
        for node in (alpha, beta):
            beta.do("disconnect", "r0")
            wait_until(lambda: alpha.connection() != "Connected", "the link to go")
            client = client_of(alpha)
            client.pwrite(os.urandom(8 * MIB), 0)
            client.shutdown()
            node.do("pause-sync", "r0")
            beta.do("connect", "r0")
            wait_until(lambda: peer_device(alpha)["replication-state"] == "PausedSyncS", "alpha to say that it waits")
            wait_until(lambda: peer_device(beta)["replication-state"] == "PausedSyncT", "beta to say that it waits")
            expect(peer_device(alpha)["peer-disk-state"] == "Outdated", "a copy that waits became a mixture")
            expect(peer_device(alpha)["resync-suspended"] == ("user" if node is alpha else "peer"), "who paused it is not shown")
            expect(peer_device(alpha)["out-of-sync"] >= 8192, "out of sync is not shown while it waits")
            expect(f"resume-sync r0" in alpha.do("explain", "r0", "resync"), "explain does not say what would help")
            node.do("resume-sync", "r0")
            beta.wait_sync()
            expect(peer_device(alpha)["resync-suspended"] == "no", "it is still said to be paused")
        step("a resync that runs is stopped and goes on where it was")
        beta.do("invalidate", "r0")
        beta.wait_sync()


def limited():
    """c-max-rate is a limit."""
    with Cluster(size=SIZE) as cluster:
        text = cluster.config.read_text(encoding="utf-8")
        cluster.config.write_text(text.replace("  net {", "  disk { c-max-rate 8M; }\n  net {", 1), encoding="utf-8")
        cluster.bring_up(primary=cluster.alpha)
        began = time.monotonic()
        cluster.beta.do("invalidate", "r0")
        rates = []

        def done():
            device = peer_device(cluster.alpha)
            if device.get("rate"):
                rates.append(device["rate"])
            return device["out-of-sync"] == 0
        wait_until(lambda: peer_device(cluster.alpha)["out-of-sync"] > 0, "the resync to begin")
        wait_until(done, "the resync to end", interval=0.2)
        step(f"KiB a second: {rates}")
        expect(len(rates) > 5, "63 MiB at 8 MiB a second take some seconds")
        expect(max(rates[5:]) < 1.5 * 8192, "it went faster than it may")
        expect(time.monotonic() - began > 6, "63 MiB at 8 MiB a second took less than 6 s")


def verified():
    """verify finds every block in which a bit was flipped, and nothing else, while clients write elsewhere."""
    with Cluster(size=SIZE) as cluster:
        alpha, beta = cluster.alpha, cluster.beta
        cluster.bring_up(primary=alpha)
        client = client_of(alpha)
        for place in range(0, 32 * MIB, MIB):
            client.pwrite(os.urandom(MIB), place)
        client.flush()
        client.shutdown()
        alpha.do("verify", "r0", "--wait")
        expect(peer_device(alpha)["verify"]["completed"], "a comparison that ended is not shown")
        step("a writer in the second half, flipped bits in the first")
        half = 32 * MIB // BLOCK
        writer = Writer(cluster, "writer", [alpha.uri("r0")], half - 2 * MIB // BLOCK, first=half)
        writer.wait_for(500)
        blocks = sorted(random.sample(range(half), 100))
        for block in blocks:
            flip(beta.disk, block)
        said = alpha.refuses([DIFFERENT], "verify", "r0", "--wait")
        expect("400 KiB differ" in said, f"verify said: {said}")
        found = peer_device(alpha)
        expect(found["out-of-sync"] == 400 and found["verify"]["differing"] == 400, f"status has {found}")
        hit = {block * BLOCK // (4 * MIB) for block in blocks}
        listed = {at // (4 * MIB) for extent in found["verify"]["extents"]
                  for at in range(extent["offset"], extent["offset"] + extent["length"], 4 * MIB)}
        expect(hit == listed, f"extents {listed} are listed, {hit} differ")
        expect("differ from this node's" in alpha.do("explain", "r0", "resync"), "explain does not list them")
        step("what is written again is no difference any more")
        client = client_of(alpha)
        for block in blocks[:50]:
            client.pwrite(os.urandom(BLOCK), block * BLOCK)
        client.shutdown()
        expect(peer_device(alpha)["verify"]["differing"] == 200, "written blocks are still listed")
        said = alpha.refuses([DIFFERENT], "verify", "r0", "--wait")
        expect("200 KiB differ" in said, f"verify said: {said}")
        beta.refuses([11], "verify", "r0")
        step("the copy that is wrong is repaired")
        said = alpha.refuses([11], "verify", "r0", "--repair")
        expect("--from NODE" in said and "differ from this node's" in said, f"--repair said: {said}")
        alpha.do("verify", "r0", "--repair", "--from", "alpha", "--wait")
        expect(peer_device(alpha)["verify"]["differing"] == 0, "something still differs after the repair")
        expect(alpha.status()["devices"][0]["healed"] == 200, "what was written anew is not counted")
        alpha.do("verify", "r0", "--wait")
        step("and once more the other way")
        block = random.randrange(half)
        data = client_of(alpha).pread(BLOCK, block * BLOCK)
        flip(alpha.disk, block)
        alpha.refuses([DIFFERENT], "verify", "r0", "--wait")
        alpha.do("verify", "r0", "--repair", "--from", "beta", "--wait")
        expect(client_of(alpha).pread(BLOCK, block * BLOCK) == data, "the bit is still flipped")
        expect(writer.process.alive(), "the writer ended")
        writer.process.kill()


def digests():
    """csums-alg: what is equal on both sides is not sent again."""
    with Cluster(size=SIZE, net="csums-alg xxh3;") as cluster:
        alpha, beta = cluster.alpha, cluster.beta
        cluster.bring_up(primary=alpha)
        client = client_of(alpha)
        for place in range(0, 48 * MIB, MIB):
            client.pwrite(os.urandom(MIB), place)
        client.flush()
        client.shutdown()
        beta.do("disconnect", "r0")
        wait_until(lambda: alpha.connection() != "Connected", "the link to go")
        client = client_of(alpha)
        kept = client.pread(MIB, 5 * MIB)
        for place in range(0, 48 * MIB, MIB):  # written again: dirty, and mostly what it was
            client.pwrite(client.pread(MIB, place), place)
        client.pwrite(bytes(BLOCK * [7]), 5 * MIB + 3 * BLOCK)
        client.flush()
        client.shutdown()
        beta.do("connect", "r0")
        beta.wait_sync()
        sent = alpha.sent()
        step(f"{sent} bytes sent for 48 MiB of dirty blocks of which 4 KiB differ")
        expect(kept and sent < 48 * MIB // 50, "more than 2 % of what was dirty was sent")
        alpha.do("secondary", "r0")
        cluster.compare_disks(SIZE - MIB)


def broken_link():
    """A peer that is away for a moment under random writes: what was in flight and what it missed is copied, not every extent that was hot."""
    size = 1024 * MIB
    with Cluster(size=size, net="ping-int 1; ping-timeout 5; connect-int 1;") as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        writer = Writer(cluster, "writer", [alpha.uri("r0")], (size - 2 * MIB) // BLOCK)
        writer.wait_for(2000)
        beta.daemon.pause()
        wait_until(lambda: alpha.connection() != "Connected", "the link to break")
        wait_until(lambda: LOST.search(alpha.daemon.tail(100)), "the peer to be dropped")
        lost = int(LOST.search(alpha.daemon.tail(100))[1])
        beta.daemon.resume()
        writer.wait_for(writer.answered() + 500)
        for node in cluster.nodes:
            node.wait_sync()
        summary = writer.stop()
        copied = int(COPIED.findall(alpha.daemon.tail(100))[-1])
        step(f"{summary['answered']} writes answered; {lost} blocks in doubt as beta was dropped, {copied} copied as it was back")
        expect(lost < 30000, f"{lost} blocks are in doubt, out of 2000 that were written")
        check_writes(cluster, alpha.uri("r0"), (size - 2 * MIB) // BLOCK, [writer.log])
        alpha.do("secondary", "r0")
        cluster.compare_disks(size - MIB)


def balanced():
    """Reads in turn from both copies; from the one that can, when the other can't, which is mended."""
    if why := usable():
        skip(why)
    with Cluster(size=SIZE) as cluster:
        text = cluster.config.read_text(encoding="utf-8")
        cluster.config.write_text(text.replace("  net {", "  disk { read-balancing round-robin; }\n  net {", 1), encoding="utf-8")
        alpha, beta = cluster.nodes
        with LossyDisk(cluster, alpha) as near, LossyDisk(cluster, beta) as far:
            cluster.bring_up(primary=alpha)
            client = client_of(alpha)
            content = os.urandom(4 * MIB)
            client.pwrite(content, 0)
            client.flush()
            before = near.counts()["reads"], far.counts()["reads"]
            expect(all(client.pread(BLOCK, place) == content[place:place + BLOCK] for place in range(0, 4 * MIB, BLOCK)), "read wrong")
            reads = near.counts()["reads"] - before[0], far.counts()["reads"] - before[1]
            step(f"1024 reads: {reads[0]} of alpha's disk, {reads[1]} of beta's")
            expect(min(reads) >= 500, "the copies do not share the reads")
            far.fail(1, 8, "r", (0, 4 * MIB))
            near.fail(9, 8, "r", (0, 4 * MIB))
            expect(all(client.pread(BLOCK, place) == content[place:place + BLOCK] for place in range(0, 4 * MIB, BLOCK)), "read wrong")
            failed = near.well()["failed"], far.well()["failed"]
            step(f"{failed[0]} reads of alpha's disk failed, {failed[1]} of beta's, and the client has seen none")
            expect(min(failed) == 8, "not all failures were drawn")
            client.shutdown()
            for node in cluster.nodes:
                node.wait_sync()


def suspended():
    """suspend-io: what is on the disks is what was answered, on both; requests wait, and go on."""
    with Cluster(size=SIZE) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        writer = Writer(cluster, "writer", [alpha.uri("r0")], (SIZE - 2 * MIB) // BLOCK)
        for _ in range(3):
            writer.wait_for(writer.answered() + 300)
            alpha.do("suspend-io", "r0")
            time.sleep(0.2)
            answered = writer.answered()
            expect(alpha.status()["suspended-user"], "status does not say that I/O is suspended")
            expect("suspend-io" in alpha.do("explain", "r0", "io"), "explain does not say by what")
            cluster.compare_disks(SIZE - MIB)
            time.sleep(0.3)
            expect(writer.answered() == answered, "requests are answered while I/O is suspended")
            said = beta.refuses([11], "suspend-io", "r0")
            expect("not-primary" in said, f"a Secondary says: {said}")
            alpha.do("resume-io", "r0")
            expect(not alpha.status()["suspended"], "it is still said to be suspended")
        writer.wait_for(writer.answered() + 300)
        summary = writer.stop()
        step(f"{summary['answered']} writes answered, three images in between")
        check_writes(cluster, alpha.uri("r0"), (SIZE - 2 * MIB) // BLOCK, [writer.log])


def moved():
    """The metadata goes to a file of its own, back, and to the end of a disk that grew, one node at a time, under load: nothing is copied but what was missed."""
    with Cluster(size=SIZE, net="ping-int 1; ping-timeout 5; connect-int 1;") as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        blocks = (SIZE - 2 * MIB) // BLOCK
        writer = Writer(cluster, "writer", [alpha.uri("r0")], blocks)

        def change(node, change_disk, *words):
            node.do("down", "r0")
            change_disk()
            cluster.write_config()
            said = node.do("move-md", *words, "r0")
            expect("The metadata is at" in said, f"move-md says: {said}")
            node.do("up", "r0")
            node.wait_sync()
            copied = int(COPIED.findall((alpha if node is beta else beta).daemon.tail(200))[-1])
            step(f"{node.name}: {said.strip()} {copied} blocks were copied")
            expect(copied < SIZE // BLOCK // 2, "everything was copied")

        def to_file():
            beta.meta_disk = beta.directory / "meta"

        def back():
            beta.meta_disk = "internal"

        def grow(node):
            with node.disk.open("r+b") as disk:
                disk.truncate(SIZE + 32 * MIB)

        for what in ((to_file,), (back, "--from", beta.directory / "meta"), (lambda: grow(beta),)):
            writer.wait_for(writer.answered() + 200)
            change(beta, *what)
        writer.wait_for(writer.answered() + 200)
        answered = writer.stop()["answered"]
        alpha.do("secondary", "r0")
        beta.do("primary", "r0")
        other = Writer(cluster, "other", [beta.uri("r0")], blocks)
        other.wait_for(200)
        change(alpha, lambda: grow(alpha))
        other.wait_for(other.answered() + 200)
        said = alpha.refuses([11], "resize", "r0")
        expect("not-primary" in said, f"a Secondary says: {said}")
        alpha.do("disconnect", "r0")
        expect("not-all-current" in beta.refuses([11], "resize", "r0"), "it grows although alpha is away")
        alpha.do("connect", "r0")
        alpha.wait_sync()
        expect("would-shrink" in beta.refuses([11], "resize", "r0", "--size", str(SIZE // 2)), "it shrinks")
        expect("disks-too-small" in beta.refuses([11], "resize", "r0", "--size", str(2 * SIZE)), "it grows beyond its disks")
        beta.do("resize", "r0")
        alpha.wait_sync()
        size = client_of(beta).get_size()
        step(f"the volume has {size} bytes, {COPIED.findall(beta.daemon.tail(200))[-1]} blocks were copied")
        expect(size > SIZE + 30 * MIB, "it did not grow")
        client = client_of(beta)
        client.pwrite(bytes(MIB * [9]), size - MIB)
        client.flush()
        client.shutdown()
        other.wait_for(other.answered() + 200)
        step(f"{answered + other.stop()['answered']} writes answered")
        check_writes(cluster, beta.uri("r0"), blocks, [writer.log, other.log])
        beta.do("secondary", "r0")
        cluster.compare_disks(size)


def fill(node, first, end, value):
    client = client_of(node)
    for place in range(first, end, MIB):
        client.pwrite(bytes([value]) * MIB, place)
    client.flush()
    client.shutdown()


def shrunk():
    """A volume loses its end when that is asked for and nobody uses it; crashes find nothing to copy there; it grows again."""
    half = SIZE // 2
    with Cluster(size=SIZE, net="ping-int 1; ping-timeout 5; connect-int 1;") as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        user = client_of(alpha)
        size = user.get_size()
        whole = size // MIB * MIB
        fill(alpha, 0, whole, 7)
        expect("device-in-use" in alpha.refuses([11], "resize", "r0", "--size", str(half), "--shrink"), "it shrinks under a client")
        user.shutdown()
        wait_until(lambda: not alpha.status()["devices"][0]["open"], "the clients to be gone")
        said = alpha.refuses([1], "resize", "r0", "--shrink")
        expect("--shrink needs --size" in said, f"without a size: {said}")
        expect("would-grow" in alpha.refuses([11], "resize", "r0", "--size", str(size + BLOCK), "--shrink"), "it grows")
        expect("would-shrink" in alpha.refuses([11], "resize", "r0", "--size", str(half)), "it shrinks unasked")
        alpha.do("resize", "r0", "--size", str(half), "--shrink")
        for node in cluster.nodes:
            wait_until(lambda: node.status()["devices"][0]["size"] * 1024 == half, f"{node.name} to know")
            expect(node.status()["devices"][0]["disk-state"] == "UpToDate", "a copy is not current")
        client = client_of(alpha)
        expect(client.get_size() == half, f"the export has {client.get_size()} bytes")
        client.set_strict_mode(0)
        try:
            client.pwrite(bytes(BLOCK), half)
            raise LabError("it was written beyond the end")
        except client_error() as error:
            step(f"a write beyond the end: {error.string}")
        client.pwrite(bytes([8]) * BLOCK, half - BLOCK)
        client.flush()
        step("both daemons are killed")
        for node in cluster.nodes:
            node.daemon.kill()
        for node in cluster.nodes:
            cluster.rejoin(node)
        for node in cluster.nodes:
            node.wait_sync()
        alpha.promote()
        copied = [int(count) for count in COPIED.findall(alpha.daemon.tail(200) + beta.daemon.tail(200))]
        step(f"blocks copied after that: {copied}")
        expect(all(count <= half // BLOCK for count in copied), f"what was given up is copied: {copied}")
        expect(peer_device(alpha)["out-of-sync"] == 0, "something is out of sync")
        alpha.do("resize", "r0", "--size", str(whole))
        beta.wait_sync()
        client = client_of(alpha)
        expect(client.get_size() == whole, "it did not grow again")
        expect(client.pread(MIB, half - MIB) == bytes([7]) * (MIB - BLOCK) + bytes([8]) * BLOCK, "what was kept is not what it was")
        client.shutdown()
        alpha.do("secondary", "r0")
        cluster.compare_disks(whole)


def client_error():
    import nbd
    return nbd.Error


SCENARIOS = [fresh_peer_is_thin, paused, limited, verified, digests, broken_link, balanced, suspended, moved, shrunk]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: copies.py {'|'.join(chosen)}")
    sys.exit(run(chosen[sys.argv[1]]))
