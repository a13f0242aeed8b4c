#!/usr/bin/env python3
"""The story that tools/demo tells; see there."""

import argparse
import os
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))

import lab  # noqa: E402
from lab import BIN, BLOCK, MIB, PATIENCE, Cluster, step, tool, wait_until  # noqa: E402

from database import Clients, Database, Ledger, owner  # noqa: E402
from stack import Stack, kernel_mounts  # noqa: E402

CLIENTS = 4
LOAD_SECONDS = 8
DISK = 512 * MIB


class Demo:
    """The cluster with its file system and database; each method is one act."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.alpha, self.beta = cluster.nodes
        self.stack = self.database = self.clients = None
        self.ledger = Ledger(cluster.directory / "ledger")
        self.table = []

    def set_up(self):
        step("Act 1. Two data nodes, alpha and beta, and a witness, gamma: three daemons on loopback, files as disks")
        self.cluster.bring_up(primary=self.alpha)
        self.size = int(tool("nbdinfo", "--size", self.alpha.uri("r0")).stdout)
        show(self.alpha.do("status", "r0"))

    def open_database(self, node, fresh):
        self.stack = Stack(self.cluster, node)
        self.stack.open(fresh, owner())
        how = "a loop device" if kernel_mounts() else "fuse2fs"
        step(f"ext4 is mounted on {node.name}, by {how} on qemu-storage-daemon on {node.name}'s NBD export")
        self.database = Database(self.cluster, node, self.stack.path)
        if fresh:
            self.database.create()
        self.database.start()
        if fresh:
            self.database.fill()

    def load(self, seconds):
        self.clients = Clients(self.database, self.ledger, CLIENTS)
        time.sleep(seconds)

    def check(self):
        noted, doubtful = self.ledger.check(self.database, CLIENTS)
        step(f"All {noted} acknowledged commits are in the database; {doubtful} that were under way at the kill got there "
             "without their reply; the balances agree")
        return noted

    def lose_primary(self):
        step(f"Act 3. kill -9 of alpha's lockstepd, after {len(self.ledger.commits)} commits and with more under way")
        self.alpha.daemon.kill()
        killed = time.monotonic()
        wait_until(lambda: self.beta.connection() != "Connected", "beta to notice", interval=0.01)
        detected = time.monotonic() - killed
        step(f"beta noticed after {detected:.2f} s. The rest of alpha goes the same way: PostgreSQL, mount, device")
        self.database.crash()
        self.stack.crash()
        self.database.wait_gone()
        self.clients.join()
        before = self.beta.cli("primary", "r0")
        if before.returncode != 0:
            step("beta asks to be Primary and is refused as long as alpha might still be answering:")
            show(before.stderr)
        self.beta.promote()
        promoted = time.monotonic() - killed
        step(f"beta is Primary {promoted:.2f} s after the kill")
        self.open_database(self.beta, fresh=False)
        recovered = time.monotonic() - killed
        step(f"PostgreSQL has recovered on beta and answers, {recovered:.2f} s after the kill")
        self.table += [("time to detect", f"{detected:.2f} s"), ("time to promote", f"{promoted:.2f} s"),
                       ("time until the database answers", f"{recovered:.2f} s")]

    def take_back(self):
        step("Act 5. The load goes on, on beta alone; then alpha comes back while it runs")
        self.load(LOAD_SECONDS / 2)
        most = self.beta.out_of_sync()
        synced = threading.Event()

        def watch():
            nonlocal most
            while not synced.is_set():
                most = max(most, self.beta.out_of_sync())
                synced.wait(0.05)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            began = time.monotonic()
            self.cluster.rejoin(self.alpha)
            for node in self.cluster.nodes:
                node.wait_sync(2 * PATIENCE)
            seconds = time.monotonic() - began
        finally:
            synced.set()
            watcher.join(PATIENCE)
        self.clients.stop()
        resynced = most * 1024 // BLOCK
        step(f"alpha is UpToDate again after {seconds:.2f} s; {resynced} blocks of {BLOCK // 1024} KiB were out of sync")
        show(self.beta.do("status", "r0"))
        self.table += [("writes checked", None), ("blocks resynced", f"{resynced} in {seconds:.2f} s")]

    def prove_identity(self, keep):
        step("Act 6. The database and the file system are closed, beta is demoted, and the copies are compared")
        self.database.stop()
        self.stack.close()
        for node in self.cluster.nodes:
            node.wait_sync()
        self.beta.do("secondary", "r0")
        if not keep:
            for node in self.cluster.nodes:
                node.do("down", "r0")
        self.cluster.compare_disks(self.size)
        step(f"The data areas of both disks are identical, all {self.size // MIB} MiB")
        self.table.append(("identical", "yes"))
        if keep:
            self.beta.promote()

    def close(self):
        """What an interrupted demo leaves behind."""
        if self.clients:
            self.clients.stopping.set()
        if self.database:
            self.database.crash()
        if self.stack:
            self.stack.crash()
        if self.database:
            self.database.wait_gone()


def show(text):
    for line in text.rstrip().splitlines():
        print(f"            {line}", flush=True)


def story(demo, keep):
    demo.set_up()
    step("Act 2. A file system and PostgreSQL on the replicated device, and a load of pgbench's transactions")
    demo.open_database(demo.alpha, fresh=True)
    demo.load(LOAD_SECONDS)
    demo.lose_primary()
    step("Act 4. Is everything there? Each client had noted its commits outside the database, after the reply")
    demo.check()
    demo.take_back()
    checked = demo.check()
    demo.prove_identity(keep)
    demo.table = [(name, value or f"{checked} commits, 0 lost") for name, value in demo.table]


def how_to_use(cluster):
    beta = cluster.beta
    stop = cluster.directory / "stop"
    pids = " ".join(str(process.pid) for process in cluster.processes() if process.alive())
    stop.write_text(f"#!/bin/sh\nkill {pids} 2>/dev/null\nsleep 2\nrm -rf {cluster.directory}\n", encoding="utf-8")
    stop.chmod(0o755)
    print(f"""
The cluster is left running: alpha, beta (Primary) and the witness gamma, in {cluster.directory}

  export PATH={BIN}:$PATH LOCKSTEP_CONFIG={cluster.config}
  lockstep status r0 --node beta --run-dir {beta.run_dir}
  lockstep explain r0 promote --node alpha --run-dir {cluster.alpha.run_dir}
  nbdinfo '{beta.uri("r0")}'
  fio-profiles/run '{beta.uri("r0")}'        # overwrites the device
  kill -9 {beta.daemon.pid}; lockstep primary r0 --node alpha --run-dir {cluster.alpha.run_dir}

To stop it and remove its files: {stop}""")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--began", type=float, default=0, help="seconds that installing and building took")
    args = parser.parse_args()
    lab.set_clock(args.began)

    told = []
    directory = Path(tempfile.mkdtemp(prefix="lockstep-demo-", dir=os.environ.get("TMPDIR") or "/var/tmp"))

    def tell():
        cluster = Cluster(size=DISK, directory=directory, outlive=args.keep)
        demo = Demo(cluster)
        finished = False
        try:
            story(demo, args.keep)
            finished = True
        finally:
            try:
                if not finished:
                    demo.close()
            finally:
                if not (finished and args.keep):
                    cluster.close(not finished)
        told.append(demo)

    try:
        lab.run(tell)
    finally:
        if not args.keep and not os.environ.get("LOCKSTEP_KEEP"):
            shutil.rmtree(directory, ignore_errors=True)
    for demo in told:  # not reached if anything was not as promised
        if args.keep:
            how_to_use(demo.cluster)
        print()
        for name, value in demo.table:
            print(f"  {name:32} {value}")


if __name__ == "__main__":
    main()
