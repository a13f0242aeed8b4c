#!/usr/bin/python3
"""ext4 on the kernel's NBD client, under a load that syncs: the Primary's daemon is killed and comes back, is killed again and the other
node takes over, then that one is killed, and the first takes over with what it was given since. Nothing that was acknowledged is
lost, and the file system sees no error."""

import shutil
import sys

from guest import HOST, Guest
from lab import MIB, Cluster, LabError, expect, run, step, tool, wait_until
from records import RECORDS_OF_A_FILE, acknowledged, check, digests

SIZE = 128 * MIB
WORKERS = ["a", "b"]
ENOUGH = 30  # records of each worker, between what is done to the cluster


def more_records(guest):
    """Waits until every worker has gone on for a while."""
    before = acknowledged(guest.acks)

    def gone_on():
        now = acknowledged(guest.acks)
        return all(now.get(worker, 0) >= before.get(worker, 0) + ENOUGH for worker in WORKERS)

    wait_until(gone_on, "the load to go on", interval=0.1)
    step(f"acknowledged: {acknowledged(guest.acks)}")


def kill(node):
    node.daemon.kill()
    step(f"{node.name}'s daemon is killed")


def serve(node):
    node.promote()
    step(f"{node.name} is Primary")


def clean(text):
    return "Pass 5" in text and "***" not in text and "ix?" not in text


def check_file_system(guest, device):
    said = guest.run(f"e2fsck -fn {device}")
    expect(clean(said), f"e2fsck finds something:\n{said}")


def read_back(guest, node, counts):
    """What a client that knows nothing yet reads: every file, by Debian's nbd-client."""
    guest.run(f"nbd-client {HOST} {node.nbd_port} /dev/nbd1 -N r0 -timeout 60")
    guest.run("mount -t ext4 -o ro,noload /dev/nbd1 /mnt")
    said = guest.run("cd /mnt; sha256sum " + " ".join(f"{worker}/*" for worker in counts))
    guest.run("umount /mnt; nbd-client -d /dev/nbd1")
    found = {name: digest for digest, name in (line.split() for line in said.splitlines())}
    wanted = digests(counts)
    wrong = [name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name)]
    expect(not wrong, f"read through {node.name}, these are not what was acknowledged: {wrong}")


def check_copy(node, counts):
    """A node's disk by itself: its data begins where the disk does."""
    done = tool("e2fsck", "-fn", node.disk, check=False)
    expect(done.returncode == 0 and clean(done.stdout), f"e2fsck of {node.name}'s copy:\n{done.stdout}{done.stderr}")
    out = node.directory / "files"
    out.mkdir()
    for worker in counts:
        tool("debugfs", "-R", f"rdump /{worker} {out}", node.disk)
    check(out, counts)
    return out


def notices(what, out, counts):
    try:
        check(out, counts)
    except LabError as error:
        step(f"{what} is noticed: {error}")
        return
    raise LabError(f"{what} is not noticed")


def alterations(out, counts):
    """The comparison would have noticed what must not happen."""
    worker = WORKERS[0]
    last, middle = out / worker / "last", out / worker / "0"
    good = last.read_bytes()
    last.write_bytes(good.replace(f"record {counts[worker] - 1} of".encode(), f"record {counts[worker] - 2} of".encode()))
    notices("an older record", out, counts)
    last.write_bytes(good)
    changed = bytearray(middle.read_bytes())
    changed[min(counts[worker], RECORDS_OF_A_FILE) * 4096 // 2] ^= 1
    middle.write_bytes(changed)
    notices("a changed bit", out, counts)
    shutil.rmtree(out / worker)
    notices("a lost file", out, counts)


def test():
    with Cluster(size=SIZE) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        with Guest(cluster) as guest:
            guest.attach(0, [node.nbd_port for node in cluster.nodes])
            guest.run("mkfs.ext4 -q /dev/nbd0; mount -t ext4 /dev/nbd0 /mnt")
            for worker in WORKERS:
                guest.begin(worker, f"guest-load /mnt {worker}", "/dev/ttyS2")
            more_records(guest)

            kill(alpha)
            cluster.rejoin(alpha)
            serve(alpha)
            more_records(guest)

            kill(alpha)
            serve(beta)
            more_records(guest)

            cluster.rejoin(alpha)
            alpha.wait_sync()
            step(guest.run("fstrim -v /mnt").strip())
            kill(beta)
            serve(alpha)
            more_records(guest)

            guest.run("touch /mnt/stop")
            for worker in WORKERS:
                guest.finish(worker)
            counts = acknowledged(guest.acks)
            guest.run("umount /mnt")
            check_file_system(guest, "/dev/nbd0")
            guest.detach(0)
            step("unmounted, and clean")
            read_back(guest, alpha, counts)
            trouble = guest.trouble()
            expect(not trouble, "the guest's kernel met errors:\n" + "\n".join(trouble))
            step(f"every record is there: {counts}")

        cluster.rejoin(beta)
        for node in cluster.nodes:
            node.wait_sync()
        size = int(tool("nbdinfo", "--size", alpha.uri("r0")).stdout)
        alpha.do("secondary", "r0")
        cluster.compare_disks(size)
        outs = [check_copy(node, counts) for node in cluster.nodes]
        step("and on each node's disk")
        alterations(outs[0], counts)


if __name__ == "__main__":
    sys.exit(run(test))
