#!/usr/bin/python3
"""Operators who all give commands at once: crowd.py SCENARIO (each is a function below)."""

import random
import subprocess
import sys
import threading
import time

from failover import BLOCKS, export_size, level_and_compare
from lab import PATIENCE, Cluster, LabError, Writer, check_writes, expect, run, step, wait_until

STATUSES = (0, 5, 11, 16, 17, 20)  # what a good command may end with, whatever the others do


class Operator(threading.Thread):
    """Gives random commands on random nodes until told to stop; each has to end, with a status of the contract and a reason."""

    def __init__(self, cluster, commands, seed):
        super().__init__(daemon=True)
        self.cluster, self.commands, self.dice = cluster, commands, random.Random(seed)
        self.stopping = threading.Event()
        self.trouble = None
        self.counts = {}

    def run(self):
        try:
            while not self.stopping.is_set():
                self.one_command()
        except (LabError, subprocess.SubprocessError) as error:
            self.trouble = str(error)

    def one_command(self):
        node, words = self.dice.choice(self.cluster.nodes), self.dice.choice(self.commands)
        done = node.cli(*words)
        what = f"{node.name}: {' '.join(words)}: exit status {done.returncode}\n{done.stdout}{done.stderr}"
        expect(done.returncode in STATUSES, what)
        expect(done.returncode == 0 or done.stderr.strip(), f"refused without a word: {what}")
        key = (words[0], done.returncode)
        self.counts[key] = self.counts.get(key, 0) + 1

    def stop(self):
        self.stopping.set()
        self.join(2 * PATIENCE)
        expect(not self.is_alive(), "a command does not end")
        expect(self.trouble is None, self.trouble)


def crowd(cluster, commands, operators, seconds):
    """So many operators for so long; says how their commands ended."""
    seed = random.randrange(1 << 32)
    everybody = [Operator(cluster, commands, seed + number) for number in range(operators)]
    for operator in everybody:
        operator.start()
    time.sleep(seconds)
    ends = {}
    for operator in everybody:
        operator.stop()
        for key, count in operator.counts.items():
            ends[key] = ends.get(key, 0) + count
    step(f"seed {seed}: " + ", ".join(f"{name} {status}: {count}" for (name, status), count in sorted(ends.items())))
    for node in cluster.nodes:
        expect(node.daemon.alive(), f"{node.name}'s daemon ended\n{node.daemon.tail()}")


def ups_and_downs():
    """up, down and adjust crossing each other and every question: each is answered, and `up` means up."""
    with Cluster() as cluster:
        cluster.bring_up()
        words = ["up", "down", "adjust", "status", "role", "dstate", "cstate", "show-gi", "explain", "connect", "disconnect",
                 "secondary"]
        crowd(cluster, [[word, "r0"] for word in words] + [["status"], ["events", "--now"]], 6, 2)
        alpha = cluster.alpha
        alpha.do("up", "r0")
        for _ in range(20):
            down = subprocess.Popen(alpha.command("down", "r0"))
            alpha.do("up", "r0")
            expect(down.wait(PATIENCE) == 0, "down failed beside up")
            alpha.do("up", "r0")
            alpha.do("role", "r0")


def everything_under_load():
    """Every command that changes something, at once, under load: nothing answered is lost, and both copies end up the same."""
    with Cluster(options="lease-time 10;") as cluster:
        cluster.bring_up(primary=cluster.alpha)
        size = export_size(cluster.alpha)
        writer = Writer(cluster, "writer", [node.uri("r0") for node in cluster.nodes], BLOCKS)
        writer.wait_for(500)
        words = ["up", "down", "adjust", "connect", "disconnect", "invalidate", "invalidate-remote", "primary", "secondary",
                 "status"]
        commands = [[word, "r0"] for word in words] + [["new-current-uuid", "--clear-bitmap", "r0"], ["primary", "--force", "r0"]]
        crowd(cluster, commands, 6, 1)
        for node in cluster.nodes:
            wait_until(lambda node=node: node.cli("adjust", "r0").returncode == 0, f"adjust on {node.name}")
        wait_until(lambda: any(node.cli("primary", "r0").returncode == 0 for node in cluster.nodes), "a Primary")
        writer.wait_for(writer.answered() + 200)
        summary = writer.stop()
        step(f"{summary['answered']} answered writes over {summary['connections']} connections")
        primary = next(node for node in cluster.nodes if node.role() == "Primary")
        check_writes(cluster, primary.uri("r0"), BLOCKS, [writer.log])
        level_and_compare(cluster, size)


SCENARIOS = [ups_and_downs, everything_under_load]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: crowd.py {'|'.join(chosen)}")
    sys.exit(run(chosen[sys.argv[1]]))
