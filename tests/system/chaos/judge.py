"""Fills the device at first, reads it back at last, and decides whether the run was good."""

import json
import math
import time

import nbd

import history
from history import BLOCK, READ, WRITE, Op, content, pack, value_in, value_of
from lab import expect, step, tool
from layout import BLOCKS, offset_of

MYSELF = 1  # as a client
SHOWN = 10


class Judge:
    def __init__(self, cluster, seed):
        self.cluster, self.seed = cluster, seed

    def log(self, client):
        return self.cluster.directory / f"history.{client}"

    def _note(self, ops):
        with self.log(MYSELF).open("ab") as log:
            log.write(b"".join(map(pack, ops)))

    def fill(self, uri):
        """Everything is written once, so that a block of zeroes is as telling as any other."""
        handle = nbd.NBD()
        handle.connect_uri(uri)
        for block in range(BLOCKS):
            value, called = value_of(MYSELF, block), time.monotonic_ns()
            handle.pwrite(content(self.seed, value, block), offset_of(block))
            self._note([Op(WRITE, block, value, called, time.monotonic_ns())])
        handle.shutdown()

    def read_back(self, uri):
        handle = nbd.NBD()
        handle.connect_uri(uri)
        for block in range(BLOCKS):
            called = time.monotonic_ns()
            data = bytes(handle.pread(BLOCK, offset_of(block)))
            self._note([Op(READ, block, value_in(self.seed, block, data), called, time.monotonic_ns())])
        handle.shutdown()

    def decide(self, world):
        serving = world.manager.primary().node
        self.read_back(serving.uri())
        size = int(tool("nbdinfo", "--size", serving.uri()).stdout)
        for node in self.cluster.nodes:
            node.wait_sync()
        self.cluster.compare_disks(size)
        self._check_history(world)
        self._check_logs()

    def _check_history(self, world):
        logs = [self.log(MYSELF), *(self.log(number + 2) for number in range(len(world.clients)))]
        ops = history.load(logs)
        wrong = history.check(ops)
        expect(not wrong, f"{len(wrong)} times not as a register:\n" + "\n".join(wrong[:SHOWN]))
        unknown = sum(op.kind == WRITE and op.answered == math.inf for op in ops)
        reads = sum(op.kind == READ for op in ops)
        summaries = [json.loads(client.log.read_text(encoding="utf-8").splitlines()[-1]) for client in world.clients]
        step(f"{len(ops) - reads} blocks written ({unknown} of unknown outcome), {reads} read: linearizable; copies identical; "
             f"longest without an answer {max(one['longest_gap'] for one in summaries)} s; "
             f"errors {[one['errors'] for one in summaries]}")
        step(f"faults: {' '.join(f'{kind}={count}' for kind, count in sorted(world.faults.counts.items()))}")

    def _check_logs(self):
        for process in [node.daemon for node in self.cluster.nodes] + [self.cluster.gamma]:
            text = process.log.read_text(encoding="utf-8", errors="replace")
            expect("CHECK" not in text, f"{process.name}'s log has a failed CHECK\n{process.tail()}")
