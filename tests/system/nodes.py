#!/usr/bin/python3
"""Data nodes come and go while the Primary serves: nodes.py SCENARIO (each is a function below)."""

import re
import sys

from lab import BLOCK, MIB, Cluster, Node, Writer, check_writes, expect, run, step, wait_until

SIZE = 64 * MIB
BLOCKS = (SIZE - 2 * MIB) // BLOCK
REFUSED = [11]
NET = "ping-int 1; ping-timeout 5; connect-int 1;"


def voters(node):
    return {voter["name"] for voter in node.status()["voters"]}


def wait_for_voters(node, names):
    wait_until(lambda: voters(node) == names, f"the voters {sorted(names)}")
    step(f"{node.name}: voters {', '.join(sorted(names))}")


def disk_state(node):
    return node.status()["devices"][0]["disk-state"]


def keep_the_id(cluster, node):
    """What the refusal says to write, written."""
    said = node.refuses(REFUSED, "adjust", "r0")
    step(said.rstrip())
    cluster.options += re.search(r"resource-uuid [0-9a-f-]+;", said)[0]
    cluster.write_config()


def begin_on(node):
    node.do("create-md", "r0")
    node.start()
    node.do("up", "r0")


def added_and_removed():
    """A third node is added under load, copied, and votes; it is taken out, misses writes, and comes back with everything."""
    with Cluster(size=SIZE, net=NET, third=True) as cluster:
        alpha, beta, delta = cluster.nodes
        pair = [alpha, beta]
        cluster.nodes = pair
        cluster.write_config()
        cluster.bring_up(primary=alpha)
        writer = Writer(cluster, "writer", [alpha.uri("r0")], BLOCKS)
        writer.wait_for(200)

        cluster.nodes = [alpha, beta, delta]
        cluster.write_config()
        keep_the_id(cluster, alpha)
        alpha.do("adjust", "r0")
        begin_on(delta)
        wait_until(lambda: disk_state(delta) == "UpToDate", "delta to be copied to")
        expect(voters(alpha) == {"alpha", "beta", "gamma"}, "a node votes that beta does not know")
        expect("delta node votes:no" in alpha.do("status", "r0"), "status does not show who has no vote")
        said = alpha.do("explain", "r0", "promote")
        expect("delta" in said and "adjust" in said, f"explain does not say what is missing: {said}")
        beta.do("adjust", "r0")
        wait_for_voters(alpha, {"alpha", "beta", "delta", "gamma"})
        writer.wait_for(writer.answered() + 200)
        for node in cluster.nodes:
            expect(disk_state(node) == "UpToDate", f"{node.name} is {disk_state(node)}")

        step("beta dies: delta and the witness are enough")
        beta.daemon.kill()
        writer.wait_for(writer.answered() + 500)
        cluster.rejoin(beta)
        beta.wait_sync()

        step("delta is taken out")
        cluster.nodes = pair
        cluster.write_config()
        said = beta.refuses(REFUSED, "adjust", "r0")
        expect("still-named" in said, f"on the Secondary first: {said}")
        alpha.do("adjust", "r0")
        wait_for_voters(alpha, {"alpha", "beta", "gamma"})
        beta.do("adjust", "r0")
        wait_until(lambda: not any(peer["connection-state"] == "Connected" for peer in delta.status()["connections"]), "delta to be alone")
        delta.refuses([11, 17], "primary", "r0")
        writer.wait_for(writer.answered() + 500)

        step("and comes back")
        cluster.nodes = [alpha, beta, delta]
        cluster.write_config()
        for node in pair:
            node.do("adjust", "r0")
        wait_for_voters(alpha, {"alpha", "beta", "delta", "gamma"})
        delta.wait_sync()
        writer.wait_for(writer.answered() + 200)
        step(f"{writer.stop()['answered']} writes answered")
        check_writes(cluster, alpha.uri("r0"), BLOCKS, [writer.log])
        alpha.do("secondary", "r0")
        delta.promote()
        check_writes(cluster, delta.uri("r0"), BLOCKS, [writer.log])
        delta.do("secondary", "r0")
        cluster.compare_disks(SIZE - MIB)


def replaced():
    """A node that is lost for good is replaced by another machine under its node-id, while the Primary serves."""
    with Cluster(size=SIZE, net=NET) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        writer = Writer(cluster, "writer", [alpha.uri("r0")], BLOCKS)
        writer.wait_for(200)
        step("beta burns down; epsilon takes its place")
        beta.daemon.kill()
        epsilon = Node(cluster, beta.index, "epsilon", SIZE)
        cluster.nodes = [alpha, epsilon]
        cluster.write_config()
        keep_the_id(cluster, alpha)
        alpha.do("adjust", "r0")
        begin_on(epsilon)
        epsilon.wait_sync()
        wait_for_voters(alpha, {"alpha", "epsilon", "gamma"})
        writer.wait_for(writer.answered() + 200)

        step("alpha dies: epsilon has everything")
        answered = writer.stop()["answered"]
        alpha.daemon.kill()
        epsilon.promote()
        check_writes(cluster, epsilon.uri("r0"), BLOCKS, [writer.log])
        step(f"{answered} writes answered")
        cluster.rejoin(alpha)
        alpha.wait_sync()
        epsilon.do("secondary", "r0")
        cluster.compare_disks(SIZE - MIB)


SCENARIOS = [added_and_removed, replaced]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: nodes.py {'|'.join(chosen)}")
    sys.exit(run(chosen[sys.argv[1]]))
