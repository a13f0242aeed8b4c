#!/usr/bin/python3
"""Handlers that are run, and what waits for them: handlers.py SCENARIO (each is a function below)."""

import os
import sys

import nbd

from lab import MIB, Cluster, expect, run, skip, step, wait_until
from lossy import LossyDisk, usable

SIZE = 64 * MIB
BLOCK = 4096


class Handlers:
    """A script that notes what it is run for, and ends as the test wants it to."""

    def __init__(self, cluster, *names, more=""):
        self.log, self.fails = cluster.directory / "handled", cluster.directory / "handlers-fail"
        script = cluster.directory / "handler"
        script.write_text(f"#!/bin/sh\necho \"$1 $LOCKSTEP_NODE $LOCKSTEP_PEER $LOCKSTEP_DISK {more}\" >> {self.log}\n"
                          f"if [ -e {self.fails} ]; then exit 1; fi\n", encoding="utf-8")
        script.chmod(0o755)
        lines = " ".join(f'{name} "{script} {name}";' for name in names)
        text = cluster.config.read_text(encoding="utf-8")
        cluster.config.write_text(text.replace("  net {", f"  handlers {{ {lines} }}\n  net {{", 1), encoding="utf-8")

    def ran(self, name):
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return [line.split()[1:] for line in lines if line.split()[0] == name]


def write(node, fill):
    client = nbd.NBD()
    client.connect_uri(node.uri("r0"))
    client.pwrite(bytes([fill]) * MIB, 0)
    client.flush()
    client.shutdown()


def around_a_resync():
    """before-resync-target: the copy is as it was until the handler succeeds; after-resync-target comes when it is UpToDate."""
    with Cluster(size=SIZE) as cluster:
        alpha, beta = cluster.nodes
        handlers = Handlers(cluster, "before-resync-target", "after-resync-target")
        cluster.bring_up(primary=alpha)
        write(alpha, 1)
        expect(not handlers.ran("before-resync-target"), "a handler ran without a resync")
        beta.do("disconnect", "r0")
        wait_until(lambda: alpha.connection() != "Connected", "the link to go")
        write(alpha, 2)
        handlers.fails.touch()
        beta.do("connect", "r0")
        wait_until(lambda: handlers.ran("before-resync-target"), "before-resync-target to run")
        wait_until(lambda: "before-resync-target ended with 1" in beta.daemon.tail(100), "its failure to be told")
        write(alpha, 3)
        expect(beta.disk.read_bytes()[:MIB] == bytes([1]) * MIB, "the copy was overwritten before the handler succeeded")
        # The Primary holds back what could begin: not before the copy has told which tenure it adopted, and confirmed it.
        device = lambda: alpha.status()["connections"][0]["peer_devices"][0]
        wait_until(lambda: device()["replication-state"] == "PausedSyncS" and device()["peer-disk-state"] == "Outdated", "what waits to be shown")
        expect(beta.status()["connections"][0]["peer_devices"][0]["resync-suspended"] == "handler", "what it waits for is not shown")
        expect("Waits for the handler before-resync-target" in beta.do("explain", "r0", "resync"), "what it waits for is not explained")
        handlers.fails.unlink()
        step("it is run again by itself")
        beta.wait_sync()
        ran = handlers.ran("before-resync-target")
        expect(len(ran) == 2 and ran[0] == ["beta", "alpha", str(beta.disk)], f"before-resync-target ran as {ran}")
        wait_until(lambda: handlers.ran("after-resync-target"), "after-resync-target to run")
        alpha.do("secondary", "r0")
        cluster.compare_disks(SIZE - MIB)
        handlers.fails.touch()
        alpha.do("primary", "r0")
        beta.do("disconnect", "r0")
        wait_until(lambda: alpha.connection() != "Connected", "the link to go")
        write(alpha, 4)
        beta.do("connect", "r0")
        wait_until(lambda: len(handlers.ran("before-resync-target")) == 3, "before-resync-target to run again")
        beta.do("resume-sync", "r0")
        beta.wait_sync()
        step("resume-sync goes on without the handler")


def a_disk_that_fails():
    """on-io-error call-local-io-error: the disk is given up, and the handler told; clients go on."""
    if usable():
        skip(usable())
    with Cluster(size=SIZE) as cluster:
        alpha = cluster.alpha
        handlers = Handlers(cluster, "local-io-error")
        text = cluster.config.read_text(encoding="utf-8")
        cluster.config.write_text(text.replace("  net {", "  disk { on-io-error call-local-io-error; }\n  net {", 1), encoding="utf-8")
        with LossyDisk(cluster, alpha) as disk:
            cluster.bring_up(primary=alpha)
            write(alpha, 1)
            disk.fail(1, 0, "w")
            write(alpha, 2)
            wait_until(lambda: handlers.ran("local-io-error"), "local-io-error to run")
            expect(handlers.ran("local-io-error") == [["alpha", str(alpha.disk)]], f"it ran as {handlers.ran('local-io-error')}")
            wait_until(lambda: alpha.do("dstate", "r0").split("/")[0] in ("Failed", "Diskless"), "the disk to be given up")
            write(alpha, 3)


def scrubbed():
    """verify-interval: the Primary compares the copies by the clock, and out-of-sync is told of what it finds."""
    with Cluster(size=SIZE) as cluster:
        alpha, beta = cluster.nodes
        handlers = Handlers(cluster, "out-of-sync")
        text = cluster.config.read_text(encoding="utf-8")
        cluster.config.write_text(text.replace("  net {", "  disk { verify-interval 2; }\n  net {", 1), encoding="utf-8")
        cluster.bring_up(primary=alpha)
        write(alpha, 1)
        wait_until(lambda: "verify done, the copies are identical" in alpha.daemon.tail(100), "a comparison that nobody asked for")
        with open(beta.disk, "r+b") as file:
            file.seek(10 * MIB)
            file.write(os.urandom(BLOCK))
        wait_until(lambda: handlers.ran("out-of-sync"), "out-of-sync to run")
        expect(handlers.ran("out-of-sync")[0][:2] == ["alpha", "beta"], f"it ran as {handlers.ran('out-of-sync')}")


SCENARIOS = [around_a_resync, a_disk_that_fails, scrubbed]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: handlers.py {'|'.join(chosen)}")
    sys.exit(run(chosen[sys.argv[1]]))
