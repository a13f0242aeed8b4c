#!/usr/bin/python3
"""Several volumes in one resource: volumes.py SCENARIO (each is a function below)."""

import json
import os
import sys

import nbd

from lab import BLOCK, MIB, Cluster, Writer, check_writes, client_of, expect, flip, run, step, tool, wait_until
from handlers import Handlers
from sick_disks import SickFile, need_fuse

SIZES = {0: 48 * MIB, 1: 21 * MIB + 512, 7: 32 * MIB}
LABELS = 4 * 4096
CONFIGURATION, REFUSED, NO_DISK, FAILURE = 10, 11, 16, 20


def cluster_of_three(**options):
    cluster = Cluster(size=SIZES[0], **options)
    for number in (1, 7):
        cluster.add_volume(number, SIZES[number])
    return cluster


def disk_of(node, number):
    return node.disk if number == 0 else node.volumes[number]


def devices(node):
    return {device["volume"]: device for device in node.status()["devices"]}


def peer_devices(node):
    return {device["volume"]: device for device in node.status()["connections"][0]["peer_devices"]}


def equal_copies(cluster, sizes):
    """Each volume's data area is byte for byte the same on both nodes."""
    for number, size in sizes.items():
        done = tool("cmp", "-n", size, disk_of(cluster.alpha, number), disk_of(cluster.beta, number), check=False)
        expect(done.returncode == 0, f"volume {number} differs: {done.stdout}{done.stderr}")


def served():
    """Each volume is an export of its own; what is written to several at once survives the Primary, and all of them are levelled."""
    with cluster_of_three() as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        sizes = {number: device["size"] * 1024 for number, device in devices(alpha).items()}
        expect(sorted(sizes) == [0, 1, 7], f"the volumes are {sizes}")
        expect(sizes[1] == 21 * MIB - LABELS and sizes[7] == 32 * MIB - LABELS, f"the sizes are {sizes}")
        expect(sizes[0] < SIZES[0], "there is no metadata on the lowest volume's disk")
        handle = nbd.NBD()
        handle.set_opt_mode(True)
        handle.connect_uri(alpha.uri(""))
        names = []
        handle.opt_list(lambda name, _description: names.append(name) or 0)
        handle.opt_abort()
        expect(names == ["r0/0", "r0/1", "r0/7"], f"the exports are {names}")
        for number, size in sizes.items():
            client = client_of(alpha, f"r0/{number}")
            expect(client.get_size() == size, f"export {number} has {client.get_size()} bytes, not {size}")
            client.pwrite(bytes([number + 1]) * BLOCK, 0)
            client.pwrite(bytes([number + 1]) * BLOCK, size - BLOCK)
            try:
                client.set_strict_mode(0)
                client.pwrite(bytes(2 * BLOCK), size - BLOCK)
                expect(False, "a write beyond a volume's end was taken")
            except nbd.Error as error:
                expect(error.errno in ("ENOSPC", "EINVAL"), f"beyond the end: {error}")
            client.flush()
            client.shutdown()
        for number, size in sizes.items():
            client = client_of(alpha, f"r0/{number}")
            for place in (0, size - BLOCK):
                expect(client.pread(BLOCK, place) == bytes([number + 1]) * BLOCK, f"volume {number} has another one's bytes")
            client.pwrite(bytes(BLOCK), 0)
            client.pwrite(bytes(BLOCK), size - BLOCK)
            client.shutdown()
        step("three exports, each within its bounds")

        blocks = {number: size // BLOCK for number, size in sizes.items()}
        writers = {number: Writer(cluster, f"writer-{number}", [alpha.uri(f"r0/{number}")], blocks[number]) for number in sizes}
        for writer in writers.values():
            writer.wait_for(400)
        opened = {number: device["open"] for number, device in devices(alpha).items()}
        expect(all(opened.values()), f"open: {opened}")
        alpha.daemon.kill()
        for writer in writers.values():
            writer.finish()
        beta.promote()
        for number, writer in writers.items():
            summary = check_writes(cluster, beta.uri(f"r0/{number}"), blocks[number], [writer.log], baseline=f"baseline-{number}")
            step(f"volume {number} after the Primary's death: {summary}")
        cluster.rejoin(alpha)
        alpha.wait_sync()
        beta.wait_sync()
        beta.do("secondary", "r0")
        for node in cluster.nodes:
            node.do("down", "r0")
        equal_copies(cluster, sizes)


def levelled():
    """Only what was missed is copied, status says in which volume it lies, and verify finds a difference where it is."""
    with cluster_of_three() as cluster:
        alpha, beta = cluster.nodes
        handlers = Handlers(cluster, "before-resync-target", more="$LOCKSTEP_VOLUMES $LOCKSTEP_DISK_7")
        cluster.bring_up(primary=alpha)
        beta.do("down", "r0")
        client = client_of(alpha, "r0/7")
        client.pwrite(os.urandom(64 * BLOCK), 5 * MIB)
        client.flush()
        missed = {number: device["out-of-sync"] for number, device in peer_devices(alpha).items()}
        expect(missed == {0: 0, 1: 0, 7: 64 * BLOCK // 1024}, f"out of sync: {missed}")
        expect("volume:7 disk:UpToDate open:yes" in alpha.do("status", "r0"), "status does not show volume 7")
        beta.do("up", "r0")
        beta.wait_sync()
        alpha.wait_sync()
        told = handlers.ran("before-resync-target")[0]
        expect(told[-5:] == [str(beta.disk), "0", "1", "7", str(beta.volumes[7])], f"the handler was told {told}")
        step("volume 7 levelled")

        for number, block in ((1, 300), (7, 2000)):
            flip(beta.volumes[number], block)
        alpha.do("verify", "r0/0", "--wait")
        expect(sum(device["verify"]["differing"] for device in peer_devices(alpha).values()) == 0, "volume 0 differs")
        alpha.do("verify", "r0/1", "--start", "2000K", "--wait")
        expect(sum(device["verify"]["differing"] for device in peer_devices(alpha).values()) == 0, "a part of volume 1 differs")
        alpha.refuses([FAILURE], "verify", "r0", "--wait", patience=60)
        found = {number: device["verify"]["differing"] for number, device in peer_devices(alpha).items()}
        expect(found == {0: 0, 1: 4, 7: 4}, f"verify found {found}")
        where = alpha.do("explain", "r0", "resync")
        expect("r0/1: 0 to 4194303" in where and "r0/7: 4194304 to 8388607" in where, f"explain says {where}")
        extents = peer_devices(alpha)[7]["verify"]["extents"]
        expect(extents == [{"offset": 4 * MIB, "length": 4 * MIB}], f"status --json says {extents}")
        alpha.do("verify", "r0", "--repair", "--from", "alpha")
        wait_until(lambda: sum(device["verify"]["differing"] for device in peer_devices(alpha).values()) == 0, "the repair")
        step("flips found and repaired where they were")

        for words in (["invalidate", "r0/1"], ["verify", "r0/1", "--repair", "--from", "alpha"], ["down", "r0/7"]):
            said = beta.refuses([REFUSED], *words)
            expect("all volumes" in said, f"{words}: {said}")
        expect("no volume 3" in alpha.refuses([CONFIGURATION], "verify", "r0/3"), "volume 3 is there")
        expect("several volumes" in alpha.refuses([CONFIGURATION], "verify", "r0", "--start", "1M"), "a place in no volume")
        expect("several-volumes" in alpha.refuses([REFUSED], "resize", "r0"), "it grows")
        events = alpha.do("events", "r0", "--now")
        expect(all(f"device name:r0 volume:{number} " in events for number in SIZES), f"events: {events}")


def confused():
    """A disk of another volume, of another life or of nobody is not taken; nor volumes that the metadata was not made for."""
    with cluster_of_three(witness=False) as cluster:
        alpha, beta = cluster.nodes
        said = alpha.do("create-md", "r0")
        expect("Volume 7: data area of" in said, f"create-md says {said}")
        alpha.refuses([FAILURE], "create-md", "r0")
        expect("say create-md r0" in alpha.refuses([REFUSED], "create-md", "r0/1"), "create-md of one volume")
        expect("not built" in alpha.refuses([FAILURE], "move-md", "r0"), "move-md")
        shown = json.loads(alpha.do("dump-md", "r0", "--json"))
        expect([volume["number"] for volume in shown["volumes"]] == [0, 1, 7], f"dump-md says {shown['volumes']}")
        alpha.start()
        disks = dict(alpha.volumes)

        def refused(what, volumes):
            alpha.volumes = volumes
            cluster.write_config()
            said = alpha.refuses([CONFIGURATION, NO_DISK], "up", "r0")
            expect(what in said, f"{what}: {said}")

        refused("its label names volume 7, not 1", {1: disks[7], 7: disks[1]})
        blank = alpha.directory / "blank"
        blank.write_bytes(bytes(SIZES[7]))
        refused("it has no label of volume 7", {1: disks[1], 7: blank})
        refused("does not exist", {1: disks[1], 7: alpha.directory / "nothing"})
        refused("every node has all volumes", {1: disks[1]})
        beta_disks, beta.volumes = beta.volumes, {1: beta.volumes[1]}
        refused("made for volumes 0, 1, 7, and the configuration has 0, 1", {1: disks[1]})
        alpha.volumes, beta.volumes = disks, beta_disks
        cluster.write_config()
        beta.do("create-md", "r0")
        refused("node-id 1; expected", {1: disks[1], 7: beta_disks[7]})
        alpha.volumes = disks
        cluster.write_config()
        copy = (alpha.directory / "copy")
        copy.write_bytes(disks[7].read_bytes())
        alpha.do("create-md", "r0", "--force")
        refused("made at another time", {1: disks[1], 7: copy})
        alpha.volumes = disks
        cluster.write_config()
        with disks[7].open("r+b") as disk:
            disk.truncate(SIZES[7] + MIB)
        expect("no label of volume 7" in alpha.refuses([NO_DISK], "up", "r0"), "a disk with another size")
        with disks[7].open("r+b") as disk:
            disk.truncate(SIZES[7])
        step("no disk is taken for another one")

        alpha.do("up", "r0")
        alpha.do("down", "r0")
        alpha.do("wipe-md", "r0")
        alpha.refuses([FAILURE], "dump-md", "r0")
        tail = disks[7].read_bytes()[-LABELS:]
        expect(tail == bytes(LABELS), "wipe-md left the label of volume 7")
        alpha.do("create-md", "r0")


def away():
    """detach and attach take the disks of all volumes away and give them back, under load; with digests at rest."""
    with cluster_of_three() as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha, create=("--digests",))
        blocks = {1: devices(alpha)[1]["size"] * 1024 // BLOCK, 7: devices(alpha)[7]["size"] * 1024 // BLOCK}
        writers = {number: Writer(cluster, f"writer-{number}", [alpha.uri(f"r0/{number}")], blocks[number]) for number in blocks}
        for writer in writers.values():
            writer.wait_for(300)
        beta.do("detach", "r0")
        for writer in writers.values():
            writer.wait_for(writer.answered() + 300)
        beta.do("attach", "r0")
        beta.wait_sync()
        for number, writer in writers.items():
            summary = writer.stop()
            expect(not summary["errors"], f"a client of volume {number} noticed: {summary}")
        flip(alpha.volumes[7], 1234)
        client = client_of(alpha, "r0/7")
        client.pread(BLOCK, 1234 * BLOCK)
        wait_until(lambda: devices(alpha)[0]["healed"] == 4, "the flipped block to be healed")
        client.shutdown()
        for number, writer in writers.items():
            check_writes(cluster, alpha.uri(f"r0/{number}"), blocks[number], [writer.log], baseline=f"baseline-{number}")
        alpha.do("secondary", "r0")
        for node in cluster.nodes:
            node.do("down", "r0")
        equal_copies(cluster, {number: device * BLOCK for number, device in blocks.items()})


def larger_disks():
    """Where a volume lies follows from what the nodes agreed on, not from the disks: one node's are replaced by larger ones."""
    with cluster_of_three() as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        sizes = {number: device["size"] * 1024 for number, device in devices(alpha).items()}

        def write(node, seed):
            for number, size in sizes.items():
                client = client_of(node, f"r0/{number}")
                for place in (0, 10 * MIB, size - 2 * BLOCK):
                    client.pwrite(bytes([seed + number]) * BLOCK, place)
                client.flush()
                client.shutdown()

        def read(node, seed):
            for number, size in sizes.items():
                client = client_of(node, f"r0/{number}")
                expect(client.get_size() == size, f"volume {number} has {client.get_size()} bytes on {node.name}, not {size}")
                for place in (0, 10 * MIB, size - 2 * BLOCK):
                    expect(client.pread(BLOCK, place) == bytes([seed + number]) * BLOCK, f"volume {number} at {place} on {node.name}")
                client.shutdown()

        write(alpha, 1)
        beta.do("down", "r0")
        for number, size in SIZES.items():
            with disk_of(beta, number).open("wb") as disk:
                disk.truncate(size + (9 + number) * MIB)
        beta.do("create-md", "r0")
        beta.do("up", "r0")
        alpha.wait_sync()
        step("copied to larger disks")
        alpha.do("secondary", "r0")
        beta.promote()
        read(beta, 1)
        write(beta, 101)
        beta.do("secondary", "r0")
        alpha.promote()
        read(alpha, 101)
        alpha.do("verify", "r0", "--wait")
        beta.do("down", "r0")
        write(alpha, 51)
        beta.do("up", "r0")
        alpha.wait_sync()
        alpha.do("secondary", "r0")
        for node in cluster.nodes:
            node.do("down", "r0")
        equal_copies(cluster, sizes)
        for node in cluster.nodes:
            node.do("up", "r0")
        alpha.do("wait-connect", "r0", "--timeout", "30")
        beta.promote()
        read(beta, 51)
        said = beta.refuses([REFUSED], "resize", "r0")
        expect("several-volumes" in said, f"resize: {said}")


def one_disk_fails():
    """A volume's disk fails under the Primary: all volumes go on from the peer without an error, and the log says which disk it was."""
    need_fuse()
    with cluster_of_three() as cluster:
        alpha, beta = cluster.nodes
        switch = cluster.directory / "eio"
        sick = SickFile(cluster, alpha.volumes[7], SIZES[7], switch)
        try:
            cluster.bring_up(primary=alpha)
            sizes = {number: device["size"] * 1024 for number, device in devices(alpha).items()}
            clients = {number: client_of(alpha, f"r0/{number}") for number in SIZES}
            switch.touch()
            for turn in range(8):
                for number, client in clients.items():
                    client.pwrite(bytes([16 * turn + number]) * BLOCK, turn * MIB)
            for client in clients.values():
                client.flush()
            for turn in range(8):
                for number, client in clients.items():
                    expect(client.pread(BLOCK, turn * MIB) == bytes([16 * turn + number]) * BLOCK, f"volume {number} lost a write")
            wait_until(lambda: alpha.do("dstate", "r0").startswith(("Failed", "Diskless")), "the disk to be given up")
            said = alpha.daemon.tail(400)
            expect(f"{alpha.volumes[7]}: " in said and "failed: Input/output error" in said, f"the log does not name the disk\n{said}")
            for client in clients.values():
                client.shutdown()
            switch.unlink()
            alpha.do("secondary", "r0")
            alpha.do("attach", "r0")
            alpha.wait_sync()
            for node in cluster.nodes:
                node.do("down", "r0")
            equal_copies(cluster, sizes)
        finally:
            switch.unlink(missing_ok=True)
            alpha.daemon.stop(60)
            sick.close()


if __name__ == "__main__":
    run(globals()[sys.argv[1]])
