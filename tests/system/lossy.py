"""A node's disk that can lose power in place and fail at a given request: tests/lossy_disk shows a file through FUSE."""

import mmap
import os
import shutil
import socket

from lab import BIN, expect, tool, wait_until

EVERYWHERE = (0, 1 << 62)


def usable():
    """Why there can be no lossy disks here, or None."""
    if not os.access("/dev/fuse", os.W_OK) or os.geteuid() != 0:
        return "FUSE can't be used here"
    if not (BIN / "lossy-disk").exists():
        return "lossy-disk was not built (libfuse3-dev)"
    return None if shutil.which("fusermount3") else "fusermount3 is missing"


def read_direct(path, offsets, length):
    """What a disk shows in these places, past the kernel's cache."""
    file = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        buffer = mmap.mmap(-1, length)
        for offset in offsets:
            expect(os.preadv(file, [buffer], offset) == length, f"{path} is short")
            yield bytes(buffer)
    finally:
        os.close(file)


class LossyDisk:
    """`with` it inside the cluster, whose daemons end before it does."""

    def __init__(self, cluster, node, volume=0):
        self.node, self.path = node, node.volumes[volume] if volume else node.disk
        name = f"store-{volume}" if volume else "store"
        self.store, self.control = node.directory / name, node.directory / f"{name}.control"
        self.path.rename(self.store)
        self.path.touch()
        self.size = self.store.stat().st_size
        cluster.spawn(f"{node.name}-lossy{volume or ''}", BIN / "lossy-disk", self.store, self.path, self.control)
        wait_until(lambda: self.path.stat().st_size == self.size, f"{self.path} to be there")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.node.daemon.resume()
        self.node.daemon.kill() if kind else self.node.daemon.stop(60)
        tool("fusermount3", "-uz", self.path, check=False)

    def ask(self, *words):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(60)
            connection.connect(str(self.control))
            connection.sendall((" ".join(map(str, words)) + "\n").encode())
            said = connection.makefile().readline().strip()
        expect(said and not said.startswith("error"), f"{self.node.name}'s disk: {' '.join(map(str, words))}: {said}")
        return said

    def cut_power(self, seed):
        """Of the disk; its daemon was killed before. Says what stayed of what was not flushed."""
        return self.ask("crash", seed)

    def fail(self, first, count=1, kinds="rwf", where=EVERYWHERE):
        """The `first` request from now on and as many after it as make `count` (0: all) fail with EIO."""
        self.ask("fail", first, count, kinds, *where)

    def well(self):
        """Nothing fails any more. Says how many requests were looked at, and how many failed."""
        return self.counts("well")

    def counts(self, command="counts"):
        words = self.ask(command).split()
        return dict(zip(words[::2], map(int, words[1::2])))

    def content(self, length):
        """What the disk shows now, whatever is flushed."""
        return b"".join(read_direct(self.path, range(0, length, 1 << 20), 1 << 20))
