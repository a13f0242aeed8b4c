#!/usr/bin/python3
"""One client of the resource: random reads and writes, with a log of what was called, answered and seen (history.py).

client.py --seed N --client N --clients N --uri URI --uri URI --log FILE

It keeps a connection to each node that lets it in (only a Primary does) and leaves none of its own accord: a node that was
paused or cut off and wakes up finds its old requests still waiting, and an answer that it gives them then is recorded like
any other. Nothing is sent again: what has no answer when its connection dies is of unknown outcome.
SIGUSR1: it finishes what is in flight, disconnects and stays away for a moment, so that roles can be exchanged by command.
SIGTERM: it finishes what is in flight and ends, with one line of JSON.
"""

import argparse
import errno
import json
import math
import os
import random
import signal
import time

import nbd
from connection import Connection, wait
from history import BLOCK, NOTHING, READ, WRITE, Op, content, pack, value_in, value_of
from layout import BLOCKS, GROUP, offset_of

# Requests in flight on a connection. A Primary that is cut off answers no write, and must not answer reads either: so it has to be
# asked, however many requests are stuck there. Reads that wait for long don't count, up to a point.
CHANGES, READS, STUCK_READS = 3, 3, 32
LONG = int(0.2e9)  # nanoseconds
WEIGHTS = {"read": 45, "write": 50, "zero": 3, "flush": 2}
AWAY, DRAIN = 1.5, 30.0  # seconds
BROKEN = "connection"


class Request:
    """One request in flight: a run of blocks within a group."""

    def __init__(self, kind, blocks, values=(), buffer=None):
        self.kind, self.blocks, self.values, self.buffer = kind, blocks, values, buffer
        self.called = time.monotonic_ns()

    def ops(self, seed, answered):
        """What the history says of it; answered is None if its outcome is unknown."""
        if self.kind == READ and answered is not None:
            data = bytes(self.buffer.to_bytearray())
            for place, block in enumerate(self.blocks):
                seen = value_in(seed, block, data[place * BLOCK: (place + 1) * BLOCK])
                yield Op(READ, block, seen, self.called, answered)
        if self.kind == WRITE:
            for block, value in zip(self.blocks, self.values):
                yield Op(WRITE, block, value, self.called, math.inf if answered is None else answered)


class Client:
    def __init__(self, args):
        self.args = args
        self.dice = random.Random(f"client {args.seed} {args.client}")
        self.log = open(args.log, "wb", buffering=1 << 16)
        self.connections = [Connection(uri) for uri in args.uri]
        self.counter = 0
        self.unzeroed = {block for block in range(BLOCKS) if block % args.clients == args.client % args.clients}
        self.next_call = [0.0] * len(self.connections)
        self.answered, self.unknown, self.connects, self.errors = 0, 0, 0, {}
        self.stopping = False
        self.away_until = 0.0
        self.last_answer, self.longest_gap = time.monotonic(), 0.0

    def draw(self, kinds):
        """The next request: what, of these, and on which blocks."""
        group = self.dice.randrange(BLOCKS // GROUP) * GROUP
        first = self.dice.randrange(GROUP)
        blocks = range(group + first, group + min(GROUP, first + self.dice.choice([1, 1, 1, 2, 4, 8])))
        kind = self.dice.choices(kinds, [WEIGHTS[kind] for kind in kinds])[0]
        if kind == "zero" and blocks[0] not in self.unzeroed:
            kind = "write"
        return kind, blocks[:1] if kind == "zero" else blocks

    @staticmethod
    def possible(connection):
        """The kinds of requests that the connection has room for."""
        reads = [request for request in connection.flying.values() if request.kind == READ]
        recent = time.monotonic_ns() - LONG
        room_for_reads = len(reads) < STUCK_READS and sum(request.called > recent for request in reads) < READS
        room_for_changes = len(connection.flying) - len(reads) < CHANGES
        return (["read"] if room_for_reads else []) + (["write", "zero", "flush"] if room_for_changes else [])

    def call(self, connection, kinds):
        """Sends the next request. If it can't be sent, the connection just died: nothing was asked of anybody then."""
        kind, blocks = self.draw(kinds)
        handle, offset = connection.handle, offset_of(blocks[0])
        fua = nbd.CMD_FLAG_FUA if self.dice.random() < 0.1 else 0
        if kind == "flush":
            request = Request(kind, [])
            cookie = handle.aio_flush()
        elif kind == "read":
            request = Request(READ, blocks, buffer=nbd.Buffer(len(blocks) * BLOCK))
            cookie = handle.aio_pread(request.buffer, offset)
        elif kind == "zero":
            self.unzeroed.discard(blocks[0])
            request = Request(WRITE, blocks, [NOTHING])
            cookie = handle.aio_zero(BLOCK, offset, flags=fua)
        else:
            values = [self.next_value() for _ in blocks]
            data = b"".join(content(self.args.seed, value, block) for block, value in zip(blocks, values))
            request = Request(WRITE, blocks, values, nbd.Buffer.from_bytearray(bytearray(data)))
            cookie = handle.aio_pwrite(request.buffer, offset, flags=fua)
        connection.flying[cookie] = request

    def next_value(self):
        self.counter += 1
        return value_of(self.args.client, self.counter)

    def record(self, request, answered):
        for op in request.ops(self.args.seed, answered):
            self.log.write(pack(op))
        if answered is None:
            self.unknown += 1

    def reap(self, connection):
        """Takes the answers that are there; forgets a connection that died, with everything that was in flight on it."""
        for cookie, request in list(connection.flying.items()):
            try:
                if not connection.handle.aio_command_completed(cookie):
                    continue
                now = time.monotonic_ns()
                self.answered += 1
                self.longest_gap = max(self.longest_gap, now / 1e9 - self.last_answer)
                self.last_answer = now / 1e9
                self.record(request, now)
            except nbd.Error as error:
                name = errno.errorcode.get(error.errnum, str(error.errnum)) if error.errnum else BROKEN
                self.errors[name] = self.errors.get(name, 0) + 1
                self.record(request, None)
            del connection.flying[cookie]
        if connection.handle is not None and not connection.alive():
            for request in connection.flying.values():
                self.record(request, None)
            connection.flying.clear()
            connection.handle = None

    def work(self, index, connection, now):
        """Whatever this connection could do next."""
        leaving = self.stopping or now < self.away_until
        if connection.handle is None:
            if not leaving and now >= connection.not_before:
                connection.open(now)
            return
        if leaving and connection.ready() and not connection.flying:
            connection.handle = None  # the library closes it
        while not leaving and connection.ready() and now >= self.next_call[index] and (kinds := self.possible(connection)):
            self.next_call[index] = now + self.dice.choice([0, 0, 0.002, 0.01])
            try:
                self.call(connection, kinds)
            except nbd.Error:
                break  # it just died, before the request was sent; reap() forgets it

    def turn(self):
        now = time.monotonic()
        for index, connection in enumerate(self.connections):
            self.reap(connection)
            self.work(index, connection, now)
        wait(self.connections, 5)

    def run(self):
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "stopping", True))
        signal.signal(signal.SIGUSR1, lambda *_: setattr(self, "away_until", time.monotonic() + AWAY))
        flushed = end = 0.0
        while not self.stopping or time.monotonic() < end and any(one.flying for one in self.connections):
            self.turn()
            if time.monotonic() > flushed + 0.2:
                flushed = time.monotonic()
                self.log.flush()
            if self.stopping and not end:
                end = time.monotonic() + DRAIN
        for connection in self.connections:
            for request in connection.flying.values():
                self.record(request, None)
        self.log.close()
        print(json.dumps({"answered": self.answered, "unknown": self.unknown, "errors": self.errors,
                          "longest_gap": round(self.longest_gap, 3)}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--client", type=int, required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--uri", action="append", required=True)
    parser.add_argument("--log", required=True)
    Client(parser.parse_args()).run()
    os._exit(0)  # connections that are still open are not worth waiting for


if __name__ == "__main__":
    main()
