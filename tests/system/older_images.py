#!/usr/bin/python3
"""Memories that go back: disks and states that come out of an image, and machines that were cloned. older_images.py SCENARIO."""

import shutil
import sys
import time

from failover import NO_GOOD_DATA, byte_at, export_size, level_and_compare, write_through
from lab import BIN, BLOCK, Cluster, Process, expect, run, step, wait_until
from witness_days import counts

LEASE = 1  # seconds
OPTIONS = f"lease-time {10 * LEASE};"


def image_of(path):
    """As a snapshot of the storage beneath the machine would have it; restoring writes over the same file."""
    image = path.with_name(path.name + ".image")
    shutil.copyfile(path, image)
    return image


def put_back(image, path):
    with image.open("rb") as old, path.open("r+b") as now:
        shutil.copyfileobj(old, now)


def is_superseded(node):
    return node.status().get("reason") == "older-state"


def make_anew(cluster, node):
    """What the node says has to be done."""
    node.do("down", "r0")
    node.do("create-md", "--force", "r0")
    node.do("up", "r0")
    node.wait_sync()


def disk_set_back():
    """A node comes back with an older image of its disk: it is shut out, says why, and helps nobody to decide."""
    with Cluster(options=OPTIONS) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        beta.daemon.kill()
        image = image_of(beta.disk)
        cluster.rejoin(beta)
        beta.wait_sync()
        wait_until(lambda: counts(beta), "the witness to meet beta")
        beta.daemon.kill()
        write_through(alpha, 0, 1)  # decided with the witness: beta lacks it
        alpha.daemon.kill()
        put_back(image, beta.disk)
        cluster.rejoin(beta)
        wait_until(lambda: is_superseded(beta), "the witness to tell beta")
        said = beta.refuses([NO_GOOD_DATA], "primary", "r0")
        expect("older-state" in said and "create-md --force" in said, f"the refusal doesn't help:\n{said}")
        step(f"beta, of yesterday, refuses:\n{said.rstrip()}")
        beta.daemon.kill()
        cluster.rejoin(beta)
        expect(is_superseded(beta), "a restart made beta forget it")
        cluster.rejoin(alpha)
        alpha.promote()
        expect(byte_at(alpha, 0) == 1, "the write is lost")
        step(f"status on alpha:\n{alpha.do('status', 'r0').rstrip()}")
        make_anew(cluster, beta)
        level_and_compare(cluster, size)


def cloned_machine():
    """Two machines with one node's disk: the one that was met second is shut out, and no write goes astray."""
    with Cluster(options=OPTIONS) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        beta.daemon.kill()
        clone = cluster.directory / "clone"
        clone.mkdir()
        shutil.copyfile(beta.disk, clone / "disk")
        (clone / "run").mkdir()
        text = cluster.config.read_text(encoding="utf-8")
        config = cluster.directory / "clone.conf"
        config.write_text(text.replace(str(beta.disk), str(clone / "disk")).replace(str(beta.socket), str(clone / "nbd.sock"))
                          .replace(f":{beta.nbd_port};", f":{beta.nbd_port + 1000};"), encoding="utf-8")
        cluster.rejoin(beta)
        beta.wait_sync()
        wait_until(lambda: counts(beta), "the witness to meet beta")
        beta.daemon.kill()  # its address is free; the clone comes up where beta was
        options = ["--config", config, "--node", "beta", "--run-dir", clone / "run"]
        second = Process("clone", [BIN / "lockstepd", *options], clone / "log")
        cluster.others.append(second)
        second.start()
        beta.options = lambda: [str(word) for word in options]
        wait_until(lambda: beta.cli("status").returncode == 0, "the clone's daemon to answer")
        beta.do("up", "r0")
        wait_until(lambda: is_superseded(beta), "the clone to be told")
        write_through(alpha, 0, 1)
        said = beta.refuses([NO_GOOD_DATA], "primary", "r0")
        step(f"the clone refuses:\n{said.rstrip()}")
        second.stop()
        del beta.options
        cluster.rejoin(beta)
        beta.wait_sync()
        level_and_compare(cluster, size)


def witness_set_back():
    """The witness's state comes out of an older image: it begins anew, and is seated again."""
    with Cluster(options=OPTIONS) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        state = next(cluster.witness_state.glob("*.state"))
        image = image_of(state)
        cluster.gamma.stop()
        cluster.gamma.start()
        for node in cluster.nodes:
            wait_until(lambda node=node: counts(node), f"the witness to answer {node.name}")
        beta.daemon.kill()
        write_through(alpha, 0, 1)
        alpha.daemon.kill()
        cluster.gamma.stop()
        put_back(image, state)
        cluster.gamma.start()
        cluster.rejoin(beta)
        time.sleep(LEASE + 1)
        said = beta.refuses([11, NO_GOOD_DATA], "primary", "r0")
        step(f"beta, which lacks a write, with the witness of before:\n{said.rstrip()}")
        log = cluster.gamma.log.read_text(encoding="utf-8")
        expect("has met a later run of this state" in log, f"the witness doesn't say what happened:\n{log}")
        cluster.rejoin(alpha)
        alpha.promote()
        expect(byte_at(alpha, 0) == 1, "the write is lost")
        wait_until(lambda: counts(alpha), "the witness to get its seat again")
        beta.wait_sync()
        level_and_compare(cluster, size)


SCENARIOS = [disk_set_back, cloned_machine, witness_set_back]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: older_images.py {'|'.join(chosen)}")
    sys.exit(run(chosen[sys.argv[1]]))
