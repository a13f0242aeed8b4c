#!/usr/bin/python3
"""build_image.py DIRECTORY PROGRAM...   makes DIRECTORY/vmlinuz and DIRECTORY/initramfs: what the guest boots.

The kernel is Debian's own for virtual machines: its package is unpacked here, and not installed. The initramfs is busybox, the
modules that Debian does not build in, some Debian programs, and the PROGRAMs, each with its libraries. What is there already is
not made again: the kernel never, the initramfs while nothing in it has changed.
"""

import gzip
import hashlib
import lzma
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
KERNELS = ["linux-image-6.12-cloud-amd64", "linux-image-cloud-amd64"]  # the first that apt knows; both name the latest of a kind
MODULES = ["virtio_pci", "virtio_net", "nbd", "ext4"]
TOOLS = ["busybox", "nbd-client", "mkfs.ext4", "e2fsck"]
APPLETS = ["sh", "cat", "cp", "cut", "dd", "dmesg", "fstrim", "grep", "insmod", "ip", "ls", "mkdir",
           "mount", "mv", "poweroff", "rm", "seq", "sha256sum", "sleep", "stty", "sync", "tail", "touch", "tr",
           "umount", "wc"]
FOLDERS = ["dev", "mnt", "proc", "sys", "tmp"]

os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"


def fail(text):
    sys.exit(f"build_image.py: {text}")


def output_of(*argv, cwd=None):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd=cwd)
    return done.stdout if done.returncode == 0 else None


def kernel_package():
    """The package that the first known name in KERNELS stands for."""
    for name in KERNELS:
        found = re.search(r"Depends: (linux-image-\S+)", output_of("apt-cache", "depends", name) or "")
        if found:
            return found[1]
    return None


def download(directory):
    """The kernel's package as a file in the directory, or None."""
    package = kernel_package()
    if package and output_of("apt-get", "download", package, cwd=directory) is not None:
        return next(directory.glob("linux-image-*.deb"), None)
    return None


def provide_kernel(directory):
    """The unpacked kernel package below the directory."""
    unpacked = directory / "kernel"
    if unpacked.exists():
        return unpacked
    package = download(directory)
    if not package:  # the lists are missing, or older than what the mirror has
        output_of("apt-get", "update", "-o", "DPkg::Lock::Timeout=120")
        package = download(directory)
    if not package:
        fail(f"apt-get download finds none of {' '.join(KERNELS)}; is apt-get update needed?")
    fresh = directory / "kernel.new"
    shutil.rmtree(fresh, ignore_errors=True)
    subprocess.run(["dpkg-deb", "-x", package, fresh], check=True)
    package.unlink()
    shutil.copy(next(fresh.glob("boot/vmlinuz-*")), directory / "vmlinuz")
    fresh.rename(unpacked)
    return unpacked


def read_module(path):
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def modules(kernel):
    """(name, contents) of the wanted modules and what they need, in the order in which they are to be loaded."""
    tree = next(place for place in [*kernel.glob("lib/modules/*"), *kernel.glob("usr/lib/modules/*")])
    found = {re.sub(r"\.ko(\.xz)?$", "", path.name).replace("-", "_"): path for path in tree.rglob("*.ko*")}
    built_in = (tree / "modules.builtin").read_text(encoding="ascii").replace("-", "_")
    loaded = {}

    def load(name):
        if name in loaded or f"/{name}.ko" in built_in:
            return
        if name not in found:
            fail(f"the kernel package has no module {name}")
        data = read_module(found[name])
        for needed in re.findall(rb"\0(?:depends=|softdep=pre: )([^\0]*)\0", data):
            for other in filter(None, re.split(r"[, ]", needed.decode("ascii"))):
                load(other.replace("-", "_"))
        loaded[name] = data

    for name in MODULES:
        load(name)
    return list(loaded.items())


def program(name):
    path = shutil.which(name)
    if not path:
        fail(f"{name} is missing: tests/install guest")
    return Path(path)


def with_libraries(path):
    """The path of a program, and the paths of what its loader will look for."""
    return [path] + [Path(word) for word in re.findall(r"(/\S+) \(0x", output_of("ldd", path) or "")]


class Archive:
    """A cpio archive of the kind that the kernel unpacks."""

    def __init__(self):
        self.data = bytearray()
        self.names = set()

    def add(self, name, mode, contents=b""):
        if name in self.names:
            return
        self.names.add(name)
        for parent in list(Path(name).parents)[-2::-1]:
            self.add(str(parent), 0o040755)
        encoded = name.encode() + b"\0"
        fields = [len(self.names), mode, 0, 0, 2 if mode & 0o040000 else 1, 0, len(contents), 0, 0, 0, 0, len(encoded), 0]
        self.data += b"070701" + b"".join(b"%08x" % field for field in fields) + encoded
        self.data += b"\0" * (-len(self.data) % 4) + contents
        self.data += b"\0" * (-len(self.data) % 4)

    def file(self, name, contents, mode=0o755):
        self.add(name, 0o100000 | mode, contents)

    def link(self, name, target):
        self.add(name, 0o120777, target.encode())

    def end(self):
        self.add("TRAILER!!!", 0)
        return bytes(self.data)


def initramfs(kernel, programs):
    archive = Archive()
    for name in FOLDERS:
        archive.add(name, 0o040755)
    archive.file("init", (HERE / "init").read_bytes())
    for applet in APPLETS:
        archive.link(f"bin/{applet}", "busybox")
    order = []
    for name, contents in modules(kernel):
        archive.file(f"modules/{name}.ko", contents, 0o644)
        order.append(name)
    archive.file("modules/order", "".join(f"{name}\n" for name in order).encode(), 0o644)
    for path in [program(name) for name in TOOLS] + programs:
        archive.file(f"bin/{path.name}", path.read_bytes())
        for library in with_libraries(path)[1:]:
            archive.file(str(library)[1:], library.read_bytes())
    return archive.end()


def main():
    if len(sys.argv) < 2:
        fail("whereto?")
    directory = Path(sys.argv[1]).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    if not shutil.which("qemu-system-x86_64"):
        fail("qemu-system-x86_64 is missing: tests/install guest")
    contents = initramfs(provide_kernel(directory), [Path(name).resolve() for name in sys.argv[2:]])
    image, stamp = directory / "initramfs", directory / "initramfs.sha256"
    digest = hashlib.sha256(contents).hexdigest()
    if not image.exists() or not stamp.exists() or stamp.read_text(encoding="ascii") != digest:
        stamp.unlink(missing_ok=True)
        image.write_bytes(gzip.compress(contents, 1, mtime=0))
        stamp.write_text(digest, encoding="ascii")


if __name__ == "__main__":
    main()
