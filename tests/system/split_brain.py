#!/usr/bin/python3
"""Histories that an operator forced, and how they become one again. split_brain.py SCENARIO."""

import json
import sys
import time

from failover import byte_at, export_size, level_and_compare, write_through
from lab import Cluster, expect, run, step, wait_until
from witness_days import counts

LEASE = 1  # seconds
OPTIONS = f"lease-time {10 * LEASE};"
MIB = 1 << 20


def tells_split_brain(node):
    connection = json.loads(node.do("status", "r0", "--json"))[0]["connections"][0]
    return connection["reason"] == "different-history" and connection["connection-state"] == "StandAlone"


def voters(node):
    return {voter["name"] for voter in node.status()["voters"]}


def forced_and_reunited():
    """The Primary and the witness are gone: the other node is forced. Later the old one is levelled with what differs, no more."""
    with Cluster(options=OPTIONS) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        write_through(alpha, 0, 1)
        cluster.gamma.kill()
        alpha.daemon.kill()
        said = beta.refuses([11], "primary", "r0")
        expect("lockstep primary --force r0" in said, f"the way out isn't named:\n{said}")
        done = beta.cli("primary", "--force", "r0")
        expect(done.returncode == 0 and "new history" in done.stdout + done.stderr, f"{done}")
        step(f"forced:\n{(done.stdout + done.stderr).rstrip()}")
        expect(byte_at(beta, 0) == 1, "what was acknowledged on both is there")
        write_through(beta, 8 * MIB, 2)
        cluster.gamma.start()
        cluster.rejoin(alpha)
        for node in cluster.nodes:
            wait_until(lambda node=node: tells_split_brain(node), f"{node.name} to tell the split brain")
        alpha.refuses([11, 17], "primary", "r0")
        said = beta.do("explain", "r0", "resync")
        expect("May differ" in said and f"{8 * MIB} to" in said, f"the differing extents aren't listed:\n{said}")
        step(f"beta explains:\n{said.rstrip()}")
        beta.refuses([11], "connect", "--discard-my-data", "r0")  # it is Primary
        step(f"alpha gives up:\n{alpha.do('connect', '--discard-my-data', 'r0').rstrip()}")
        beta.do("connect", "r0")
        alpha.wait_sync()
        expect(byte_at(beta, 8 * MIB) == 2, "beta's write is gone")
        wait_until(lambda: voters(beta) == {"alpha", "beta", "gamma"}, "every voter to be seated again")
        wait_until(lambda: counts(beta), "the witness to answer")
        level_and_compare(cluster, size)


def frozen_primary_forced():
    """A Primary without quorum freezes; forced, it goes on with what waited. Its old peer's data is given up."""
    with Cluster(options=OPTIONS) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        write_through(alpha, 0, 1)
        cluster.gamma.kill()
        beta.daemon.kill()
        wait_until(lambda: alpha.status().get("suspended") is not False and alpha.status()["reason"], "alpha to freeze")
        alpha.do("primary", "--force", "r0")
        write_through(alpha, 0, 3)
        cluster.rejoin(beta)
        wait_until(lambda: tells_split_brain(beta), "beta to tell the split brain")
        alpha.do("secondary", "r0")
        alpha.promote()
        beta.do("connect", "--discard-my-data", "r0")
        alpha.do("connect", "r0")
        beta.wait_sync()
        expect(byte_at(alpha, 0) == 3, "the write after the force is gone")
        cluster.gamma.start()
        wait_until(lambda: voters(alpha) == {"alpha", "beta", "gamma"}, "every voter to be seated again")
        time.sleep(LEASE)
        level_and_compare(cluster, size)


SCENARIOS = [forced_and_reunited, frozen_primary_forced]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: split_brain.py {'|'.join(chosen)}")
    sys.exit(run(chosen[sys.argv[1]]))
