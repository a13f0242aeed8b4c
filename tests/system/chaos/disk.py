"""A node's disk that can fail and hang: a file through FUSE (nbdfuse), served by an nbdkit whose error filter has a switch.

While the switch exists every read and write answers EIO. A hanging disk is an nbdkit that was sent SIGSTOP: requests wait,
also those of a daemon that is killed meanwhile, and are done when it goes on, as with a disk that was slow. The data lies in
an ordinary file beneath, where it survives all of it.
"""

import os
import shutil

from lab import tool, wait_until


def usable():
    """Why disks can't be made to fail here, or None."""
    if not os.access("/dev/fuse", os.W_OK) or os.geteuid() != 0:
        return "FUSE can't be used here"
    missing = [program for program in ("nbdfuse", "nbdkit", "fusermount3") if not shutil.which(program)]
    return f"{missing[0]} is missing" if missing else None


class SickDisk:
    def __init__(self, cluster, node):
        self.path, self.switch = node.disk, cluster.directory / f"{node.name}.eio"
        store, socket = node.directory / "store", node.directory / "store.sock"
        node.disk.rename(store)
        node.disk.touch()
        size = store.stat().st_size
        self.server = cluster.spawn(f"{node.name}-nbdkit", "nbdkit", "-f", "-U", socket, "--filter=error", "file", store,
                                    "error=EIO", "error-rate=100%", f"error-file={self.switch}")
        wait_until(socket.exists, f"{node.name}'s disk to be served")
        cluster.spawn(f"{node.name}-nbdfuse", "nbdfuse", node.disk, "--unix", socket)
        wait_until(lambda: node.disk.stat().st_size == size, f"{node.disk} to be there")

    def fail(self):
        self.switch.touch()

    def repair(self):
        self.switch.unlink(missing_ok=True)

    def heal(self):
        self.repair()
        self.server.resume()

    def sick(self):
        return self.switch.exists() or self.server.paused

    def close(self):
        """Its daemon has ended; nbdkit would wait for nbdfuse, and that for its last user."""
        self.server.kill()
        tool("fusermount3", "-uz", self.path, check=False)
