"""The client of a run with power cuts: writes, writes with FUA and flushes through whoever is Primary, each in the ledger."""

import random
import struct
import time

import nbd

from lab import BLOCK, LabError, expect
from ledger import SECTORS, Ledger

STAMP = struct.Struct("<QQ")  # block, version
SECTOR = BLOCK // SECTORS
BLOCKS = 768
STRIDE = 10 * BLOCK  # from one block to the next: they lie in many extents
DEPTH, BURST = 12, 120
LENGTH = BLOCKS * STRIDE  # whole MiB
SPLIT = 512 * STRIDE  # where a second volume begins, if there is one
DRAIN = 60.0


def offset_of(block):
    return block * STRIDE


def content(block, version):
    return (STAMP.pack(block, version) if version else bytes(STAMP.size)) * (BLOCK // STAMP.size)


def versions_in(block, data):
    """What each sector holds; None for what nobody can have written there."""
    versions = []
    for start in range(0, BLOCK, SECTOR):
        sector = data[start: start + SECTOR]
        number, version = STAMP.unpack_from(sector)
        fine = sector == content(block, version)[:SECTOR] and (number == block or version == 0)
        versions.append(version if fine else None)
    return versions


class Exports:
    """One volume, or two that are used as one: a handle each. A flush through either is one of both: they have one order of writes."""

    def __init__(self, uris, dice):
        self.dice, self.handles = dice, []
        for uri in uris:
            self.handles.append(nbd.NBD())
            self.handles[-1].connect_uri(uri)

    def _at(self, offset):
        second = len(self.handles) > 1 and offset >= SPLIT
        return (self.handles[1], offset - SPLIT) if second else (self.handles[0], offset)

    def _any(self):
        return self.dice.choice(self.handles) if len(self.handles) > 1 else self.handles[0]

    def aio_pwrite(self, buffer, offset, flags):
        handle, place = self._at(offset)
        return handle, handle.aio_pwrite(buffer, place, flags=flags)

    def aio_flush(self):
        handle = self._any()
        return handle, handle.aio_flush()

    def aio_command_completed(self, cookie):
        return cookie[0].aio_command_completed(cookie[1])

    def poll(self, milliseconds):
        """How many have something to tell. Of one that is dead the other's answers are taken first."""
        found, failed = 0, None
        for handle in self.handles:
            try:
                found += handle.poll(milliseconds // len(self.handles)) > 0
            except nbd.Error as error:
                failed = failed or error
        if failed and not found:
            raise failed
        return found

    def pread(self, length, offset):
        first = max(0, min(length, SPLIT - offset)) if len(self.handles) > 1 else length
        data = self.handles[0].pread(first, offset) if first else b""
        return data + self.handles[1].pread(length - first, max(0, offset - SPLIT)) if first < length else data

    def flush(self):
        self._any().flush()

    def shutdown(self):
        for handle in self.handles:
            handle.shutdown()


class Client:
    def __init__(self, seed):
        self.dice = random.Random(f"client {seed}")
        self.ledger = Ledger(BLOCKS)
        self.version = 0
        self.handle, self.flying = None, {}
        self.writes, self.flushes, self.unknown = 0, 0, 0

    def connect(self, uris):
        self.handle = Exports(uris, self.dice)

    def _issue(self):
        kind = self.dice.choices(["write", "fua", "flush"], [96, 2, 2])[0]
        if kind == "flush":
            issued = self.ledger.flush()
            self.flying[self.handle.aio_flush()] = lambda: self._flushed(issued)
            return
        block = self.dice.randrange(BLOCKS)
        self.version += 1
        write = self.ledger.write(block, self.version, kind == "fua")
        buffer = nbd.Buffer.from_bytearray(bytearray(content(block, self.version)))
        flags = nbd.CMD_FLAG_FUA if write.fua else 0
        self.flying[self.handle.aio_pwrite(buffer, offset_of(block), flags=flags)] = lambda: self._written(write)

    def _flushed(self, issued):
        self.ledger.flushed(issued)
        self.flushes += 1

    def _written(self, write):
        self.ledger.answered(write)
        self.writes += 1

    def _reap(self):
        for cookie in list(self.flying):
            if self.handle.aio_command_completed(cookie):
                self.flying.pop(cookie)()

    def run(self, seconds):
        """Asks for that long; whatever has no answer then is still in flight. An error is one: nobody is dead yet."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            while len(self.flying) < DEPTH:
                self._issue()
            self.handle.poll(20)
            self._reap()

    def burst(self):
        """More than can be answered before the power goes."""
        try:
            while len(self.flying) < BURST:
                self._issue()
            self.handle.poll(0)
            self._reap()
        except nbd.Error as error:
            raise LabError(f"a request failed: {error}") from error

    def finish(self):
        """Waits for what is in flight."""
        end = time.monotonic() + DRAIN
        while self.flying:
            expect(time.monotonic() < end, f"{len(self.flying)} requests have no answer after {DRAIN:.0f} s")
            self.handle.poll(20)
            self._reap()

    def leave(self):
        """The server is dead, or may be: what it answered before that counts."""
        try:
            while self.flying and self.handle.poll(0) > 0:
                self._reap()
            self._reap()
        except nbd.Error:
            pass
        for cookie in list(self.flying):  # answered, before one that failed
            try:
                if self.handle.aio_command_completed(cookie):
                    self.flying.pop(cookie)()
            except nbd.Error:
                pass
        self.unknown += len(self.flying)
        self.flying.clear()
        self.handle = None

    def bye(self):
        self.finish()
        self.handle.shutdown()
        self.handle = None

    def check(self, uris, caches_lost):
        """Every block holds what it may hold; what it holds is what counts from then on. Sometimes it is made durable."""
        reader = Exports(uris, self.dice)
        wrong, torn = [], 0
        for first in range(0, BLOCKS, 96):
            blocks = range(first, min(BLOCKS, first + 96))
            data = reader.pread(len(blocks) * STRIDE, offset_of(first))
            for block in blocks:
                versions = versions_in(block, data[(block - first) * STRIDE:][:BLOCK])
                wrong += self._wrong(block, versions, caches_lost)
                torn += len(set(versions)) > 1
                self.ledger.seen(block, versions)
        if self.dice.random() < 0.5:
            issued = self.ledger.flush()
            reader.flush()
            self.ledger.flushed(issued)
        reader.shutdown()
        if wrong:
            lines = "\n  ".join(wrong[:20])
            raise LabError(f"{len(wrong)} sectors are wrong (caches {'lost' if caches_lost else 'not lost'}):\n  {lines}")
        return torn

    def _wrong(self, block, versions, caches_lost):
        for sector, version in enumerate(versions):
            allowed = self.ledger.allowed(block * SECTORS + sector, caches_lost)
            if version not in allowed:
                yield (f"block {block} sector {sector} holds {version}, allowed are {sorted(allowed)}; "
                       f"its writes: {self.ledger.told(block * SECTORS + sector)}")
