#!/usr/bin/python3
"""Bad days of the witness, and kills at random places: witness_days.py SCENARIO (each is a function below)."""

import random
import shutil
import sys
import time

from failover import BLOCKS, NO_GOOD_DATA, REFUSED, Client, byte_at, export_size, level_and_compare, write_through
from lab import BLOCK, Cluster, Writer, check_writes, expect, run, step, wait_until

LEASE = 1  # seconds
OPTIONS = f"lease-time {10 * LEASE};"


def counts(node, answers=True):
    """Whether the witness's vote counts, as the node sees it."""
    voters = node.status().get("voters") or []
    return any(voter["name"] == "gamma" and voter["answers"] == answers for voter in voters)


def restarted_witness():
    """A witness that is stopped or killed and started at once has its address again, and its vote."""
    with Cluster() as cluster:
        cluster.bring_up(primary=cluster.alpha)

        def listened(times):
            expect(cluster.gamma.alive(), f"the witness ended\n{cluster.gamma.tail()}")
            return cluster.gamma.log.read_text(encoding="utf-8").count("listening on") == times

        for number, end in enumerate(["stop", "kill"] * 4):
            getattr(cluster.gamma, end)()
            cluster.gamma.start()
            wait_until(lambda number=number: listened(number + 2), "the witness to listen")
        for node in cluster.nodes:
            wait_until(lambda node=node: counts(node), f"the witness to answer {node.name}")
        cluster.alpha.daemon.kill()
        cluster.beta.promote()


def empty_witness(cluster):
    """The witness's machine was installed anew."""
    cluster.gamma.kill()
    shutil.rmtree(cluster.witness_state)
    cluster.witness_state.mkdir()
    cluster.gamma.start()


def witness_gone():
    """Long without a witness: the Primary goes on with its peer, freezes when that dies too, and thaws when the witness is back."""
    with Cluster(options=OPTIONS) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        cluster.gamma.stop()
        wait_until(lambda: counts(alpha, answers=False), "alpha to miss the witness")
        time.sleep(3 * LEASE)  # whatever the witness had granted is over: as good as hours
        for byte in range(1, 4):
            write_through(alpha, byte * BLOCK, byte)
        expect(not alpha.status().get("suspended"), "alpha is suspended although its peer answers")
        client = Client(alpha.uri("r0"))
        beta.daemon.kill()
        time.sleep(LEASE + 1)
        write, read = client.write(4 * BLOCK, 4), client.read(0)
        expect(client.outcome(write, 1) == "waiting", "a write was answered by one voter of three")
        expect(client.outcome(read, 0.5) == "waiting", "a read was answered without a lease")
        said = alpha.do("explain", "r0", "io")
        expect("gamma" in said and "beta" in said, f"explain doesn't name who is missing:\n{said}")
        step(f"frozen without witness and peer:\n{said.rstrip()}")
        cluster.gamma.start()
        expect(client.outcome(write, 90) == "done" and client.outcome(read, 90) == "done", "no thaw when the witness was back")
        step("the witness is back: thawed")
        client.handle.shutdown()
        cluster.rejoin(beta)
        level_and_compare(cluster, size)
        expect([byte_at(alpha, byte * BLOCK) for byte in range(1, 5)] == [1, 2, 3, 4], "a write is lost")


def stays_refused(node, seconds):
    """The node asks to be Primary again and again, past every lease, and is refused."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        said = node.refuses([REFUSED, NO_GOOD_DATA], "primary", "r0")
        time.sleep(0.5)
    return said.rstrip()


def emptied_witness():
    """A witness that came back with an empty directory helps nobody to be Primary who may lack a write."""
    with Cluster(options=OPTIONS) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        beta.daemon.kill()
        write_through(alpha, 0, 1)  # decided by alpha and the witness: beta isn't current any more
        alpha.daemon.kill()
        empty_witness(cluster)
        cluster.rejoin(beta)
        step(f"beta lacks a write; with the emptied witness:\n{stays_refused(beta, 2 * LEASE)}")
        cluster.rejoin(alpha)
        alpha.promote()
        expect(byte_at(alpha, 0) == 1, "the write is lost")
        level_and_compare(cluster, size)

        alpha.daemon.pause()
        empty_witness(cluster)
        step(f"beta is current, and alpha, which hangs, Primary:\n{stays_refused(beta, LEASE + 1)}")
        alpha.daemon.resume()
        write_through(alpha, BLOCK, 2)
        expect(alpha.role() == "Primary", "alpha is not Primary any more")
        wait_until(lambda: counts(beta), "the witness to get its seat again")
        level_and_compare(cluster, size)

        for node in cluster.nodes:
            node.daemon.kill()
        empty_witness(cluster)
        cluster.rejoin(beta)
        step(f"beta is back alone:\n{stays_refused(beta, LEASE)}")
        cluster.rejoin(alpha)
        beta.promote()
        expect([byte_at(beta, byte * BLOCK) for byte in range(2)] == [1, 2], "an acknowledged write is lost")
        level_and_compare(cluster, size)


def start_again(cluster, dice):
    """Everybody who is dead starts, in any order; then one node serves."""
    dead = [process for process in cluster.processes()[:3] if not process.alive()]
    dice.shuffle(dead)
    for process in dead:
        time.sleep(dice.uniform(0, 0.3))
        if process is cluster.gamma:
            process.start()
        else:
            next(node for node in cluster.nodes if node.daemon is process).start()
    for node in cluster.nodes:
        wait_until(lambda node=node: node.cli("adjust", "r0").returncode == 0, f"adjust on {node.name}")

    def one_serves():
        return any(node.role() == "Primary" or node.cli("primary", "r0").returncode == 0
                   for node in dice.sample(cluster.nodes, 2))
    wait_until(one_serves, "one of them to be Primary")


def killed_anywhere():
    """kill -9 of one, two or all three, at any moment and in the middle of commands; every answered write is there in the end."""
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    commands = [["down", "r0"], ["secondary", "r0"], ["primary", "r0"], ["invalidate", "r0"], ["invalidate-remote", "r0"],
                ["disconnect", "r0"], ["adjust", "r0"], ["wait-sync", "r0", "--timeout", "1"]]
    with Cluster(options=OPTIONS) as cluster:
        cluster.bring_up(primary=cluster.alpha)
        size = export_size(cluster.alpha)
        writer = Writer(cluster, "writer", [node.uri("r0") for node in cluster.nodes], BLOCKS, seed=seed)
        for number in range(6):
            writer.wait_for(writer.answered() + 200)
            victims = dice.sample(cluster.processes()[:3], dice.choice([1, 1, 1, 2, 3]))
            node, words = dice.choice(cluster.nodes), dice.choice(commands)
            command = cluster.spawn(f"command{number}", *node.command(*words))
            time.sleep(dice.uniform(0, 0.5))
            for victim in victims:
                victim.kill()
            step(f"seed {seed}, round {number}: {' '.join(words)} on {node.name}, killed {[one.name for one in victims]}")
            start_again(cluster, dice)
            wait_until(lambda command=command: not command.alive(), f"the end of {words} on {node.name}")
        summary = writer.stop()
        step(f"{summary['answered']} answered writes, {summary['unanswered']} in flight at a kill")
        for node in cluster.nodes:
            node.do("adjust", "r0")
        primary = next(node for node in cluster.nodes if node.role() == "Primary")
        check_writes(cluster, primary.uri("r0"), BLOCKS, [writer.log])
        level_and_compare(cluster, size)


def witness_joins_and_leaves():
    """Two nodes get a witness, and lose a node with it; later they give it up again. The Primary seats it and lets it go."""
    with Cluster(options=OPTIONS) as cluster:
        alpha, beta = cluster.nodes
        gamma, cluster.gamma = cluster.gamma, None
        cluster.write_config()
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)

        def take_over(names):
            cluster.write_config()
            for node in cluster.nodes:
                node.do("adjust", "r0")
            expect(alpha.role() == "Primary", "the Primary was restarted")
            wait_until(lambda: {voter["name"] for voter in alpha.status()["voters"]} == names, f"the voters {names}")
            step(f"voters: {sorted(names)}")

        gamma.start()
        cluster.gamma = gamma
        take_over({"alpha", "beta", "gamma"})
        wait_until(lambda: counts(alpha), "the witness to answer")
        beta.daemon.kill()
        write_through(alpha, 0, 1)
        cluster.rejoin(beta)
        beta.wait_sync()
        cluster.gamma = None
        take_over({"alpha", "beta"})
        gamma.stop()
        write_through(alpha, 0, 2)
        level_and_compare(cluster, size)


SCENARIOS = [witness_joins_and_leaves, restarted_witness, witness_gone, emptied_witness, killed_anywhere]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: witness_days.py {'|'.join(chosen)}")
    sys.exit(run(chosen[sys.argv[1]]))
