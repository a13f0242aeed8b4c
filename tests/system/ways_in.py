#!/usr/bin/python3
"""How NBD clients find a Primary: ways_in.py SCENARIO (each is a function below)."""

import errno
import os
import socket
import sys

import nbd
from lab import MIB, Cluster, LabError, Process, expect, run, skip, step

VMADDR_CID_ANY, VMADDR_CID_LOCAL = 0xffffffff, 1

# What systemd does for a socket unit, less the unit.
ACTIVATE = """
import os, sys
names, fds, program = sys.argv[1], [int(fd) for fd in sys.argv[2].split(",")], sys.argv[3:]
kept = [os.dup2(os.dup(fd), 100 + i) for i, fd in enumerate(fds)]
for i, fd in enumerate(kept):
    os.dup2(fd, 3 + i, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=names)
os.execv(program[0], program)
"""


def connected(uri):
    handle = nbd.NBD()
    handle.connect_uri(uri)
    return handle


def shown(node):
    return node.status()["devices"][0]["nbd"]


def uris():
    """status prints where clients find the export; each of these works."""
    with Cluster(size=36 * MIB) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        expect(shown(alpha) == [f"nbd+unix:///r0/0?socket={alpha.socket}", f"nbd://127.0.0.1:{alpha.nbd_port}/r0/0"], f"{shown(alpha)}")
        text = alpha.do("status", "r0")
        for uri in shown(alpha):
            expect(f"nbd:{uri}\n" in text, text)
            handle = connected(uri)
            expect(handle.get_size() > 30 * MIB, "the wrong export")
            handle.shutdown()
        expect("nbd:" not in beta.do("status", "r0"), "a Secondary says that it exports")
        step("status names both ways in, and they work")


def activated():
    """Sockets of systemd: clients that come while nothing is up wait, and are served then."""
    with Cluster(size=36 * MIB) as cluster:
        alpha = cluster.alpha
        path = str(cluster.directory / "activated.sock")
        with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_INET) as second, socket.socket(socket.AF_INET) as other:
            first.bind(path)
            second.bind(("127.0.0.1", 0))
            for listening in (first, second, other):
                listening.listen(16)
            fds = [listening.fileno() for listening in (first, second, other)]
            argv = alpha.daemon.argv
            alpha.daemon = Activated(alpha, "r0-nbd:r0-nbd:another", fds, argv)
            alpha.more = "    nbd systemd:r0-nbd;\n"
            cluster.write_config()
            cluster.bring_up(primary=alpha)
            port = second.getsockname()[1]
            expect(f"nbd+unix:///r0/0?socket={path}" in shown(alpha) and f"nbd://127.0.0.1:{port}/r0/0" in shown(alpha), f"{shown(alpha)}")
            for uri in (f"nbd+unix:///r0?socket={path}", f"nbd://127.0.0.1:{port}/r0"):
                handle = connected(uri)
                handle.pwrite(b"x" * 4096, 0)
                handle.shutdown()
            step("a unix and a TCP socket of systemd are served")
            alpha.do("down", "r0")
            expect(os.path.exists(path), "the socket file of systemd is gone")
            with socket.socket(socket.AF_UNIX) as early:
                early.settimeout(60)
                early.connect(path)
                alpha.do("up", "r0")
                expect(early.recv(8) == b"NBDMAGIC", "who came while it was down is not served")
            step("who comes while the resource is down is served when it is up")
            alpha.do("down", "r0")
            alpha.more = "    nbd systemd:nothing;\n"
            cluster.write_config()
            text = alpha.refuses([20], "up", "r0")
            expect("systemd:nothing" in text and "FileDescriptorName" in text, text)
            step(text.strip().splitlines()[0])


class Activated(Process):
    """A daemon that is given sockets."""

    def __init__(self, node, names, fds, argv):
        super().__init__(node.name, ["/usr/bin/python3", "-c", ACTIVATE, names, ",".join(map(str, fds)), *argv], node.directory / "log")
        self.closes = False
        for fd in fds:
            os.set_inheritable(fd, True)


def vsock():
    """Guests reach their host without a network."""
    try:
        with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as probe:
            probe.bind((VMADDR_CID_ANY, socket.VMADDR_PORT_ANY if hasattr(socket, "VMADDR_PORT_ANY") else VMADDR_CID_ANY))
            port = probe.getsockname()[1]
    except (OSError, AttributeError) as error:
        skip(f"no AF_VSOCK: {error}")
    with Cluster(size=36 * MIB) as cluster:
        alpha = cluster.alpha
        alpha.more = f"    nbd vsock:{port};\n"
        cluster.write_config()
        cluster.bring_up(primary=alpha)
        expect(any(uri.startswith("nbd+vsock://") and uri.endswith(f":{port}/r0/0") for uri in shown(alpha)), f"{shown(alpha)}")
        with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as second:
            try:
                second.bind((VMADDR_CID_ANY, port))
                raise LabError("nobody listens there")
            except OSError as error:
                expect(error.errno == errno.EADDRINUSE, f"{error}")
        step("it listens")
        try:
            client = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
            client.settimeout(10)
            client.connect((VMADDR_CID_LOCAL, port))
        except OSError as error:
            step(f"not connected to: {error}")  # without vsock_loopback nobody on this machine can
            return
        with client:
            expect(client.recv(8) == b"NBDMAGIC", "no greeting")
        step("and greets")


SCENARIOS = [uris, activated, vsock]

if __name__ == "__main__":
    wanted = sys.argv[1] if len(sys.argv) == 2 else ""
    chosen = [scenario for scenario in SCENARIOS if scenario.__name__ == wanted]
    if not chosen:
        sys.exit(f"usage: ways_in.py {' | '.join(scenario.__name__ for scenario in SCENARIOS)}")
    sys.exit(run(chosen[0]))
