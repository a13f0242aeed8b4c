"""What lies between a node's NBD export and its applications: a block device, and a file system on it.

qemu-storage-daemon shows the export as a file (FUSE); it resends what is unanswered when its server goes away for a moment.
As root a loop device makes a block device of that file and the kernel mounts it; otherwise fuse2fs mounts the file.
"""

import os
from pathlib import Path

from lab import LabError, expect, tool, wait_until

# Not losetup --direct-io: on this FUSE export it damages file systems.


def kernel_mounts():
    return os.geteuid() == 0 and os.path.exists("/dev/loop-control")


class Stack:
    """The mounted file system of one node. crash() is what the node's death does to it, close() an orderly end."""

    def __init__(self, cluster, node):
        self.cluster, self.node = cluster, node
        self.image = node.directory / "device"
        self.path = node.directory / "mount"
        self.export = self.driver = self.loop = None
        self.mounted = False

    def open(self, fresh, owner):
        expect(os.access("/dev/fuse", os.R_OK | os.W_OK), "/dev/fuse is missing or not for this user")
        self.path.mkdir(exist_ok=True)
        self.image.touch()
        self.export = self.cluster.spawn(
            f"{self.node.name}-device", "qemu-storage-daemon",
            "--blockdev", f"driver=nbd,node-name=r0,server.type=unix,server.path={self.node.socket},export=r0,"
                          "reconnect-delay=30",
            "--export", f"type=fuse,id=export,node-name=r0,mountpoint={self.image},writable=on")

        def shown():
            expect(self.export.alive(), f"qemu-storage-daemon ended\n{self.export.tail()}")
            return self.image.stat().st_size > 0
        wait_until(shown, "the export to show up as a file")
        if kernel_mounts():
            self._mount_by_kernel(fresh)
        else:
            self._mount_by_fuse2fs(fresh)
        if os.geteuid() == 0:
            tool("chown", owner, self.path)

    def _mount_by_kernel(self, fresh):
        self.loop = tool("losetup", "--find", "--show", self.image).stdout.strip()
        if fresh:
            tool("mkfs.ext4", "-q", self.loop)
        tool("mount", self.loop, self.path)
        self.mounted = True

    def _mount_by_fuse2fs(self, fresh):
        if fresh:
            tool("mkfs.ext4", "-q", "-F", "-E", f"root_owner={os.geteuid()}:{os.getegid()}", self.image)
        else:
            # fuse2fs keeps no journal: what the kernel would replay at mount is e2fsck's work here.
            expect(tool("e2fsck", "-f", "-y", self.image, check=False).returncode in (0, 1), "e2fsck could not repair")
        options = ["-o", "allow_other"] if os.geteuid() == 0 else []
        self.driver = self.cluster.spawn(f"{self.node.name}-fuse2fs", "fuse2fs", "-f", self.image, self.path, *options)

        def mounted():
            expect(self.driver.alive(), f"fuse2fs ended\n{self.driver.tail()}")
            return os.path.ismount(self.path)
        wait_until(mounted, "fuse2fs to mount")
        self.mounted = True

    def crash(self):
        """Everything at once, nothing flushed: what was not on the replicated device is gone."""
        if self.export:
            self.export.kill()  # first: the others may be waiting for it
        if self.driver:
            self.driver.kill()
        self._let_go(orderly=False)

    def close(self):
        self._let_go(orderly=True)

    def _let_go(self, orderly):
        """Undoes what open() did; an orderly end fails on every error and has the file system checked."""
        unmount = ["umount"] if self.loop or os.geteuid() == 0 else ["fusermount3", "-u"]
        if self.mounted:
            # After a crash the kernel takes a moment to end what was waiting for the device.
            def unmounted():
                return tool(*unmount, self.path, check=False).returncode == 0 or not os.path.ismount(self.path)
            wait_until(unmounted, f"{self.path} to be unmounted", interval=0.2)
            self.mounted = False
        if self.driver:
            wait_until(lambda: not self.driver.alive(), "fuse2fs to end")
            self.driver = None
        if orderly and self.export and self.export.alive():
            checked = tool("e2fsck", "-f", "-n", self.loop or self.image, check=False)
            if checked.returncode != 0:
                raise LabError(f"e2fsck -f found errors:\n{checked.stdout}{checked.stderr}")
        if self.loop:
            loop = self.loop
            tool("losetup", "--detach", loop)
            # It goes when its last user, udev perhaps, has closed it.
            wait_until(lambda: not tool("losetup", "--noheadings", "--list", "--output", "BACK-FILE", loop,
                                        check=False).stdout.strip(), f"{loop} to be free")
            self.loop = None
        if self.export:
            self.export.stop()
            self.export = None
        if self._is_mount_point(self.image):
            tool(*(["umount"] if os.geteuid() == 0 else ["fusermount3", "-u"]), self.image)

    @staticmethod
    def _is_mount_point(path):
        # A dead FUSE mount can't even be asked for its attributes.
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
        return any(line.split(" ")[1] == str(path) for line in mounts.splitlines())
