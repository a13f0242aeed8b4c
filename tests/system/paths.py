#!/usr/bin/python3
"""Connections over several networks, one of which fails: paths.py SCENARIO (each is a function below). Needs root."""

import sys

import network
from failover import BLOCKS, export_size, level_and_compare
from lab import Cluster, Writer, check_writes, expect, run, step, wait_until



def two_planes(cluster):
    """Data over plane 0, and over plane 1 where that fails."""
    cluster.connections = cluster.network.paths(cluster.nodes)
    cluster.write_config()


def paths(node):
    return node.status()["connections"][0]["paths"]


def carries(node, lane):
    """The number of the path that it goes over; None: of none."""
    found = [number for number, path in enumerate(paths(node)) if path[f"carries-{lane}"]]
    expect(len(found) <= 1, f"two paths carry {lane} at once: {paths(node)}")
    return found[0] if found else None


def all_over(cluster, number):
    return all(carries(node, lane) == number for node in cluster.nodes for lane in ("data", "control"))


def connected(cluster):
    return all(node.connection() == "Connected" for node in cluster.nodes)


def disconnects(cluster):
    """What the logs say of lost connections."""
    return [line for node in cluster.nodes for line in node.daemon.log.read_text(encoding="utf-8").splitlines()
            if "link down" in line]


def lost_one():
    """Each network fails once in silence, under load: nothing is disconnected, nothing is resynced. Both: it is."""
    with Cluster(network=network.Network(planes=2), net="ping-timeout 20;") as cluster:
        alpha, beta = cluster.nodes
        two_planes(cluster)
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        wait_until(lambda: all_over(cluster, 0), "both lanes to go over the first path")
        writer = Writer(cluster, "writer", [alpha.uri("r0")], BLOCKS)
        writer.wait_for(2000)
        for plane in (0, 1, 0):
            cluster.network.cut("alpha", "beta", plane)
            wait_until(lambda: not paths(alpha)[plane]["established"] and not paths(beta)[plane]["established"],
                       f"both nodes to notice that plane {plane} is dead")
            wait_until(lambda: all_over(cluster, 1 - plane), "the other path to carry everything")
            writer.wait_for(writer.answered() + 2000)
            expect(connected(cluster), "a connection was lost with one of two paths")
            out = beta.do("status", "r0")
            expect("established:no" in out and "carries:data,control" in out, f"status of a node with a dead path:\n{out}")
            cluster.network.heal("alpha", "beta", plane)
            wait_until(lambda: all(path["established"] for node in cluster.nodes for path in paths(node)), "the path to be back")
            wait_until(lambda: all_over(cluster, 0), "the first path to carry everything again")
            writer.wait_for(writer.answered() + 1000)
        expect(not disconnects(cluster), f"{disconnects(cluster)}")
        summary = writer.stop()
        expect(summary["finished"] and not summary["errors"], f"the load noticed: {summary}")
        step(f"each network failed, nothing was disconnected; longest time without an answer: {summary['longest_gap']} s")
        logs = [writer.log]
        writer = Writer(cluster, "another", [alpha.uri("r0")], BLOCKS)
        writer.wait_for(1000)
        for plane in (0, 1):
            cluster.network.cut("alpha", "beta", plane)
        wait_until(lambda: alpha.connection() != "Connected", "alpha to notice that no path is left")
        for plane in (0, 1):
            cluster.network.heal("alpha", "beta", plane)
        for node in cluster.nodes:
            node.wait_sync()
        summary = writer.stop()
        expect(summary["finished"] and not summary["errors"], f"the load noticed: {summary}")
        step(f"both failed; longest time without an answer: {summary['longest_gap']} s")
        level_and_compare(cluster, size)
        check_writes(cluster, alpha.uri("r0"), BLOCKS, [*logs, writer.log])


def control_apart():
    """Votes and heartbeats on a network of their own: no data is there, and either network may go without a lost write."""
    with Cluster(network=network.Network(planes=2), net="ping-timeout 20;") as cluster:
        alpha, beta = cluster.nodes
        for node in cluster.nodes:
            node.more = f"    control-address {cluster.network.address(node.name, 1)}:{node.port};\n"
        cluster.write_config()
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        wait_until(lambda: all((carries(node, "data"), carries(node, "control")) == (0, 1) for node in cluster.nodes),
                   "each lane to have its path")
        before = [cluster.network.carried("alpha", "beta", plane) for plane in (0, 1)]
        writer = Writer(cluster, "writer", [alpha.uri("r0")], BLOCKS)
        writer.wait_for(4000)
        data, control = (cluster.network.carried("alpha", "beta", plane) - before[plane] for plane in (0, 1))
        step(f"4000 writes: {data >> 10} KiB over the data network, {control >> 10} KiB over the control network")
        expect(data > 4000 * 4096 and control < data / 4, "data went over the control network")
        cluster.network.cut("alpha", "beta", 1)
        wait_until(lambda: all_over(cluster, 0), "control to go beside the data")
        writer.wait_for(writer.answered() + 2000)
        expect(connected(cluster) and not disconnects(cluster), "a connection was lost with the control network")
        cluster.network.heal("alpha", "beta", 1)
        wait_until(lambda: carries(alpha, "control") == 1 and carries(beta, "control") == 1, "control to return")
        cluster.network.cut("alpha", "beta", 0)
        wait_until(lambda: alpha.connection() != "Connected", "alpha to notice that there is no path for data")
        cluster.network.heal("alpha", "beta", 0)
        for node in cluster.nodes:
            node.wait_sync()
        summary = writer.stop()
        expect(summary["finished"] and not summary["errors"], f"the load noticed: {summary}")
        level_and_compare(cluster, size)
        check_writes(cluster, alpha.uri("r0"), BLOCKS, [writer.log])


def added():
    """A second path by `adjust` under load; then a node that starts while the address of its first one is missing."""
    with Cluster(network=network.Network(planes=2), net="ping-timeout 20;") as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        writer = Writer(cluster, "writer", [alpha.uri("r0")], BLOCKS)
        writer.wait_for(1000)
        two_planes(cluster)
        for node in cluster.nodes:
            node.do("adjust", "r0")
        wait_until(lambda: connected(cluster) and all(len(paths(node)) == 2 and paths(node)[1]["established"] for node in cluster.nodes),
                   "both paths to stand")
        beta.wait_sync()
        cluster.network.cut("alpha", "beta", 0)
        wait_until(lambda: all_over(cluster, 1), "the new path to carry everything")
        writer.wait_for(writer.answered() + 1000)
        cluster.network.heal("alpha", "beta", 0)
        step("a path was added under load, and used")
        summary = writer.stop()
        expect(summary["finished"] and not summary["errors"], f"the load noticed: {summary}")
        alpha.do("down", "r0")
        cluster.network.address_goes("alpha", 0)
        alpha.do("up", "r0")
        wait_until(lambda: connected(cluster), "alpha to be there by its second address")
        said = alpha.do("status", "r0")
        expect("cannot listen on 10.99.0.1" in said, f"alpha does not say what it lacks:\n{said}")
        cluster.network.address_appears("alpha", 0)
        cluster.network.routes_return("alpha", 0)
        wait_until(lambda: all(path["established"] for node in cluster.nodes for path in paths(node)), "the first path to be there")
        step("a node came up without the address of its first path, and got it later")
        alpha.wait_sync()
        alpha.promote()
        level_and_compare(cluster, size)
        check_writes(cluster, alpha.uri("r0"), BLOCKS, [writer.log])


SCENARIOS = [lost_one, control_apart, added]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: paths.py {'|'.join(chosen)}")
    network.enter()
    sys.exit(run(chosen[sys.argv[1]]))
