#!/usr/bin/python3
"""EIO at each request of a run, one after another: eio_sweep.py --victim primary|secondary --where data|metadata [--first N] [--last N] [--step N]

A run is some 500 requests of the victim's disk: a client writes to extents that were idle, so that intent bits have to be set, reads
back, flushes. In the I-th run the I-th request that its disk gets (in the data, or in the metadata) fails, once or from then on. It
is an error if the client sees one, or reads anything but what it wrote; if the copies are not UpToDate again afterwards, or
differ in a block; if a daemon ends. Ends when a run has fewer requests than the index.
"""

import argparse
import random
import sys

import nbd

from lab import BLOCK, MIB, Cluster, expect, run, skip, step, tool, wait_until
from lossy import LossyDisk, read_direct, usable

SIZE = 2048 * MIB
EXTENT = 4 * MIB
EXTENTS = 500
# Writes of a run, and how many of them in a row go to one extent. What was hot is copied after a disk was given up: few, or many.
SHAPES = {"data": (480, 12), "metadata": (170, 1)}
DEPTH = 8
DRAIN = 60000  # milliseconds


class Client:
    """Knows what it wrote."""

    def __init__(self, operations, together):
        self.operations, self.together = operations, together
        self.written = {}  # offset: fill
        self.turn = 0

    def run(self, uri):
        """Writes, reads and flushes; whatever fails raises."""
        handle = nbd.NBD()
        handle.connect_uri(uri)
        flying = {}
        for number in range(self.operations):
            self.turn += 1
            extent = self.turn // self.together
            offset = extent % EXTENTS * EXTENT + (extent // EXTENTS * self.together + self.turn % self.together) % 1000 * BLOCK
            fill = bytes([1 + self.turn % 255]) * BLOCK
            flags = nbd.CMD_FLAG_FUA if number % 16 == 7 else 0
            flying[handle.aio_pwrite(nbd.Buffer.from_bytearray(bytearray(fill)), offset, flags=flags)] = None
            self.written[offset] = fill[:1]
            if number % 3 == 0 and number > 0:
                self._read(handle, flying, random.choice(list(self.written)[-400:-DEPTH - 1] or [0]))
            if number % 40 == 39:
                flying[handle.aio_flush()] = None
            while len(flying) >= DEPTH:
                self._reap(handle, flying)
        while flying:
            self._reap(handle, flying)
        handle.shutdown()

    def _read(self, handle, flying, offset):
        buffer = nbd.Buffer(BLOCK)
        flying[handle.aio_pread(buffer, offset)] = (buffer, self.written.get(offset, b"\0"), offset)

    @staticmethod
    def _reap(handle, flying):
        expect(handle.poll(DRAIN) > 0, f"no answer after {DRAIN // 1000} s")
        for cookie in [cookie for cookie in flying if handle.aio_command_completed(cookie)]:
            read = flying.pop(cookie)
            if read:
                buffer, fill, offset = read
                expect(bytes(buffer.to_bytearray()) == fill * BLOCK, f"the block at {offset} does not hold what was written")


class Sweep:
    def __init__(self, cluster, disk, victim, where, place):
        self.cluster, self.disk, self.victim, self.place = cluster, disk, victim, place
        self.client = Client(*SHAPES[where])
        self.healed = self.given_up = 0

    def one(self, index, count):
        """One run; false if it has fewer requests than the index."""
        alpha = self.cluster.alpha
        self.disk.fail(index, count, "rwf", self.place)
        self.client.run(alpha.uri())
        struck = self.disk.well()["failed"] > 0
        self.restore()
        self.compare()
        return struck

    def state(self):
        return self.victim.do("dstate", "r0").split("/")[0]

    def restore(self):
        alpha = self.cluster.alpha
        if self.state() not in ("UpToDate", "Failed", "Diskless"):
            wait_until(lambda: self.state() in ("UpToDate", "Failed", "Diskless"), f"the state of the disk: {self.state()}")
        if self.state() != "UpToDate":
            self.given_up += 1
            if self.victim is alpha:
                alpha.do("secondary", "r0")
            self.victim.do("down", "r0")
            self.victim.do("up", "r0")
        if self.victim is alpha and alpha.role() != "Primary":
            alpha.wait_sync()
            alpha.promote()
        for node in self.cluster.nodes:
            node.wait_sync()

    def compare(self):
        """The blocks of the last runs, on both disks."""
        offsets = list(self.client.written)[-2 * self.client.operations:]
        for offset, one, other in zip(offsets, *(read_direct(node.disk, offsets, BLOCK) for node in self.cluster.nodes)):
            expect(one == other == self.client.written[offset] * BLOCK, f"the block at {offset} differs")


def sweep(args):
    with Cluster(size=SIZE, options="lease-time 10;", net="ping-int 1; ping-timeout 5; connect-int 1;") as cluster:
        victim = cluster.alpha if args.victim == "primary" else cluster.beta
        with LossyDisk(cluster, victim) as disk:
            disk.ask("cache", "off")
            cluster.bring_up(primary=cluster.alpha, create=("--digests",) if args.digests else ())
            data = int(tool("nbdinfo", "--size", cluster.alpha.uri()).stdout)
            sweeping = Sweep(cluster, disk, victim, args.where, (0, data) if args.where == "data" else (data, SIZE))
            runs = 0
            for index in range(args.first, args.last + 1, args.step):
                if not sweeping.one(index, 0 if runs % 2 else 1):
                    step(f"a run has fewer than {index} requests there")
                    break
                runs += 1
            step(f"{args.where} of the {args.victim}: {runs} runs, in which one request or all from one on failed; "
                 f"{sweeping.given_up} times the disk was given up, and taken back")
            expect(runs > 0, "nothing failed")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--victim", choices=["primary", "secondary"], required=True)
    parser.add_argument("--where", choices=["data", "metadata"], required=True)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--last", type=int, default=500)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--digests", action="store_true", help="the disks keep digests at rest: their pages fail, too")
    args = parser.parse_args()
    if usable():
        skip(usable())
    run(lambda: sweep(args))


if __name__ == "__main__":
    sys.exit(main())
