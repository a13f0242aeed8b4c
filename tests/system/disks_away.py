#!/usr/bin/python3
"""A node without its disk for a while, and a copy that steps aside: disks_away.py SCENARIO (each is a function below)."""

import fcntl
import os
import sys

from lab import BLOCK, MIB, Cluster, Writer, check_writes, client_of, expect, run, skip, step, wait_until
from lossy import LossyDisk, usable

SIZE = 64 * MIB
REFUSED, NO_DISK, NO_DATA, FAILURE = 11, 16, 17, 20


def in_use(path):
    """Whether somebody has a claim on it."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def dstates(cluster):
    return [node.do("dstate", "r0").strip() for node in cluster.nodes]


def with_digests():
    """The same on disks that keep digests of their blocks."""
    under_load(create=("--digests",))


def under_load(create=()):
    """detach on either node while clients write: they notice nothing, the disk is free, and attach copies what was missed."""
    with Cluster(size=SIZE) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha, create=create)
        blocks = (SIZE - 2 * MIB) // BLOCK
        writer = Writer(cluster, "writer", [alpha.uri("r0")], blocks)
        writer.wait_for(500)
        for node in (beta, alpha):
            expect(in_use(node.disk), "nobody has a claim on a disk that is attached")
            node.do("detach", "r0")
            node.do("detach", "r0")
            expect(not in_use(node.disk), "a disk that is detached is still claimed")
            own, other = ("Diskless", "UpToDate") if node is alpha else ("UpToDate", "Diskless")
            wait_until(lambda: dstates(cluster) == [f"{own}/{other}", f"{other}/{own}"], f"the states with {node.name} detached")
            writer.wait_for(writer.answered() + 500)
            expect(cluster.peer(node).refuses([NO_DATA], "detach", "r0").count("last-copy") == 1, "the last copy was let go of")
            step(f"{node.name} goes on without its disk")
            if node is beta:
                beta.do("attach", "r0")
                beta.do("attach", "r0")
                beta.wait_sync()
        said = alpha.refuses([REFUSED], "attach", "r0")
        expect("attach-primary" in said and "Secondary" in said, f"attach on a Primary: {said}")
        summary = writer.stop()
        expect(not summary["errors"], f"a client noticed: {summary}")
        alpha.do("secondary", "r0")
        alpha.refuses([NO_DISK], "primary", "r0")
        beta.promote()
        alpha.do("attach", "r0")
        alpha.wait_sync()
        check_writes(cluster, beta.uri("r0"), blocks, [writer.log])
        beta.do("secondary", "r0")
        cluster.compare_disks(SIZE - MIB)


def replaced():
    """Another disk is put in while the resource is up: what cannot be attached is refused, and nothing is lost by trying."""
    with Cluster(size=SIZE) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        client = client_of(alpha)
        client.pwrite(os.urandom(4 * MIB), 0)
        beta.do("detach", "r0")
        with beta.disk.open("wb") as disk:
            disk.truncate(SIZE)
        said = beta.refuses([NO_DISK], "attach", "r0")
        expect("create-md" in said and "stays up, without a disk" in said, f"a blank disk: {said}")
        with beta.disk.open("rb") as taken:
            fcntl.flock(taken, fcntl.LOCK_EX)
            expect("in use" in beta.refuses([NO_DISK], "attach", "r0"), "a disk in use was not told apart")
        expect(beta.do("cstate", "r0") == "Connected\n", "it is not connected any more")
        beta.do("create-md", "r0")
        beta.do("attach", "r0")
        beta.wait_sync()
        client.pwrite(os.urandom(MIB), 8 * MIB)
        client.shutdown()
        alpha.do("secondary", "r0")
        cluster.compare_disks(SIZE - MIB)


def failed():
    """A disk that failed is still claimed: attach lets go of it first. One that still fails leaves the node down, which is said."""
    if usable():
        skip(usable())
    with Cluster(size=SIZE) as cluster:
        alpha, beta = cluster.nodes
        with LossyDisk(cluster, beta) as disk:
            cluster.bring_up(primary=alpha)
            client = client_of(alpha)
            disk.fail(1, 0, "w")
            client.pwrite(os.urandom(MIB), 0)
            wait_until(lambda: beta.do("dstate", "r0").startswith("Diskless/"), "beta's disk to be given up")
            said = beta.refuses([NO_DISK, FAILURE], "attach", "r0")
            disk.well()
            # It can be read, and fails at the first write, which comes too late to stay as it was.
            step(f"while it fails still: {said}")
            expect("IS DOWN on this node" in said, "nobody is told that it went down")
            beta.do("up", "r0")
            beta.wait_sync()
            client.pwrite(os.urandom(MIB), 4 * MIB)
            client.shutdown()
            alpha.do("secondary", "r0")
            alpha.do("down", "r0")
            beta.do("down", "r0")


def votes():
    """A vote that is needed stays, and is named."""
    with Cluster(size=SIZE) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        cluster.gamma.kill()
        for node in cluster.nodes:
            wait_until(lambda: not all(voter["answers"] for voter in node.status()["voters"]), "the witness to be missed")
            expect("needs-own-vote" in node.refuses([REFUSED], "detach", "r0"), f"{node.name}'s vote is not needed")
        expect(dstates(cluster) == ["UpToDate/UpToDate"] * 2, "a refused detach changed something")
        cluster.gamma.start()
        wait_until(lambda: beta.cli("detach", "r0").returncode == 0, "the witness to be back")
        beta.do("attach", "r0")
        beta.wait_sync()


HANDLER = """#!/bin/sh
echo "$LOCKSTEP_NODE $LOCKSTEP_PEER" >> {log}
{outdate} > {log}.said 2>&1 || exit 5
exit 4
"""


def stood_aside():
    """Two nodes, no witness: the fence handler has the other one declare itself Outdated, and the Primary goes on."""
    with Cluster(size=SIZE, witness=False, net="fencing resource-and-stonith;") as cluster:
        alpha, beta = cluster.nodes
        script, log = cluster.directory / "fence", cluster.directory / "fenced"
        outdate = " ".join(str(word) for word in beta.command("outdate", "r0"))
        script.write_text(HANDLER.format(log=log, outdate=outdate), encoding="utf-8")
        script.chmod(0o755)
        text = cluster.config.read_text(encoding="utf-8")
        cluster.config.write_text(text.replace("  net {", f'  handlers {{ fence-peer "{script}"; }}\n  net {{', 1), encoding="utf-8")
        cluster.bring_up(primary=alpha)
        client = client_of(alpha)
        client.pwrite(os.urandom(MIB), 0)
        expect("outdate-primary" in alpha.refuses([REFUSED], "outdate", "r0"), "a Primary became Outdated")
        expect("outdate-connected" in beta.refuses([REFUSED], "outdate", "r0"), "a connected node became Outdated")
        beta.do("disconnect", "r0")
        client.pwrite(os.urandom(MIB), 0)  # waits for the handler, and goes on
        expect(log.read_text(encoding="utf-8").startswith("alpha beta"), "the handler did not run")
        expect(beta.do("dstate", "r0").startswith("Outdated/"), f"beta is {beta.do('dstate', 'r0')}")
        expect(alpha.do("dstate", "r0") == "UpToDate/Outdated\n", f"alpha says {alpha.do('dstate', 'r0')}")
        said = beta.refuses([NO_DATA], "primary", "r0")
        expect("copy-outdated" in said, f"a copy that stood aside: {said}")
        beta.do("disconnect", "r0")
        beta.do("connect", "r0")
        beta.wait_sync()
        client.pwrite(os.urandom(MIB), 0)
        client.shutdown()
        alpha.do("secondary", "r0")
        beta.promote()
        step("after they have met, it counts again")
        beta.do("secondary", "r0")
        cluster.compare_disks(SIZE - MIB)


if __name__ == "__main__":
    run(globals()[sys.argv[1]])
