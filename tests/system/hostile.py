#!/usr/bin/python3
"""Clients that mean no good, against real daemons: hostile.py SCENARIO (each is a function below).

What other NBD servers have fallen over is in the lists here; so is what only this one could.
"""

import contextlib
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import time

import nbd

from lab import MIB, Cluster, expect, run, step, wait_until

GIB = 1 << 30
MAGIC_OPTION, MAGIC_REPLY = 0x49484156454F5054, 0x3E889045565A9
EXPORT_NAME, ABORT, LIST, STARTTLS, INFO, GO, STRUCTURED, LIST_META, SET_META, EXTENDED = 1, 2, 3, 5, 6, 7, 8, 9, 10, 11
ACK, SERVER, ERROR = 1, 2, 1 << 31
READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZEROES, STATUS = range(8)
EINVAL, ENOSPC, EOVERFLOW, ENOTSUP = 22, 28, 75, 95
MANY = 10000  # connections


class Gone(Exception):
    """The server hung up."""


class Raw:
    """A client that sends what it is told to, right or wrong."""

    def __init__(self, node, tcp=False, flags=3):
        self.sock = socket.create_connection(("127.0.0.1", node.nbd_port)) if tcp else socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        if not tcp:
            self.sock.connect(str(node.socket))
        self.structured = False
        greeting = self.take(18)
        expect(greeting[:16] == b"NBDMAGICIHAVEOPT", f"greeting {greeting!r}")
        if flags is not None:
            self.send(struct.pack(">I", flags))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise
            raise Gone from error

    def take(self, count):
        data = b""
        while len(data) < count:
            try:
                more = self.sock.recv(count - len(data))
            except ConnectionError as error:
                raise Gone from error
            if not more:
                raise Gone
            data += more
        return data

    def to_the_end(self):
        """Ends its own side and reads until the server ends the other."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
            while self.sock.recv(1 << 16):
                pass
        except ConnectionError:
            pass
        except OSError as error:
            expect(not isinstance(error, TimeoutError), "the server neither answers nor hangs up")

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def option(self, code, data=b"", length=None):
        self.send(struct.pack(">QII", MAGIC_OPTION, code, len(data) if length is None else length) + data)

    def answer(self):
        """The last reply to an option: its type and data."""
        while True:
            magic, _, kind, length = struct.unpack(">QIII", self.take(20))
            expect(magic == MAGIC_REPLY and length <= 8192, f"no option reply: {magic:x}, {length} bytes")
            data = self.take(length)
            if kind == ACK or kind & ERROR:
                return kind, data

    def ask(self, code, data=b""):
        self.option(code, data)
        return self.answer()

    def open(self, structured=False, status=False):
        if structured:
            expect(self.ask(STRUCTURED)[0] == ACK, "no structured replies")
            self.structured = True
        if status:
            expect(self.ask(SET_META, text(b"r0") + struct.pack(">I", 1) + text(b"base:allocation"))[0] == ACK, "no context")
        expect(self.ask(GO, go(b"r0"))[0] == ACK, "GO is refused")
        return self

    def request(self, command, offset=0, length=0, flags=0, cookie=7, payload=b"", magic=0x25609513):
        self.send(struct.pack(">IHHQQI", magic, flags, command, cookie, offset, length) + payload)

    def reply(self, read=0, cookie=7):
        """The error of one reply; takes `read` bytes of data with a good one."""
        magic = struct.unpack(">I", self.take(4))[0]
        if magic == 0x67446698:
            error, same = struct.unpack(">IQ", self.take(12))
            if error == 0:
                self.take(read)
        else:
            expect(magic == 0x668E33EF, f"reply magic {magic:x}")
            flags, kind, same, length = struct.unpack(">HHQI", self.take(16))
            data = self.take(length)
            expect(flags & 1, "a chunk that isn't the last")
            error = struct.unpack(">I", data[:4])[0] if kind & 0x8000 else 0
            expect(error != 0 or kind == 5 or length == (read + 8 if read else 0), f"chunk {kind} of {length} bytes for {read}")
        expect(same == cookie, f"the reply to {same} instead of {cookie}")
        return error

    def does(self, error, command, offset=0, length=0, flags=0, payload=b""):
        """One request with the expected outcome."""
        self.request(command, offset, length, flags, payload=payload)
        got = self.reply(length if command == READ and error == 0 else 0)
        expect(got == error, f"command {command} at {offset:#x}, {length:#x} bytes, flags {flags:#x}: error {got}, expected {error}")


def text(data):
    return struct.pack(">I", len(data)) + data


def go(name, infos=()):
    return text(name) + struct.pack(f">H{len(infos)}H", len(infos), *infos)


def client_of(node):
    handle = nbd.NBD()
    handle.connect_uri(node.uri("r0"))
    return handle


def healthy(node, what):
    """A client of good will is served, on both kinds of socket."""
    expect(node.daemon.alive(), f"{what}: the daemon ended\n{node.daemon.tail()}")
    handle = client_of(node)
    handle.pwrite(b"\x5a" * 4096, 8192)
    expect(handle.pread(4096, 8192) == b"\x5a" * 4096, f"{what}: what was written isn't read")
    handle.shutdown()


def resident(process):
    """MiB."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) // 1024


def descriptors(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def cpu_seconds(process):
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def log_lines(process):
    return len(process.log.read_text(errors="replace").splitlines())


def calms_down(cluster, process, before):
    """After a storm: as few descriptors as before it, and no work."""
    wait_until(lambda: descriptors(process) <= before, f"{process.name} to close what strangers opened ({before})")
    worked = cpu_seconds(process)
    time.sleep(2)
    worked = cpu_seconds(process) - worked
    expect(worked < 1, f"{process.name} works {worked:.1f} s of 2 for nobody\n{process.tail()}")
    expect(all(node.daemon.alive() for node in cluster.nodes), "a daemon ended")


def wrong_options():
    """Options that are wrong, each with what may come back: an error reply, or the end."""
    huge = [0xFFFFFFFF, 0xFFFFFFFA, 0x80000000, 32769]
    for code in (EXPORT_NAME, ABORT, LIST, STARTTLS, INFO, GO, STRUCTURED, LIST_META, SET_META, EXTENDED, 0, 12345, 0xFFFFFFFF):
        for length in huge:
            yield code, b"r0", length
    for code in (INFO, GO, LIST_META, SET_META):
        for length in huge:
            yield code, struct.pack(">I", length) + b"r0\0\0", None
        for data in (b"", b"\0", b"\0\0\0", text(b"r0"), text(b"r0") + b"\0", text(b"r0") + b"\xff\xff" + b"\0" * 6,
                     text(b"r0") + b"\xff\xff\xff\xff", text(b"r0") + struct.pack(">I", 2) + text(b"base:allocation"),
                     go(b"r0") + b"more"):
            yield code, data, None
    names = [b"x" * size for size in (256, 257, 4095, 4096, 4097, 30000)]
    names += [bytes(range(1, 256)), bytes(range(256)), b"\0", b"r0\0", b"\xff\xfe\xc0\x80", b"r0\n<0>ERROR r0: forged", b"%s%n%x" * 50,
              b"../../etc/passwd", b"r0/1", b"r0/", b"/0", b"r0/00", b"r1", b"\xe2\x82" * 2000]
    for name in names:
        yield EXPORT_NAME, name, None
        yield INFO, go(name), None
        yield GO, go(name, (0, 1, 2, 3, 0xFFFF)), None
        yield SET_META, text(name) + struct.pack(">I", 1) + text(b"base:allocation"), None
        yield LIST_META, text(b"r0") + struct.pack(">I", 1) + text(name), None
    yield LIST, b"data", None
    yield STRUCTURED, b"data", None
    yield STARTTLS, b"data", None


def negotiation():
    """Whatever comes in the negotiation is answered by an error or by the end, and disturbs nobody."""
    with Cluster() as cluster:
        alpha = cluster.alpha
        cluster.bring_up(primary=alpha)
        before = descriptors(alpha.daemon)
        count = 0
        for code, data, length in wrong_options():
            for structured in (False, True):
                count += 1
                with Raw(alpha, tcp=count % 2 == 0) as raw:
                    try:
                        if structured:
                            raw.ask(STRUCTURED)
                        raw.option(code, data, length)
                        if code not in (EXPORT_NAME, ABORT, LIST_META, STRUCTURED, EXTENDED):
                            kind, said = raw.answer()
                            expect(kind & ERROR, f"option {code} with {data[:40]!r} ({length}) is accepted")
                            expect(len(said) <= 4096, f"an error text of {len(said)} bytes")
                    except Gone:
                        pass
                    raw.to_the_end()
        healthy(alpha, "wrong options")
        step(f"{count} wrong options")

        good = struct.pack(">I", 3) + struct.pack(">QII", MAGIC_OPTION, GO, len(go(b"r0"))) + go(b"r0")
        for tcp in (False, True):
            for length in range(len(good) + 1):
                for end in (Raw.to_the_end, Raw.reset):
                    raw = Raw(alpha, tcp, flags=None)
                    raw.send(good[:length])
                    end(raw)
                    raw.sock.close()
        dice = random.Random(3)
        for number in range(300):
            with Raw(alpha, flags=None if number % 3 else 3) as raw:
                try:
                    raw.send(bytes(dice.randrange(256) for _ in range(dice.randrange(1, 2000))))
                except Gone:
                    pass
                raw.to_the_end()
        healthy(alpha, "cut-off and junk")
        step("handshakes that end at every byte, and bytes of chance")

        for flags in (4, 0x80000000, 0xFFFFFFFF):
            with Raw(alpha, flags=flags) as raw:
                try:
                    raw.ask(GO, go(b"r0"))
                    expect(False, f"client flags {flags:#x} are accepted")
                except Gone:
                    pass
        with Raw(alpha) as raw:  # what came in plaintext after STARTTLS must not count as sent under TLS: here TLS is refused
            raw.send(struct.pack(">QII", MAGIC_OPTION, STARTTLS, 0) + struct.pack(">QII", MAGIC_OPTION, LIST, 0))
            expect(raw.answer()[0] & ERROR, "STARTTLS is accepted")
            expect(raw.answer()[0] == ACK, "LIST after it")
        with Raw(alpha) as raw:
            try:
                for _ in range(100_000):
                    raw.option(LIST)
                raw.to_the_end()
                expect(False, "options without end are taken")
            except Gone:
                pass
        with Raw(alpha) as raw:  # every order, twice, and then it still opens
            for code in (INFO, LIST, INFO, SET_META, STRUCTURED, LIST_META, LIST, INFO, STRUCTURED, SET_META, STARTTLS, INFO):
                wanted = text(b"r0") + struct.pack(">I", 0) if code in (LIST_META, SET_META) else go(b"r0") if code == INFO else b""
                raw.ask(code, wanted)
            raw.structured = True
            expect(raw.ask(GO, go(b"r0"))[0] == ACK, "GO after everything else")
            raw.does(0, READ, 0, 512)
        with Raw(alpha) as raw:  # after extended headers an old request is junk
            expect(raw.ask(EXTENDED)[0] == ACK and raw.ask(STRUCTURED)[0] & ERROR, "extended headers and structured replies")
            raw.ask(GO, go(b"r0"))
            raw.request(READ, 0, 512)
            with contextlib.suppress(Gone):
                raw.request(READ, 0, 512)
                raw.take(1)
                expect(False, "a request of the old form is answered")
        healthy(alpha, "floods and orders")
        calms_down(cluster, alpha.daemon, before)
        step(f"{resident(alpha.daemon)} MiB resident, {log_lines(alpha.daemon)} lines in the log")


def out_of_order(raw, size):
    """Requests that are refused, on a session that goes on."""
    past = {READ: EINVAL, WRITE: ENOSPC, TRIM: EINVAL, ZEROES: ENOSPC}
    for command in (8, 9, 10, 0x1234, 0x7FFF, 0xFFFF):
        raw.does(EINVAL, command, 0, 512)
    for flags in (0x10, 0x100, 0x8000, 0xFFF0):
        for command in (READ, FLUSH, TRIM, ZEROES, STATUS):
            raw.does(ENOTSUP if (command, flags) == (ZEROES, 0x10) else EINVAL, command, 0, 512, flags)
        raw.does(EINVAL, WRITE, 0, 512, flags, b"x" * 512)
    for command, error in past.items():
        for offset, length in ((size, 512), (size - 512, 1024), (size + 512, 512), (1 << 63, 512), ((1 << 64) - 512, 512),
                               ((1 << 64) - 512, 1024), ((1 << 64) - 1, 4096)):
            raw.does(error, command, offset, length, payload=b"x" * length if command == WRITE else b"")
        for offset, length in ((1, 512), (0, 511), (511, 513)):
            raw.does(EINVAL, command, offset, length, payload=b"x" * length if command == WRITE else b"")
        raw.does(0, command, 0, 0)
        raw.does(0, command, size, 0)
    for length in (0xFFFFFFFF, 0x80000000, (64 << 20) + 1, 0xFFFFFE00):
        raw.does(EINVAL, READ, 0, length)
    raw.does(EOVERFLOW if raw.structured else EINVAL, READ, 0, 0xFFFFFE00, 4)
    raw.does(0, CACHE, 0, 512)
    raw.does(EINVAL, CACHE, size, 512)
    raw.does(EINVAL, STATUS, 0, 0)
    raw.does(EINVAL, STATUS, size, 512)
    raw.does(EINVAL, ZEROES, 0, 0xFFFFFFFF)
    for offset, length, flags in ((size - 512, 512, 0), (0, 512, 1), (size - 4096, 4096, 1)):
        raw.does(0, TRIM, offset, length, flags)
        raw.does(0, ZEROES, offset, length, flags | 2)
        raw.does(0, WRITE, offset, length, flags, b"y" * length)
        raw.does(0, READ, offset, length, flags)
    raw.does(0, FLUSH, 12345, 0xFFFFFFFF, 1)


def requests():
    """Requests at and beyond every edge: refused with the right error, or the end; the session and others go on."""
    with Cluster(size=6 * GIB) as cluster:
        alpha = cluster.alpha
        cluster.bring_up(primary=alpha)
        before = descriptors(alpha.daemon)
        size = client_of(alpha).get_size()
        for structured, status, tcp in ((False, False, False), (True, False, True), (True, True, False)):
            with Raw(alpha, tcp) as raw:
                raw.open(structured, status)
                out_of_order(raw, size)
                for offset, length in ((0, 0xFFFFFE00), (512, 0x80000000), (size - 0xFFFFFE00, 0xFFFFFE00)):
                    raw.does(0, TRIM, offset, length)
                if status:
                    for offset, length in ((0, 0xFFFFFE00), (size - 0xFFFFFE00, 0xFFFFFE00), (512, 512)):
                        raw.does(0, STATUS, offset, length)
                        raw.does(0, STATUS, offset, length, 8)
                else:
                    raw.does(EINVAL, STATUS, 0, 512)
                raw.does(0, READ, 0, 512)
        healthy(alpha, "requests beyond the edges")
        step("refused with the right errors, three kinds of session")

        for what in ({"length": 0xFFFFFFFF}, {"length": (64 << 20) + 512}, {"length": 512, "magic": 0x25609514}, {"length": 512, "magic": 0}):
            with Raw(alpha) as raw:
                raw.open().request(WRITE, 0, **what)
                try:
                    raw.reply()
                    expect(False, f"{what} is answered")
                except Gone:
                    pass
        for structured in (False, True):
            with Raw(alpha) as raw:  # DISC does not cancel what was asked before it
                raw.open(structured)
                for cookie in range(16):
                    raw.request(WRITE, cookie * 4096, 4096, 0, cookie, b"z" * 4096)
                raw.request(DISC)
                with contextlib.suppress(Gone):  # the server may be faster
                    raw.request(WRITE, 0, 512, 0, 99, b"!" * 512)  # nor does anything after it count
                answered = set()
                try:
                    while True:
                        answered.add(struct.unpack(">IIQ", raw.take(16))[2])
                except Gone:
                    pass
                expect(answered == set(range(16)), f"after DISC these were answered: {sorted(answered)}")
        whole = struct.pack(">IHHQQI", 0x25609513, 0, WRITE, 5, 0, 512) + b"w" * 512
        for length in [*range(0, 32), 100, 539]:
            for end in (Raw.to_the_end, Raw.reset):
                raw = Raw(alpha, tcp=length % 2 == 0).open()
                raw.send(whole[:length])
                end(raw)
                raw.sock.close()
        healthy(alpha, "cut-off requests")
        calms_down(cluster, alpha.daemon, before)
        step("impossible lengths, DISC, ends within a request")


def crowds():
    """Ten thousand connections at every door: those who have business there are served meanwhile and afterwards."""
    with Cluster() as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        doors = {"NBD": (alpha.daemon, ("127.0.0.1", alpha.nbd_port)), "NBD unix": (alpha.daemon, str(alpha.socket)),
                 "replication": (alpha.daemon, ("127.0.0.1", alpha.port)),
                 "control": (alpha.daemon, str(alpha.run_dir / "control.sock")),
                 "witness": (cluster.gamma, ("127.0.0.1", int(cluster.witness_address.rpartition(":")[2])))}
        held = client_of(alpha)
        for name, (process, where) in doors.items():
            before, lines = descriptors(process), log_lines(process)
            crowd = []
            for number in range(MANY):
                sock = socket.socket(socket.AF_INET if isinstance(where, tuple) else socket.AF_UNIX)
                sock.settimeout(60)
                try:
                    sock.connect(where)
                except OSError:
                    sock.close()
                    continue
                crowd.append(sock)
                if len(crowd) > 400:  # that many at once; the daemon has let go of the others long since
                    crowd.pop(0).close()
                if number % 2500 == 2499:
                    serves(cluster, held, name)
            expect(descriptors(process) < 500, f"{name}: {descriptors(process)} descriptors")
            for sock in crowd:
                sock.close()
            calms_down(cluster, process, before)
            noise = log_lines(process) - lines
            expect(noise < 100, f"{name}: {noise} lines in the log\n{process.tail()}")
            step(f"{name}: served meanwhile; {resident(process)} MiB resident, {noise} lines in the log")
        expect(beta.cli("wait-sync", "r0", "--timeout", "60").returncode == 0, "beta isn't in sync")


def serves(cluster, held, name):
    """In the midst of a crowd: the operator, an old client, a new one, and a peer that lost its link."""
    alpha, beta = cluster.nodes
    expect(alpha.role() == "Primary", f"{name}: status is not answered")
    held.pwrite(b"h" * 4096, 0)
    healthy(alpha, name)
    if name in ("replication", "witness"):
        beta.do("down", "r0")
        beta.do("up", "r0")
        beta.do("wait-connect", "r0", "--timeout", "60")
        wait_until(lambda: all(voter["answers"] for voter in beta.status().get("voters", [{"answers": False}])),
                   f"{name}: every voter to answer beta")


def hogs():
    """Payloads that trickle in and replies that nobody takes: others get the memory, though the hogs never leave."""
    with Cluster() as cluster:
        alpha = cluster.alpha
        cluster.bring_up(primary=alpha)
        hogs_there = []
        for number in range(12):  # 32 MiB each; the pools have 256
            raw = Raw(alpha).open()
            raw.request(WRITE, 0, 32 * MIB, payload=b"x" * 1000)
            hogs_there.append(raw)
        wait_until(lambda: trickle(hogs_there) or answered(alpha, lambda handle: handle.aio_pwrite(
            nbd.Buffer.from_bytearray(bytearray(MIB)), 0), hogs_there), "a write to be served beside hogs")
        step(f"a write is served; {len(hogs_there)} of 12 hogs are left")
        deaf = []
        for _ in range(8):
            raw = Raw(alpha).open()
            for cookie in range(2):
                raw.request(READ, 0, 32 * MIB, cookie=cookie)
            deaf.append(raw)
        time.sleep(1)
        wait_until(lambda: answered(alpha, lambda handle: handle.aio_pread(nbd.Buffer(MIB), 0), []), "a read to be served")
        step("a read is served")
        healthy(alpha, "hogs")


def trickle(raws):
    """One byte more from each; those that were thrown out leave the list. False."""
    for raw in list(raws):
        try:
            raw.send(b"x")
        except Gone:
            raws.remove(raw)
    return False


def answered(node, ask, hogs_there):
    """Whether a request is answered within a minute, the hogs trickling on."""
    handle = client_of(node)
    cookie = ask(handle)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if handle.aio_command_completed(cookie):
            return True
        trickle(hogs_there)
        handle.poll(200)
    return False


def gone_client():
    """A client that died does not hold a frozen Primary open: what then refuses `secondary` is the missing quorum. Nor does it cost."""
    for tcp in (False, True):
        with Cluster() as cluster:
            alpha = cluster.alpha
            cluster.bring_up(primary=alpha)
            client = Raw(alpha, tcp).open()
            cluster.beta.daemon.pause()
            cluster.gamma.pause()
            wait_until(lambda: alpha.status().get("suspended"), "alpha to freeze")
            client.request(WRITE, 0, 4096, payload=b"f" * 4096)
            expect(is_open(alpha), "status does not show the client")
            if not tcp:
                said = alpha.refuses([11], "secondary", "r0")
                expect("open" in said.lower(), f"with a client there, secondary says:\n{said}")
            client.sock.close()
            wait_until(lambda: not is_open(alpha), "alpha to notice that the client is gone")
            if not tcp:
                said = alpha.refuses([11], "secondary", "r0")
                expect("quorum" in said.lower() and "held open" not in said.lower(), f"without a client, secondary says:\n{said}")
                step(said.strip().splitlines()[0])
            worked = cpu_seconds(alpha.daemon)
            time.sleep(2)
            worked = cpu_seconds(alpha.daemon) - worked
            expect(worked < 1, f"alpha works {worked:.1f} s of 2 for a dead client")
            cluster.beta.daemon.resume()
            cluster.gamma.resume()
            wait_until(lambda: alpha.cli("secondary", "r0").returncode == 0, "alpha to step down")
            step(f"{'TCP' if tcp else 'unix'}: noticed")


def is_open(node):
    return node.status()["devices"][0]["open"]


def resent_write():
    """A client is cut off in the middle of a write, sends it again over a new connection, and then a newer one: the first, which still
    runs, must not land on top of that (the kernel's client does so with servers that let it)."""
    block = 4096
    with Cluster() as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        for turn in range(2):
            beta.daemon.pause()  # what is written waits for its answer
            first = Raw(alpha).open()
            for number in range(256):
                first.request(WRITE, (100 + number) * block, block, cookie=number + 1, payload=b"\x11" * block)
            first.request(WRITE, 0, block, cookie=9999, payload=b"\xaa" * block)
            first.sock.close()
            second = client_of(alpha)
            second.pwrite(b"\xaa" * block, 0)
            second.pwrite(b"\xbb" * block, 0)
            expect(second.pread(block, 0) == b"\xbb" * block, "the newer write isn't read")
            time.sleep(1.5)
            expect(second.pread(block, 0) == b"\xbb" * block, "the first write came back")
            second.shutdown()
            beta.daemon.resume()
            alpha.do("wait-sync", "r0", "--timeout", "60")
            step(f"turn {turn + 1}: the newer write stays")
        third = client_of(alpha)
        expect(third.pread(block, 0) == b"\xbb" * block, "the first write came back after the resync")


def signals():
    """SIGHUP, SIGPIPE and a log that nobody reads any more end neither daemon nor witness."""
    with Cluster() as cluster:
        alpha = cluster.alpha
        listening, dead = os.pipe()
        for process in (alpha.daemon, cluster.gamma):
            process.child = subprocess.Popen(process.argv, stdin=subprocess.DEVNULL, stdout=dead, stderr=dead, cwd="/",
                                             start_new_session=True)
        os.close(dead)
        os.read(listening, 1)
        os.close(listening)
        wait_until(alpha.answers, "alpha to answer")
        cluster.beta.start()
        for node in cluster.nodes:
            node.do("create-md", "r0")
            node.do("up", "r0")
        alpha.do("wait-connect", "r0", "--timeout", "60")
        alpha.do("new-current-uuid", "--clear-bitmap", "r0")
        alpha.promote()
        for number in (signal.SIGPIPE, signal.SIGHUP):
            for process in (alpha.daemon, cluster.gamma, cluster.beta.daemon):
                for _ in range(20):
                    process.child.send_signal(number)
                    healthy(alpha, number.name)
                expect(process.alive(), f"{number.name} ended {process.name}")
        expect("nothing is read again" in cluster.beta.daemon.tail(), "SIGHUP isn't mentioned")
        voters = alpha.status()["voters"]
        expect(all(voter["answers"] for voter in voters), f"voters: {voters}")
        step("all three are there")


SCENARIOS = [negotiation, requests, crowds, hogs, gone_client, resent_write, signals]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: hostile.py {'|'.join(chosen)}")
    sys.exit(run(chosen[sys.argv[1]]))
