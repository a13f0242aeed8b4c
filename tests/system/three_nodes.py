#!/usr/bin/python3
"""Three data nodes and a witness. three_nodes.py SCENARIO."""

import json
import sys

from failover import byte_at, export_size, write_through
from lab import MIB, Cluster, Writer, check_writes, expect, run, step, wait_until

OPTIONS = "lease-time 10;"
BLOCKS = 1024  # of the load, in front of what is written by hand


def states(node):
    """By peer: how the link stands, and the peer's disk."""
    return {link["name"]: (link["connection-state"], link["peer_devices"][0]["peer-disk-state"])
            for link in node.status().get("connections") or []}


def all_up_to_date(node):
    return node.status()["devices"][0]["disk-state"] == "UpToDate" and all(
        state == ("Connected", "UpToDate") for state in states(node).values())


def level(cluster, size):
    """Whole again, nobody Primary; then the copies are compared."""
    for node in cluster.nodes:
        wait_until(lambda node=node: all_up_to_date(node), f"{node.name} to see three good copies")
    for node in cluster.nodes:
        if node.role() == "Primary":
            node.do("secondary", "r0")
    cluster.compare_disks(size)


def one_after_the_other():
    """Each node dies once, as Primary under load; the next one goes on with what was acknowledged, and what differs is copied later."""
    with Cluster(options=OPTIONS, third=True) as cluster:
        alpha, beta, delta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        primary = alpha
        for value, successor in enumerate([beta, delta, alpha], 1):
            write_through(primary, 8 * value * MIB, value)
            writer = Writer(cluster, f"load{value}", [primary.uri("r0")], BLOCKS)
            writer.wait_for(2000)
            primary.daemon.kill()
            writer.finish()
            seconds = successor.promote()
            check_writes(cluster, successor.uri("r0"), BLOCKS, [writer.log])
            step(f"{primary.name} was killed, {successor.name} is Primary after {seconds:.1f} s")
            expect(byte_at(successor, 8 * value * MIB) == value, f"a write that {primary.name} acknowledged is gone")
            cluster.rejoin(primary)
            wait_until(lambda successor=successor: all_up_to_date(successor), "three good copies")
            primary = successor
        said = alpha.refuses([10], "invalidate-remote", "r0")
        expect("r0:beta" in said, f"it doesn't say how to name the peer:\n{said}")
        alpha.do("invalidate-remote", "r0:beta")
        level(cluster, size)


def tells_split_brain(node, peer):
    links = json.loads(node.do("status", "r0", "--json"))[0]["connections"]
    return any(link["name"] == peer.name and link["reason"] == "different-history" for link in links)


def one_of_three_forced():
    """One is left, and is forced. The other two come back, connected in the history before; one command on each brings it over."""
    with Cluster(options=OPTIONS, third=True) as cluster:
        alpha, beta, delta = cluster.nodes
        cluster.bring_up(primary=beta)
        size = export_size(beta)
        write_through(beta, 0, 1)
        cluster.gamma.kill()
        beta.daemon.kill()
        delta.daemon.kill()
        alpha.refuses([11], "primary", "r0")
        alpha.do("primary", "--force", "r0")
        expect(byte_at(alpha, 0) == 1, "what was acknowledged on all three is there")
        write_through(alpha, 8 * MIB, 2)
        for node in (beta, delta):
            cluster.rejoin(node)
        for node in (beta, delta):
            wait_until(lambda node=node: tells_split_brain(node, alpha), f"{node.name} to tell the split brain")
        beta.do("connect", "--discard-my-data", "r0")
        alpha.do("connect", "r0")
        wait_until(lambda: states(beta).get("alpha") == ("Connected", "UpToDate"), "beta to come over to alpha")
        wait_until(lambda: beta.status()["devices"][0]["disk-state"] == "UpToDate", "beta to be levelled")
        wait_until(lambda: tells_split_brain(beta, delta), "beta to stay away from the history that it has left")
        delta.do("connect", "--discard-my-data", "r0")
        for node in (alpha, beta):
            node.do("connect", "r0")
        cluster.gamma.start()
        level(cluster, size)
        expect(byte_at(alpha.promote() and alpha, 8 * MIB) == 2, "alpha's write is gone")


SCENARIOS = [one_after_the_other, one_of_three_forced]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: three_nodes.py {'|'.join(chosen)}")
    sys.exit(run(chosen[sys.argv[1]]))
