#!/usr/bin/python3
"""Who should not be talked to, and clients that break off: strangers.py SCENARIO (each is a function below)."""

import errno
import os
import re
import socket
import struct
import sys

import nbd

import stranger
from lab import MIB, Cluster, expect, run, step, tool, wait_until

WAITED = 5


def resource_id(node):
    """The 16 bytes by which the nodes of a resource know each other."""
    found = re.search(r"resource\S*\s+\"?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", node.do("dump-md", "r0"))
    expect(found, "dump-md doesn't show the resource's id")
    return bytes.fromhex(found[1].replace("-", ""))


def says(node, text):
    """Waits until the node's log says so."""
    wait_until(lambda: text in node.daemon.log.read_text(errors="replace"), f"{node.name}'s log to say '{text}'")


def unharmed(cluster):
    """Both nodes meet, and become a cluster that writes."""
    for node in cluster.nodes:
        node.do("wait-connect", "r0", "--timeout", "60")
    cluster.alpha.do("new-current-uuid", "--clear-bitmap", "r0")
    cluster.alpha.promote()
    tool("nbdsh", "-u", cluster.alpha.uri("r0"), "-c", "h.pwrite(b'x' * 4096, 0)")


def other_versions():
    """Somebody with another protocol version is refused in words, from either side and by the witness; nobody is harmed."""
    with Cluster() as cluster:
        alpha, beta = cluster.nodes
        for node in cluster.nodes:
            node.do("create-md", "r0")
        resource = resource_id(alpha)
        cluster.gamma.start()
        alpha.start()
        alpha.do("up", "r0")
        witness_port = int(cluster.witness_address.rpartition(":")[2])
        for versions in [(2, 9), (0xFFFF, 0xFFFF), (0, 0)]:
            for lane in (stranger.DATA, stranger.CONTROL):
                code, text = stranger.dial("127.0.0.1", alpha.port, stranger.hello(resource, versions, lane=lane))
                expect(code == stranger.NO_VERSION, f"versions {versions}: {code} {text}")
            code, witness_text = stranger.dial("127.0.0.1", witness_port, stranger.hello(resource, versions, (1, 16)))
            expect(code == stranger.NO_VERSION, f"versions {versions}, the witness: {code} {witness_text}")
        step(f"alpha: {text!r}; the witness: {witness_text!r}")
        says(alpha, "no common protocol version")
        for frames in [[stranger.hello(resource, (9, 2))], [b"GET / HTTP/1.1\r\n\r\n" * 2], [os.urandom(4096)],
                       [stranger.hello(resource), stranger.hello(resource)], [stranger.frame(20, b"")]]:
            code, text = stranger.dial("127.0.0.1", alpha.port, *frames)
            expect(code in (None, stranger.MALFORMED), f"{frames[0][:40]}: {code} {text}")
        answer_in_place_of(alpha, beta)
        alpha.start()
        alpha.do("up", "r0")
        unharmed(cluster)
        step("the real nodes met, and write")


def listen_at(port):
    try:
        server = socket.create_server(("127.0.0.1", port))
    except OSError:  # the kernel hasn't taken down the daemon's ring yet
        return None
    server.settimeout(60)
    return server


def answer_in_place_of(alpha, beta):
    """Beta dials alpha's address and finds a release that it shares no version with."""
    alpha.daemon.stop()
    with wait_until(lambda: listen_at(alpha.port), "alpha's address to be free") as server:
        beta.start()
        beta.do("up", "r0")
        for answer in [stranger.refusal(stranger.NO_VERSION, b"release 9 speaks 7 to 8"),
                       stranger.frame(stranger.CHALLENGE, struct.pack("<HQ", 9, 0) + bytes(32))]:
            sock, _ = server.accept()
            with sock:
                sock.settimeout(20)
                kind, _ = stranger.receive(sock)
                expect(kind == stranger.HELLO, f"beta began with a frame of type {kind}")
                sock.sendall(answer)
                stranger.receive(sock)
    says(beta, "release 9 speaks 7 to 8")
    says(beta, "no common protocol version")
    expect(beta.connection() != "Connected", "beta is connected to nobody's node")


def other_resource():
    """A peer with another resource's identity, or another node's, is refused, and both logs say so."""
    with Cluster() as cluster:
        alpha, beta = cluster.nodes
        other = cluster.directory / "other.conf"
        text = cluster.config.read_text(encoding="utf-8")
        other.write_text(text.replace("options {", "options { resource-uuid 11111111-2222-4333-8444-555555555555;"),
                         encoding="utf-8")
        beta.daemon.argv[beta.daemon.argv.index(str(cluster.config))] = str(other)
        beta.options = lambda: ["--config", other, "--node", beta.name, "--run-dir", beta.run_dir]
        cluster.gamma.start()
        for node in cluster.nodes:
            node.do("create-md", "r0")
            node.start()
            node.do("up", "r0")
        for node in cluster.nodes:
            says(node, "another resource")
        alpha.refuses([WAITED], "wait-connect", "r0", "--timeout", "1")
        resource = resource_id(alpha)
        for seats in [(7, 0), (0, 0), (1, 7), (16, 0), (255, 0)]:
            code, said = stranger.dial("127.0.0.1", alpha.port, stranger.hello(resource, seats=seats))
            expect(code == stranger.WRONG_NODE, f"seats {seats}: {code} {said}")
        step(f"a node that is none of its peers is refused: {said!r}")
        # Metadata of the other resource under this configuration: not taken either.
        beta.daemon.stop()
        beta.daemon.argv[beta.daemon.argv.index(str(other))] = str(cluster.config)
        del beta.options
        beta.start()
        said = beta.refuses([16], "up", "r0")
        step(f"its metadata is refused too:\n{said.rstrip()}")
        beta.do("create-md", "r0", "--force")
        beta.do("up", "r0")
        unharmed(cluster)


class Raw:
    """An NBD client that may send anything."""

    REQUEST = struct.Struct(">IHHQQI")
    READ, WRITE, DISCONNECT, FLUSH, TRIM, CACHE, ZEROES = range(7)

    def __init__(self, node):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(str(node.socket))
        expect(len(self.sock.recv(18, socket.MSG_WAITALL)) == 18, "no greeting")
        self.sock.sendall(struct.pack(">I8sII", 3, b"IHAVEOPT", 1, 2) + b"r0")  # EXPORT_NAME
        self.size = struct.unpack(">QH", self.sock.recv(10, socket.MSG_WAITALL))[0]

    def send(self, command, offset, length, payload=b"", flags=0, magic=0x25609513):
        self.sock.sendall(self.REQUEST.pack(magic, flags, command, 7, offset, length) + payload)

    def error(self):
        """The error of the reply, or None when the server has hung up."""
        try:
            reply = self.sock.recv(16, socket.MSG_WAITALL)
        except ConnectionResetError:
            return None
        return struct.unpack(">IIQ", reply)[1] if len(reply) == 16 else None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.sock.close()


def bad_requests():
    """NBD requests out of range, oversize, unknown or cut off in the middle: an error or a hang-up, and nothing is written."""
    with Cluster() as cluster:
        alpha = cluster.alpha
        cluster.bring_up(primary=alpha)
        good = nbd.NBD()
        good.connect_uri(alpha.uri("r0"))
        size = good.get_size()
        before = os.urandom(MIB)
        for offset in (0, size - MIB):
            good.pwrite(before, offset)
        with Raw(alpha) as raw:
            expect(raw.size == size, f"two clients are told two sizes: {raw.size}, {size}")
            for offset, length in [(size, 4096), (size - 4096, 8192), (1 << 63, 4096), ((1 << 64) - 4096, 4096),
                                   ((1 << 64) - 4096, 8192), (0, (1 << 32) - 512)]:
                for command in (Raw.READ, Raw.TRIM, Raw.ZEROES):
                    raw.send(command, offset, length)
                    got = raw.error()
                    expect(got in (errno.EINVAL, errno.ENOSPC), f"command {command} of {length} at {offset}: {got}")
                if length <= 8192:
                    raw.send(Raw.WRITE, offset, length, b"x" * length)
                    got = raw.error()
                    expect(got in (errno.EINVAL, errno.ENOSPC), f"write of {length} at {offset}: {got}")
            for command, flags in [(77, 0), (0xFFFF, 0), (Raw.READ, 0x8000), (Raw.FLUSH, 0x10)]:
                raw.send(command, 0, 0, flags=flags)
                expect(raw.error() == errno.EINVAL, f"command {command} with flags {flags:#x} is not refused")
            raw.send(Raw.READ, 0, 4096)
            expect(raw.error() == 0, "a good request after bad ones is refused")
        step("out of range, unknown: refused, and the connection goes on")
        for length in (64 * MIB + 512, (1 << 32) - 1):
            with Raw(alpha) as raw:
                raw.send(Raw.WRITE, 0, length, b"x" * 65536)
                expect(raw.error() != 0, f"a write of {length} bytes is answered")
        with Raw(alpha) as raw:
            raw.send(Raw.READ, 0, 4096, magic=0xDEADBEEF)
            expect(raw.error() is None, "a request without the magic is answered")
        for length, sent in [(MIB, 0), (MIB, 1), (MIB, MIB - 1), (4096, 4095)]:
            for shut in (True, False):
                with Raw(alpha) as raw:
                    raw.send(Raw.WRITE, 0, length, b"x" * sent)
                    if shut:
                        raw.sock.shutdown(socket.SHUT_WR)
                        expect(raw.error() is None, "half a write is answered")
        for count in range(1, 28):
            with Raw(alpha) as raw:
                raw.sock.sendall(Raw.REQUEST.pack(0x25609513, 0, Raw.WRITE, 7, 0, 4096)[:count])
        step("oversize, cut off in the middle: hung up on")
        for offset in (0, size - MIB):
            expect(good.pread(MIB, offset) == before, "a bad request changed something")
        good.flush()
        good.shutdown()
        cluster.compare_disks(size)
        expect(alpha.daemon.alive() and alpha.role() == "Primary", "alpha was harmed")


SCENARIOS = [other_versions, other_resource, bad_requests]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: strangers.py {'|'.join(chosen)}")
    sys.exit(run(chosen[sys.argv[1]]))
