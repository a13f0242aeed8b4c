#!/usr/bin/env python3
"""A load whose outcome can be checked: 4 KiB blocks that carry their number and version.

load.py write --uri URI [--uri URI ...] --log FILE --blocks N [--depth 32] [--seconds S]
    Random writes. Each issue and each successful answer goes to the log, in order. Ends after S seconds, at SIGTERM,
    or when the connection is lost and there is only one URI; with several it goes on at the next one that serves.
load.py check --uri URI --blocks N --baseline FILE --log FILE [--log FILE ...]
    Every block must hold a version that the logs allow: the last answered write, or one that was concurrent with it or
    never answered. What was read is written to the baseline: from then on it must not change without a write.
Both end with one line of JSON.
"""

import argparse
import array
import errno
import json
import os
import random
import signal
import struct
import sys
import time

import nbd

BLOCK = 4096
STAMP = struct.Struct("<QQ")
RECORD = struct.Struct("<BIQ")  # kind, block, version
ISSUED, ANSWERED = 1, 2
CHUNK = 1 << 20


def content(block, version):
    return STAMP.pack(block, version) * (BLOCK // STAMP.size)


class Load:
    """The writer: keeps `depth` writes in flight and notes what becomes of each."""

    def __init__(self, args):
        self.args = args
        self.log = open(args.log, "ab")
        # Versions only grow, also over the writers of one test: their clock is the machine's.
        self.version = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self.random = random.Random(args.seed)
        self.flying = {}
        # libnbd's binding for Python (1.14) never frees the buffer of an aio_pwrite: each place of the queue has one,
        # made once, or an hour of load takes all memory of the machine.
        self.slots = [bytearray(BLOCK) for _ in range(args.depth)]
        self.buffers = [nbd.Buffer.from_buffer(slot) for slot in self.slots]
        self.free = list(range(args.depth))
        self.answered = self.failed = self.connections = 0
        self.errors = {}
        self.stopping = False
        self.longest = 0.0
        self.last_answer = None

    def note_error(self, error):
        name = errno.errorcode.get(error.errnum, str(error.errnum)) if error.errnum else "connection"
        self.errors[name] = self.errors.get(name, 0) + 1

    def issue(self, handle):
        self.version += 1
        block = self.args.first + self.random.randrange(self.args.blocks)
        self.log.write(RECORD.pack(ISSUED, block, self.version))
        slot = self.free.pop()
        self.slots[slot][:] = content(block, self.version)
        cookie = handle.aio_pwrite(self.buffers[slot], block * BLOCK)
        self.flying[cookie] = (block, self.version, slot)

    def reap(self, handle):
        """Collects what is complete; true unless something failed."""
        fine = True
        while self.flying:
            try:
                cookie = handle.aio_peek_command_completed()
            except nbd.Error:
                cookie = 0
            if cookie <= 0:
                break
            block, version, slot = self.flying.pop(cookie)
            self.free.append(slot)
            try:
                handle.aio_command_completed(cookie)
            except nbd.Error as error:
                self.note_error(error)
                self.failed += 1
                fine = False
                continue
            self.log.write(RECORD.pack(ANSWERED, block, version))
            self.answered += 1
            now = time.monotonic()
            if self.last_answer is not None:
                self.longest = max(self.longest, now - self.last_answer)
            self.last_answer = now
        self.log.flush()
        return fine

    def serve(self, uri, end):
        """Writes over one connection until the end or its loss; true if the load is finished."""
        handle = nbd.NBD()
        try:
            handle.connect_uri(uri)
        except nbd.Error as error:
            self.note_error(error)
            return False
        self.connections += 1
        fine = True
        try:
            while fine and not self.stopping and time.monotonic() < end:
                while len(self.flying) < self.args.depth:
                    self.issue(handle)
                handle.poll(100)
                fine = self.reap(handle) and not handle.aio_is_dead() and not handle.aio_is_closed()
            drain = time.monotonic() + self.args.drain
            while fine and self.flying:
                handle.poll(100)
                fine = self.reap(handle) and not handle.aio_is_dead() and not handle.aio_is_closed()
                if time.monotonic() > drain:
                    raise SystemExit(f"{len(self.flying)} writes have no answer after {self.args.drain} s")
            if fine:
                handle.shutdown()
        except nbd.Error as error:
            self.note_error(error)
            fine = False
        self.reap(handle)
        self.failed += len(self.flying)  # what has no answer yet gets none
        self.flying.clear()
        self.free = list(range(self.args.depth))
        return fine

    def run(self):
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "stopping", True))
        end = time.monotonic() + self.args.seconds
        turn = 0
        finished = False
        while not finished and not self.stopping and time.monotonic() < end:
            finished = self.serve(self.args.uri[turn % len(self.args.uri)], end)
            turn += 1
            if len(self.args.uri) == 1 and self.connections:
                break
            if not finished:
                time.sleep(0.1)
        self.log.close()
        print(json.dumps({"answered": self.answered, "unanswered": self.failed, "connections": self.connections,
                          "finished": finished or self.stopping, "errors": self.errors,
                          "longest_gap": round(self.longest, 3)}))


def read_logs(paths):
    """Per block: its writes as [version, position of issue, position of answer or None]."""
    writes = {}
    position = 0
    for path in paths:
        with open(path, "rb") as log:
            data = log.read()
        for kind, block, version in RECORD.iter_unpack(data[: len(data) // RECORD.size * RECORD.size]):
            position += 1
            if kind == ISSUED:
                writes.setdefault(block, []).append([version, position, None])
            else:
                for write in reversed(writes[block]):
                    if write[0] == version:
                        write[2] = position
                        break
    return writes


def allowed(before, writes):
    """The versions that a block may hold: none that an answered write, issued after it was answered, has replaced."""
    last = max((issue for _, issue, answer in writes if answer is not None), default=0)
    versions = {version for version, _, answer in writes if answer is None or answer > last}
    if not last:
        versions.add(before)
    return versions


def check(args):
    writes = read_logs(args.log)
    baseline = array.array("Q", bytes(8 * args.blocks))
    if os.path.exists(args.baseline):
        with open(args.baseline, "rb") as stored:
            baseline = array.array("Q", stored.read())
    handle = nbd.NBD()
    handle.connect_uri(args.uri)
    checked = doubtful = 0
    wrong = []
    for start in range(0, args.blocks * BLOCK, CHUNK):
        data = handle.pread(min(CHUNK, args.blocks * BLOCK - start), start)
        for offset in range(0, len(data), BLOCK):
            block = (start + offset) // BLOCK
            stamp = data[offset: offset + STAMP.size]
            if data[offset: offset + BLOCK] != stamp * (BLOCK // STAMP.size):
                wrong.append(f"block {block} is torn")
                continue
            number, version = STAMP.unpack(stamp)
            versions = allowed(baseline[block], writes.get(block, []))
            if (number != block and version != 0) or version not in versions:
                wrong.append(f"block {block} holds version {version} of block {number}; allowed: {sorted(versions)}")
            checked += 1
            doubtful += len(versions) > 1
            baseline[block] = version
    handle.shutdown()
    answered = sum(any(write[2] is not None for write in history) for history in writes.values())
    for line in wrong[:20]:
        print(line, file=sys.stderr)
    if wrong:
        sys.exit(f"{len(wrong)} of {args.blocks} blocks are wrong; {answered} blocks had answered writes")
    with open(args.baseline, "wb") as stored:
        baseline.tofile(stored)
    print(json.dumps({"blocks": checked, "answered": answered, "either": doubtful,
                      "writes": sum(len(history) for history in writes.values())}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    write = commands.add_parser("write")
    write.add_argument("--uri", action="append", required=True)
    write.add_argument("--log", required=True)
    write.add_argument("--blocks", type=int, required=True)
    write.add_argument("--first", type=int, default=0, help="the first of the blocks")
    write.add_argument("--depth", type=int, default=32)
    write.add_argument("--seconds", type=float, default=10)
    write.add_argument("--drain", type=float, default=90, help="seconds to wait for outstanding answers at the end")
    write.add_argument("--seed", type=int, default=None)
    read = commands.add_parser("check")
    read.add_argument("--uri", required=True)
    read.add_argument("--blocks", type=int, required=True)
    read.add_argument("--baseline", required=True)
    read.add_argument("--log", action="append", default=[])
    args = parser.parse_args()
    if args.command == "write":
        Load(args).run()
    else:
        check(args)


if __name__ == "__main__":
    main()
