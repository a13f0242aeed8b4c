#!/usr/bin/python3
"""A client that survives failovers, and notes how long every request took: client.py --uri URI --uri URI --log FILE

A few writers, each with one 4 KiB write at a time on blocks of its own. A write that has no answer when its connection dies,
is answered with an error, or waits while the other node lets clients in, is sent again there, until it is answered: as a
multipath client, or an initiator with a virtual address, would. At SIGTERM the writes under way are finished and it ends.
"""

import argparse
import json
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "system" / "chaos"))

import nbd  # noqa: E402
from connection import Connection, wait  # noqa: E402
from stamp import BLOCK, BLOCKS_EACH, RECORD, WRITERS, content  # noqa: E402

IMPATIENT = 0.1  # seconds without an answer before the other node is tried as well
RETRY = 0.02  # seconds between attempts to connect
DRAIN = 60.0  # seconds for the writes under way at the end
PACE = 0.002  # seconds between an answer and the writer's next write


class Write:
    """One write until it is answered, however often it is sent."""

    def __init__(self, block, version):
        self.block, self.version, self.called = block, version, time.monotonic_ns()
        self.buffer = nbd.Buffer.from_bytearray(bytearray(content(block, version)))
        self.sent_on = None


class Client:
    def __init__(self, args):
        self.connections = [Connection(uri, RETRY) for uri in args.uri]
        self.current = None
        self.log = open(args.log, "wb", buffering=1 << 16)
        self.version = time.monotonic_ns()
        self.writes = [None] * WRITERS
        self.next_at = [0.0] * WRITERS
        self.answered = self.refused = self.sent_again = 0
        self.stopping = False

    def begin(self, now):
        """Gives every idle writer its next write."""
        for writer, write in enumerate(self.writes):
            if write is None and not self.stopping and now >= self.next_at[writer]:
                self.version += 1
                self.writes[writer] = Write(writer * BLOCKS_EACH + self.version % BLOCKS_EACH, self.version)

    def send(self):
        for write in self.writes:
            if write is None or write.sent_on is self.current or self.current is None:
                continue
            self.sent_again += write.sent_on is not None
            try:
                cookie = self.current.handle.aio_pwrite(write.buffer, write.block * BLOCK)
            except nbd.Error:
                return  # it just died; reap() notices
            write.sent_on = self.current
            self.current.flying[cookie] = write

    def reap(self, connection, now):
        for cookie, write in list(connection.flying.items()):
            try:
                if not connection.handle.aio_command_completed(cookie):
                    continue
                if write in self.writes:  # not answered by the other node meanwhile
                    self.finish(write, connection, now)
            except nbd.Error as error:
                self.refused += error.errno not in (None, "ENOTCONN") and connection.alive()
                write.sent_on = None
            del connection.flying[cookie]
        if connection.handle is not None and not connection.alive():
            self.drop(connection)

    def finish(self, write, connection, now):
        answered = time.monotonic_ns()
        self.log.write(RECORD.pack(write.block, write.version, write.called, answered, self.connections.index(connection)))
        self.answered += 1
        writer = self.writes.index(write)
        self.writes[writer], self.next_at[writer] = None, now + PACE

    def drop(self, connection):
        for write in connection.flying.values():
            write.sent_on = None
        connection.flying.clear()
        connection.handle = None
        if self.current is connection:
            self.current = None

    def connect(self, now):
        """Looks for another connection when there is none, or when the present one has been silent for long."""
        waiting = [write.called for write in self.writes if write]
        silent = waiting and now - min(waiting) / 1e9 > IMPATIENT
        for connection in self.connections:
            if connection.handle is None and now >= connection.not_before and (self.current is None or silent):
                connection.open(now)
            if connection.ready() and connection is not self.current:
                if self.current is not None:
                    self.drop(self.current)  # only a Primary lets clients in, and this one did so later
                self.current = connection

    def run(self):
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "stopping", True))
        end = None
        while not self.stopping or any(self.writes):
            now = time.monotonic()
            if self.stopping:
                end = end or now + DRAIN
                if now > end:
                    break
            for connection in self.connections:
                self.reap(connection, now)
            self.connect(now)
            self.begin(now)
            self.send()
            wait(self.connections, 2)
        self.log.close()
        print(json.dumps({"answered": self.answered, "never_answered": sum(map(bool, self.writes)), "error_answers": self.refused,
                          "sent_again": self.sent_again}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--uri", action="append", required=True)
    parser.add_argument("--log", required=True)
    Client(parser.parse_args()).run()


if __name__ == "__main__":
    main()
