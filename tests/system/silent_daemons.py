#!/usr/bin/python3
"""Programs that say nothing, or whose word doesn't reach the one who needs it: silent_daemons.py SCENARIO (each is a function below)."""

import os
import subprocess
import sys
import time

from lab import MIB, Cluster, expect, run, step, wait_until

TOO_LONG, FAILURE = 5, 20
GENEROUS = 30  # seconds; the CLI gives up after 5


def stopped_daemon():
    """Every command ends with 20 and a reason while the daemon is stopped; they work again when it goes on."""
    with Cluster() as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        events = subprocess.Popen([str(word) for word in alpha.command("events", "r0")], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        events.stdout.readline()
        time.sleep(6)  # longer than the CLI's patience, and nothing happens: the daemon shows that it lives
        expect(events.poll() is None, "events gave up on a daemon that lives")
        alpha.daemon.pause()
        for words in [("status",), ("primary", "r0"), ("wait-sync", "r0")]:
            said = alpha.refuses([FAILURE], *words, patience=GENEROUS)
            expect("does not answer" in said and f"pid {alpha.daemon.pid}" in said, f"{words}: {said}")
        step(f"alpha's daemon is stopped:\n{said.rstrip()}")
        _, said = events.communicate(timeout=GENEROUS)
        expect(events.returncode == FAILURE and "does not answer" in said, f"events: {events.returncode} {said}")
        alpha.daemon.resume()
        wait_until(lambda: alpha.cli("status", "r0").returncode == 0, "status of a daemon that goes on")
        beta.do("status", "r0")


def stand_alone_peer():
    """Both refused a disk that was too small; one came back with a right one, and is told that the other waits for its operator."""
    with Cluster(options="lease-time 10;") as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)

        def new_disk(size):
            alpha.disk.write_bytes(b"")
            os.truncate(alpha.disk, size)
            alpha.do("create-md", "r0")

        alpha.daemon.kill()
        beta.promote()
        new_disk(32 * MIB)
        alpha.start()
        alpha.do("up", "r0")
        for node in cluster.nodes:
            wait_until(lambda node=node: node.connection() == "StandAlone", f"{node.name} to refuse the meeting")
        alpha.do("down", "r0")
        new_disk(64 * MIB)
        alpha.do("up", "r0")
        told = "beta is StandAlone towards this node: lockstep connect r0 on beta"
        for words in [("status", "r0"), ("status", "r0", "--json"), ("explain", "r0")]:
            wait_until(lambda words=words: told in alpha.do(*words), f"{words} on alpha to say what beta waits for")
        expect(told in alpha.daemon.log.read_text(encoding="utf-8"), "alpha's log doesn't say it")
        said = alpha.refuses([TOO_LONG], "wait-connect", "r0", "--timeout", "0")
        expect(told in said, f"wait-connect doesn't say why: {said}")
        step(alpha.do("status", "r0").rstrip())
        beta.do("connect", "r0")
        alpha.wait_sync()
        expect(told not in alpha.do("status", "r0"), "it is still told after beta's connect")


SCENARIOS = [stopped_daemon, stand_alone_peer]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: silent_daemons.py {'|'.join(chosen)}")
    sys.exit(run(chosen[sys.argv[1]]))
