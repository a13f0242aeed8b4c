#!/usr/bin/python3
"""Small things that an operator may rely on: weak secrets are told, `down` leaves no open door, a forgotten value is named."""

import socket
import sys

from lab import Cluster, expect, run, step

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


SCENARIOS = [closed_ports]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: hygiene.py {'|'.join(chosen)}")
    sys.exit(run(chosen[sys.argv[1]]))
