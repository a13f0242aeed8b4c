#!/usr/bin/python3
"""Small things that an operator may rely on: weak secrets are told, `down` leaves no open door, a forgotten value is named."""

import socket
import sys

from lab import Cluster, expect, run, step

USAGE = 1


def weak_secret():
    """A secret that can be guessed, or read by everybody, is warned about by dump, by the daemon and by up, and still works."""
    with Cluster() as cluster:
        alpha = cluster.alpha
        expect(alpha.cli("dump", "r0").stderr == "", "dump warns about a good secret")
        cluster.secret.write_text("monkey\n", encoding="ascii")
        cluster.secret.chmod(0o644)
        cluster.gamma.start()
        alpha.do("create-md", "r0")
        alpha.start()
        for said in (alpha.cli("dump", "r0").stderr, alpha.cli("up", "r0").stderr, alpha.daemon.log.read_text(encoding="utf-8")):
            for words in ("has 6 bytes, fewer than 16", "(mode 0644)"):
                expect(words in said, f"no word of '{words}':\n{said}")
        step(f"up says:\n{said.rstrip()}")
        expect(alpha.status()["name"] == "r0", "it isn't up")


def closed_ports():
    """When `down` has returned nobody listens any more."""
    with Cluster(witness=False) as cluster:
        alpha = cluster.alpha
        alpha.do("create-md", "r0")
        alpha.start()
        for _ in range(10):
            alpha.do("up", "r0")
            for port in (alpha.port, alpha.nbd_port):
                socket.create_connection(("127.0.0.1", port), 10).close()
            alpha.do("down", "r0")
            for port in (alpha.port, alpha.nbd_port):
                try:
                    socket.create_connection(("127.0.0.1", port), 10).close()
                except ConnectionRefusedError:
                    continue
                expect(False, f"port {port} is open after down")


def missing_value():
    """An option without its value doesn't swallow the next one."""
    with Cluster(witness=False) as cluster:
        said = cluster.alpha.refuses([USAGE], "wait-connect", "r0", "--timeout")  # --config follows
        expect("--timeout needs a value" in said, f"the message doesn't name --timeout:\n{said}")


SCENARIOS = [weak_secret, closed_ports, missing_value]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: hygiene.py {'|'.join(chosen)}")
    sys.exit(run(chosen[sys.argv[1]]))
