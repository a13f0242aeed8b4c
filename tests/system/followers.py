#!/usr/bin/python3
"""Protocols A and B: a peer that follows the Primary. followers.py SCENARIO (each is a function below)."""

import sys

from failover import BLOCKS, export_size, level_and_compare
from lab import BLOCK, Cluster, Writer, check_writes, client_of, expect, run, step, wait_until
from load import STAMP, read_logs

NET = "ping-timeout 100; timeout 300;"  # a daemon that is stopped for a moment is waited for


def device(node):
    return node.status()["connections"][0]["peer_devices"][0]


def follows(primary, follower):
    """It has everything but what is on its way, and both say so."""
    shown = device(primary)
    good = (shown["replication-state"], shown["peer-disk-state"], shown["out-of-sync"]) == ("Established", "Consistent", 0)
    return good and follower.status()["devices"][0]["disk-state"] == "Consistent"


def switched_over():
    """Writes do not wait for the follower; a switch-over brings it level, and then it is Primary with all of them."""
    with Cluster(protocol="A", net=NET) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        wait_until(lambda: follows(alpha, beta), "beta to follow")
        writer = Writer(cluster, "writer", [alpha.uri("r0")], BLOCKS)
        writer.wait_for(2000)
        beta.daemon.pause()
        answered = writer.answered()
        writer.wait_for(answered + 1000)
        shown = device(alpha)
        out = alpha.do("status", "r0")
        beta.daemon.resume()
        expect(shown["bytes-behind"] >= 1000 * BLOCK, f"a follower that stands still is not behind: {shown}")
        expect("peer-disk:Consistent behind:" in out, f"status does not say how far:\n{out}")
        step(f"while beta stood still alpha wrote on: {shown['bytes-behind'] >> 10} KiB behind")
        refused = beta.refuses([5, 11, 16, 17], "primary", "r0")
        expect("Primary" in refused, f"why a follower is not promoted: {refused}")
        summary = writer.stop()
        expect(summary["finished"] and not summary["errors"], f"the load noticed: {summary}")
        alpha.do("secondary", "r0")
        expect(all(node.status()["devices"][0]["disk-state"] == "UpToDate" for node in cluster.nodes),
               "a switch-over left the follower behind")
        beta.promote()
        for node in cluster.nodes:
            node.wait_sync()
        check_writes(cluster, beta.uri("r0"), BLOCKS, [writer.log])
        wait_until(lambda: follows(beta, alpha), "alpha to follow beta")
        another = Writer(cluster, "another", [beta.uri("r0")], BLOCKS)
        another.wait_for(2000)
        another.stop()
        check_writes(cluster, beta.uri("r0"), BLOCKS, [another.log])
        beta.do("secondary", "r0")
        level_and_compare(cluster, size)


def check_prefix(node, log, blocks):
    """If the copy has a write, it has all that was answered before that one was issued."""
    writes = read_logs([log])
    client = client_of(node)
    there = {}
    for block in range(blocks):
        number, version = STAMP.unpack(client.pread(BLOCK, block * BLOCK)[:STAMP.size])
        if version:
            expect(number == block, f"block {block} holds block {number}")
            there[block] = version
    client.shutdown()
    issued = {version: (block, issue) for block, history in writes.items() for version, issue, _ in history}
    until = max(issued[version][1] for version in there.values())
    missed = 0
    for block, history in writes.items():
        mine = issued[there[block]][1] if block in there else 0
        for version, issue, answer in history:
            if answer is None or answer >= until:
                missed += answer is not None
                continue
            expect(mine >= issue or any(other == there.get(block) and (end is None or end > issue) for other, _, end in history),
                   f"block {block} lacks version {version}, and the copy has what was asked for later")
    return missed


def primary_lost():
    """The Primary is gone: its follower is not promoted by itself, and forced it is what the Primary was a moment earlier."""
    with Cluster(protocol="A", net=NET) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        wait_until(lambda: follows(alpha, beta), "beta to follow")
        writer = Writer(cluster, "writer", [alpha.uri("r0")], BLOCKS)
        writer.wait_for(5000)
        beta.daemon.pause()
        writer.wait_for(writer.answered() + 500)
        alpha.daemon.kill()
        beta.daemon.resume()
        writer.finish()
        wait_until(lambda: beta.connection() != "Connected", "beta to miss alpha")
        refused = beta.refuses([5, 11, 16, 17], "primary", "r0")
        step(f"beta is not promoted: {refused.splitlines()[0]}")
        beta.do("primary", "--force", "r0")
        missed = check_prefix(beta, writer.log, BLOCKS)
        step(f"forced, beta is what alpha was {missed} answered writes before its end")


def pulled_ahead():
    """on-congestion pull-ahead: nobody waits for a follower that is too far behind; it is resynced later."""
    with Cluster(protocol="A", net=NET + "on-congestion pull-ahead; congestion-fill 64k;") as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        wait_until(lambda: follows(alpha, beta), "beta to follow")
        beta.daemon.pause()
        writer = Writer(cluster, "writer", [alpha.uri("r0")], BLOCKS, depth=4)
        writer.wait_for(2000)
        shown = device(alpha)
        beta.daemon.resume()
        expect(shown["replication-state"] == "Ahead" and shown["out-of-sync"] > 0, f"beta was not left behind: {shown}")
        log = alpha.daemon.log.read_text(encoding="utf-8")
        expect("too far behind" in log, "the log does not say that beta was left behind")
        writer.stop()
        wait_until(lambda: follows(alpha, beta), "beta to follow again")
        alpha.do("secondary", "r0")
        level_and_compare(cluster, size)
        step("left behind under load, level again afterwards")


if __name__ == "__main__":
    run(globals()[sys.argv[1]])
