#!/usr/bin/python3
"""The NBD programs of other projects against the Primary's export: libnbd's, QEMU's and fio's."""

import hashlib
import json
import os
import sys

from lab import MIB, Cluster, expect, run, step, tool


def libnbd_tools(cluster, uri):
    alpha, beta = cluster.nodes
    info = json.loads(tool("nbdinfo", "--json", uri).stdout)
    export = info["exports"][0]
    step(f"nbdinfo: {export['export-size']} bytes, block size {export.get('block_size_preferred')}")
    for name in ["r0", "r0/0", ""]:
        expect(tool("nbdinfo", "--size", alpha.uri(name)).stdout == f"{export['export-size']}\n", f"export name '{name}'")
    expect(tool("nbdinfo", "--size", alpha.uri("r0", tcp=True)).stdout == f"{export['export-size']}\n", "over TCP")
    tool("nbdinfo", "--list", alpha.uri(""))
    for what in ["connect", "read", "write", "flush", "fua", "trim", "zero"]:
        tool("nbdinfo", "--can", what, uri)
    expect(tool("nbdinfo", "--is", "read-only", uri, check=False).returncode == 2, "the export says that it is read-only")
    tool("nbdinfo", "--map", "--totals", uri)

    refusal = tool("nbdinfo", beta.uri("r0"), check=False)
    expect(refusal.returncode != 0, "a Secondary let a client in")
    step(f"beta refuses: {refusal.stderr.strip().splitlines()[0]}")
    expect(tool("nbdinfo", alpha.uri("nonsense"), check=False).returncode != 0, "an unknown export was found")

    image = cluster.directory / "image"
    size = export["export-size"]
    image.write_bytes(os.urandom(8 * MIB) + bytes(size - 8 * MIB))
    tool("nbdcopy", "--connections=4", "--requests=16", "--flush", image, uri)
    back = cluster.directory / "back"
    tool("nbdcopy", uri, back)
    expect(hashlib.sha256(back.read_bytes()).digest() == hashlib.sha256(image.read_bytes()).digest(), "nbdcopy")
    step("nbdcopy: there and back, equal")

    tool("nbdsh", "-u", uri, "-c", "h.pwrite(b'x' * 512, 0); h.flush(); assert h.pread(512, 0) == b'x' * 512",
         "-c", "h.pwrite(b'y' * 4096, 8192, nbd.CMD_FLAG_FUA); assert h.pread(1024, 7680) == h.pread(512, 7680) + b'y' * 512",
         "-c", "h.zero(4096, 8192); assert h.pread(4096, 8192) == bytes(4096)",
         "-c", "h.pwrite(b'z' * 1536, 12800); assert h.pread(1536, 12800) == b'z' * 1536",
         "-c", "h.trim(1 << 20, 1 << 20)")
    beyond = tool("nbdsh", "-u", uri, "-c", "h.set_strict_mode(0)", "-c", f"h.pwrite(b'x' * 512, {size})", check=False)
    expect(beyond.returncode != 0, "a write beyond the end was accepted")
    step("nbdsh: FUA, flush, writes of sectors within blocks, zero, trim; a write beyond the end is refused")

    consistency = """
c = [nbd.NBD() for _ in range(3)]
for h in c: h.connect_uri(URI)
for i in range(256):
    stamp = bytes([i]) * 4096
    c[i % 3].pwrite(stamp, 65536)
    c[(i + 1) % 3].flush()
    assert c[(i + 2) % 3].pread(4096, 65536) == stamp, i
""".replace("URI", repr(uri))
    tool("nbdsh", "-c", consistency)
    step("written on one connection, flushed on another, read on a third: 256 times the same")


def qemu_tools(cluster, uri):
    done = tool("qemu-io", "-f", "raw", "-c", "write -P 0x5a 4096 65536", "-c", "write -z -u 8192 4096", "-c", "flush",
                "-c", "read -P 0 8192 4096", "-c", "read -P 0x5a 4096 4096", "-c", "discard 1M 1M",
                "-c", "aio_write -f -P 1 2M 64k", "-c", "aio_flush", "-c", "read -P 1 2M 64k", uri)
    expect("failed" not in done.stdout + done.stderr, f"qemu-io: {done.stdout}{done.stderr}")
    copy = cluster.directory / "copy"
    tool("qemu-img", "convert", "-f", "raw", "-O", "raw", uri, copy)
    tool("qemu-img", "compare", "-f", "raw", "-F", "raw", uri, copy)
    json.loads(tool("qemu-img", "map", "--output=json", "-f", "raw", uri).stdout)
    step("qemu-io, qemu-img convert, compare and map")


def fio_verify(cluster, uri):
    report = cluster.directory / "fio.json"
    common = ["--ioengine=nbd", f"--uri={uri}", "--rw=randrw", "--verify=crc32c", "--verify_fatal=1", "--verify_backlog=256",
              "--output-format=json", f"--output={report}"]
    for name, options in {
            "mixed sizes": ["--bsrange=512-64k", "--blockalign=512", "--size=16M", "--io_size=16M", "--iodepth=16", "--fsync=32"],
            "queue depth 32": ["--bs=4k", "--size=32M", "--io_size=16M", "--iodepth=32", "--norandommap=0"],
    }.items():
        tool("fio", f"--name={name.replace(' ', '-')}", *common, *options, cwd=cluster.directory)
        job = json.loads(report.read_text(encoding="utf-8"))["jobs"][0]
        expect(job["error"] == 0, f"fio: {job}")
        step(f"fio, {name}: {job['write']['total_ios']} writes and {job['read']['total_ios']} reads, every sum right")


def test():
    with Cluster(size=36 * MIB) as cluster:
        cluster.bring_up(primary=cluster.alpha)
        uri = cluster.alpha.uri("r0")
        libnbd_tools(cluster, uri)
        qemu_tools(cluster, uri)
        fio_verify(cluster, uri)
        size = int(tool("nbdinfo", "--size", uri).stdout)
        for node in cluster.nodes:
            node.wait_sync()
        cluster.alpha.do("secondary", "r0")
        cluster.compare_disks(size)
        step("both copies identical")
        cluster.beta.promote()
        moved = cluster.directory / "moved"
        tool("nbdcopy", cluster.beta.uri("r0"), moved)
        tool("cmp", "-n", size, moved, cluster.alpha.disk)
        step("beta serves what alpha had")
        for node in cluster.nodes:
            node.do("down", "r0")


if __name__ == "__main__":
    sys.exit(run(test))
