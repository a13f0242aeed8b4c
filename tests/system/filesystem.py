#!/usr/bin/python3
"""ext4 on a loop device on nbdfuse on the Primary's export: files survive a switch-over, and fsck finds nothing."""

import os
import shutil
import sys

from lab import MIB, Cluster, expect, run, skip, step, tool, wait_until

FILES = """
set -eu
for i in $(seq 200); do head -c $((i * 997)) /dev/urandom >"$1/file$i"; done
mkdir "$1/directory"
for i in $(seq 50); do mv "$1/file$i" "$1/directory/"; done
for i in $(seq 51 80); do rm "$1/file$i"; done
dd if=/dev/urandom of="$1/synced" bs=64k count=64 oflag=dsync status=none
(cd "$1" && find . -type f ! -name SUMS -exec sha256sum {} + >SUMS)
sync -f "$1"
"""


class Mounted:
    """`with Mounted(cluster, node) as path:` is the node's export as a mounted ext4."""

    def __init__(self, cluster, node, fresh):
        self.cluster, self.node, self.fresh = cluster, node, fresh
        self.directory = node.directory / "mount"
        self.fuse = node.directory / "fuse"
        self.loop = None
        self.mounted = False

    def __enter__(self):
        for path in [self.directory, self.fuse]:
            path.mkdir(exist_ok=True)
        image = self.fuse / "nbd"
        self.server = self.cluster.spawn(f"nbdfuse-{self.node.name}", "nbdfuse", image, self.node.uri("r0"))
        try:
            wait_until(lambda: image.exists() or not self.server.alive(), "nbdfuse to mount")
            expect(self.server.alive(), f"nbdfuse ended\n{self.server.tail()}")
            self.loop = tool("losetup", "--find", "--show", image).stdout.strip()
            if self.fresh:
                tool("mkfs.ext4", "-q", "-F", self.loop)
            tool("mount", self.loop, self.directory)
            self.mounted = True
        except BaseException:
            self.release()
            raise
        return self.directory

    def release(self):
        """Unmounts what is mounted; the loop device is left to whoever still needs it."""
        if self.mounted:
            tool("umount", self.directory)
            self.mounted = False
        if self.loop:
            self.check = tool("e2fsck", "-f", "-n", self.loop, check=False)
            tool("losetup", "--detach", self.loop)
            self.loop = None
        if os.path.ismount(self.fuse):
            tool("fusermount3", "-u", self.fuse)
        wait_until(lambda: not self.server.alive(), "nbdfuse to end")

    def __exit__(self, kind, value, trace):
        self.release()
        if kind is None:
            expect(self.check.returncode == 0, f"e2fsck -f on {self.node.name}:\n{self.check.stdout}{self.check.stderr}")
            step(f"e2fsck -f on {self.node.name}: clean")


def test():
    if os.geteuid() != 0:
        skip("mounting needs root")
    if not os.path.exists("/dev/fuse") or not os.path.exists("/dev/loop-control"):
        skip("this machine has no FUSE or no loop devices")
    expect(shutil.which("nbdfuse") and shutil.which("mkfs.ext4"), "nbdfuse and e2fsprogs have to be installed")
    with Cluster(size=128 * MIB, on_disk=True) as cluster:
        cluster.bring_up(primary=cluster.alpha)
        size = int(tool("nbdinfo", "--size", cluster.alpha.uri("r0")).stdout)
        with Mounted(cluster, cluster.alpha, fresh=True) as path:
            tool("bash", "-c", FILES, "files", path, patience=300)
            step("files written on alpha")
            tool("fstrim", path, check=False)
        cluster.alpha.do("secondary", "r0")
        cluster.compare_disks(size)
        step("both copies identical")
        cluster.beta.promote()
        with Mounted(cluster, cluster.beta, fresh=False) as path:
            sums = tool("sha256sum", "--quiet", "-c", "SUMS", cwd=path)
            expect(sums.returncode == 0, sums.stdout)
            step("beta has every file, byte by byte")


if __name__ == "__main__":
    sys.exit(run(test))
