#!/usr/bin/python3
"""Cables that are cut without a word: partition.py SCENARIO (each is a function below). Needs root."""

import sys
import time

import network
from failover import BLOCKS, NO_GOOD_DATA, REFUSED, Client, byte_at, export_size, level_and_compare, write_through
from lab import BLOCK, Cluster, Writer, check_writes, expect, run, step, wait_until


def isolated_primary():
    """A Primary whose cables are all cut freezes; the other is promoted; the old one's clients never get an answer."""
    with Cluster(network=network.Network()) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        writer = Writer(cluster, "writer", [alpha.uri("r0")], BLOCKS)
        writer.wait_for(2000)
        client = Client(alpha.uri("r0"))
        last = (BLOCKS + 1) * BLOCK
        expect(client.outcome(client.write(last, 1), 60) == "done", "the first write")
        cluster.network.isolate("alpha")
        began = time.monotonic()
        write = client.write(last, 2)
        read = client.read(last)
        beta.promote()
        step(f"alpha cut off; beta Primary after {time.monotonic() - began:.2f} s")
        expect(client.outcome(write, 1) == "waiting", "alpha answered a write without a lease")
        write_through(beta, last, 3)
        expect(alpha.status().get("suspended"), "alpha doesn't say that it is suspended")
        check_writes(cluster, beta.uri("r0"), BLOCKS, [writer.log])
        expect(client.outcome(read, 1) == "waiting", "alpha answered a read although beta has written there")
        cluster.network.rejoin("alpha")
        expect(client.outcome(write, 60) == "failed", "the waiting write did not fail when alpha learnt of beta")
        summary = writer.finish()
        expect(not summary["finished"], "the writer on alpha did not notice that alpha was replaced")
        wait_until(lambda: alpha.role() == "Secondary", "alpha to be Secondary")
        level_and_compare(cluster, size)
        check_writes(cluster, beta.uri("r0"), BLOCKS, [writer.log])
        expect(byte_at(beta, last) == 3, "beta's write")
        step("alpha's clients were failed; beta has every answered write, and its own")


def cut_between():
    """Only the cable between the data nodes is cut: the Primary goes on with the witness, the other can't take over."""
    with Cluster(network=network.Network()) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        writer = Writer(cluster, "writer", [alpha.uri("r0")], BLOCKS)
        writer.wait_for(1000)
        for turn in range(2):
            cluster.network.cut("alpha", "beta")
            wait_until(lambda: alpha.connection() != "Connected", "alpha to notice")
            writer.wait_for(writer.answered() + 2000)
            said = beta.refuses([REFUSED, NO_GOOD_DATA], "primary", "r0")
            step(f"alpha goes on; beta refuses: {said.splitlines()[0]}")
            cluster.network.heal("alpha", "beta")
            for node in cluster.nodes:
                node.wait_sync()
            step(f"healed; {writer.answered()} writes answered so far")
        summary = writer.stop()
        expect(summary["finished"] and not summary["errors"], f"the load noticed: {summary}")
        step(f"longest time without an answer: {summary['longest_gap']} s")
        level_and_compare(cluster, size)
        check_writes(cluster, alpha.uri("r0"), BLOCKS, [writer.log])


def cut_from_witness():
    """Without the witness the two data nodes carry on, and switch over."""
    with Cluster(network=network.Network()) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        cluster.network.isolate("gamma")
        writer = Writer(cluster, "writer", [alpha.uri("r0")], BLOCKS)
        writer.wait_for(1000)
        time.sleep(5)  # past any lease that the witness had granted
        writer.wait_for(writer.answered() + 1000)
        summary = writer.stop()
        expect(summary["finished"] and not summary["errors"], f"the load noticed: {summary}")
        alpha.do("secondary", "r0")
        beta.promote()
        check_writes(cluster, beta.uri("r0"), BLOCKS, [writer.log])
        step("switched over without the witness")
        cluster.network.rejoin("gamma")

        def counted():
            return any(voter["name"] == "gamma" and voter["answers"] for voter in beta.status().get("voters") or [])

        wait_until(counted, "the witness to answer again")
        level_and_compare(cluster, size)


SCENARIOS = [isolated_primary, cut_between, cut_from_witness]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: partition.py {'|'.join(chosen)}")
    network.enter()
    sys.exit(run(chosen[sys.argv[1]]))
