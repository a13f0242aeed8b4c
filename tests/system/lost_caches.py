#!/usr/bin/python3
"""Machines that lose power with acknowledged writes in their disks' caches. A new boot is a new boot token: lost_caches.py SCENARIO."""

import sys

from failover import NO_GOOD_DATA, byte_at, export_size, level_and_compare, write_through
from lab import Cluster, expect, run, step, wait_until
from witness_days import counts

LEASE = 1  # seconds
OPTIONS = f"lease-time {10 * LEASE};"


def new_boot(node):
    """The machine of this node was off: its run directory is on a tmpfs."""
    node.daemon.kill()
    (node.run_dir / "boot-token").unlink()


def doubtful(cluster, node):
    cluster.rejoin(node)
    wait_until(lambda: counts(node), "the witness to answer")

    def refused():
        return node.cli("primary", "r0").stderr if node.status()["reason"] == "copy-doubtful" else None
    said = wait_until(refused, f"{node.name} to be refused for its lost cache")
    expect("copy-doubtful" in said, f"refused for something else:\n{said}")
    expect("Consistent" in node.do("status", "r0"), "status doesn't show it")
    node.refuses([NO_GOOD_DATA], "primary", "r0")
    return said.rstrip()


def one_cache():
    """A node that lost its cache does not take over from one that lives on; levelled, it is as good as before."""
    with Cluster(options=OPTIONS) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        write_through(alpha, 0, 1)
        alpha.daemon.kill()
        new_boot(beta)
        step(f"beta lost its cache:\n{doubtful(cluster, beta)}")
        cluster.rejoin(alpha)
        alpha.promote()
        expect(byte_at(alpha, 0) == 1, "the write is lost")
        beta.wait_sync()
        level_and_compare(cluster, size)
        alpha.do("secondary", "r0")
        beta.promote()


def every_cache():
    """All lost their caches: one alone waits for the others, or for an operator who says that they will not come back."""
    with Cluster(options=OPTIONS) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        write_through(alpha, 0, 1)
        for node in cluster.nodes:
            new_boot(node)
        doubtful(cluster, beta)
        cluster.rejoin(alpha)
        beta.promote()
        expect(byte_at(beta, 0) == 1, "a flushed write is lost")
        alpha.wait_sync()
        write_through(beta, 4096, 2)
        for node in cluster.nodes:
            new_boot(node)
        doubtful(cluster, alpha)
        alpha.do("primary", "--force", "r0")
        expect(byte_at(alpha, 4096) == 2, "a flushed write is lost")
        cluster.rejoin(beta)
        beta.wait_sync()
        level_and_compare(cluster, size)


SCENARIOS = [one_cache, every_cache]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: lost_caches.py {'|'.join(chosen)}")
    sys.exit(run(chosen[sys.argv[1]]))
