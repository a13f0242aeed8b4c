#!/usr/bin/python3
"""Disks that fail or fill up, whole or only where the metadata is: sick_disks.py SCENARIO (each is a function below)."""

import os
import shutil
import signal
import subprocess
import sys
import threading

import nbd

from lab import MIB, Cluster, expect, run, skip, step, tool, wait_until

SIZE = 64 * MIB
SECTOR = 4096
REFUSED, NO_DISK, FAILURE = 11, 16, 20


def client_of(node):
    handle = nbd.NBD()
    handle.connect_uri(node.uri("r0"))
    return handle


class SickFile:
    """A file that answers EIO from an offset on while `switch` exists, or only to reads."""

    def __init__(self, cluster, path, size, switch, sick_from=0, only_reads=False):
        self.path = path
        store = path.with_name(path.name + ".store")
        with store.open("wb") as file:
            file.truncate(size)
        plugin = ["--filter=error", "file", store, "error=EIO", "error-rate=100%", f"error-file={switch}"]
        if sick_from > 0 or only_reads:
            check = f"if [ -e {switch} ] && [ $(($3 + $4)) -gt {sick_from} ]; then echo EIO >&2; exit 1; fi;"
            plugin = ["eval", f"get_size=echo {size}", "can_flush=exit 0", "flush=exit 0",
                      f"pread={check} dd if={store} iflag=skip_bytes,count_bytes skip=$4 count=$3 status=none",
                      f"pwrite={'' if only_reads else check} dd of={store} oflag=seek_bytes conv=notrunc seek=$4 status=none"]
        path.unlink(missing_ok=True)
        path.touch()
        cluster.spawn(f"{path.parent.name}-{path.name}", "nbdfuse", path, "--command", "nbdkit", "-s", *plugin)
        wait_until(lambda: path.stat().st_size == size, f"{path} to be there")

    def close(self):
        tool("fusermount3", "-uz", self.path, check=False)


class Sickness:
    """`with` it inside the cluster: the node's disk, or the part that `where` names, answers EIO while the switch exists."""

    def __init__(self, cluster, node, where):
        self.node, self.switch = node, cluster.directory / f"{node.name}.eio"
        if where == "external metadata":
            use_external_metadata(cluster)
            self.file = SickFile(cluster, node.meta_disk, MIB, self.switch)
        elif where == "data, only to read":
            self.file = SickFile(cluster, node.disk, SIZE, self.switch, only_reads=True)
        else:  # internal metadata lies in the last MiB
            self.file = SickFile(cluster, node.disk, SIZE, self.switch, SIZE - MIB if where == "internal metadata" else 0)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.switch.unlink(missing_ok=True)
        self.node.daemon.stop(60)
        self.file.close()


def use_external_metadata(cluster):
    for node in cluster.nodes:
        node.meta_disk = node.directory / "meta"
    cluster.write_config()


def need_fuse():
    if not os.access("/dev/fuse", os.W_OK) or os.geteuid() != 0:
        skip("FUSE can't be used here")
    expect(shutil.which("nbdfuse") and shutil.which("nbdkit"), "nbdfuse and nbdkit have to be installed")


def content(number):
    return bytes([100 + number]) * SECTOR


def write_everywhere(handle):
    """What the client writes while the disk is sick, also where intent bits have to be set: it is answered, and read back."""
    for number in range(32):
        handle.pwrite(content(number), number * MIB)
    handle.flush()
    for number in range(32):
        expect(handle.pread(SECTOR, number * MIB) == content(number), "what was written isn't read back")


def given_up(victim, words):
    wait_until(lambda: victim.do("dstate", "r0").split("/")[0] in ("Failed", "Diskless"), "the disk to be given up")
    said = victim.daemon.tail(400)
    for word in words:
        expect(word in said, f"{victim.name}'s log does not say '{word}'\n{said}")


def leave_and_return(cluster, victim, repair):
    """After the disk was given up: the other node serves, the repaired disk is taken back, both copies are the same."""
    alpha, beta = cluster.nodes
    size = int(tool("nbdinfo", "--size", alpha.uri("r0")).stdout)
    if victim is alpha:
        alpha.do("down", "r0")
        beta.promote()
        expect(client_of(beta).pread(SECTOR, 31 * MIB) == content(31), "beta lacks a write")
    else:
        victim.refuses([REFUSED, NO_DISK], "primary", "r0")
        victim.do("down", "r0")
    repair()
    victim.do("up", "r0")
    victim.wait_sync()
    cluster.compare_disks(size)


def disk_fails(where, words):
    """The disk fails under a Secondary, then under a Primary: no client sees an error, the copy comes back."""
    need_fuse()
    for index in (1, 0):
        with Cluster(size=SIZE) as cluster:
            victim = cluster.nodes[index]
            with Sickness(cluster, victim, where) as sickness:
                cluster.bring_up(primary=cluster.alpha)
                handle = client_of(cluster.alpha)
                handle.pwrite(b"a" * SECTOR, 0)
                sickness.switch.touch()
                write_everywhere(handle)
                given_up(victim, words)
                handle.shutdown()
                leave_and_return(cluster, victim, sickness.switch.unlink)
            step(f"{victim.name}: EIO {where}: given up, and taken back")


def failing_disk():
    disk_fails("everywhere", ["failed", "Input/output error"])


def unreadable():
    """A disk that fails to read, time and again: the peer answers. It is given up after a number of reads, or never (pass_on)."""
    need_fuse()
    for policy in ("detach", "pass_on"):
        with Cluster(size=SIZE) as cluster:
            alpha = cluster.alpha
            with Sickness(cluster, alpha, "data, only to read") as sickness:
                text = cluster.config.read_text(encoding="utf-8")
                cluster.config.write_text(text.replace("  net {", f"  disk {{ on-io-error {policy}; }}\n  net {{"), encoding="utf-8")
                cluster.bring_up(primary=alpha)
                handle = client_of(alpha)
                for number in range(40):
                    handle.pwrite(content(number), number * MIB)
                handle.flush()
                sickness.switch.touch()
                for number in range(40):
                    expect(handle.pread(SECTOR, number * MIB) == content(number), "the peer's answer is wrong")
                handle.shutdown()
                state = alpha.do("dstate", "r0").split("/")[0]
                step(f"{policy}: after 40 reads that failed the disk is {state}")
                expect((state == "UpToDate") == (policy == "pass_on"), alpha.daemon.tail())


def failing_internal_metadata():
    disk_fails("internal metadata", ["the metadata could not be written", "Input/output error"])


def failing_external_metadata():
    disk_fails("external metadata", ["the metadata could not be written", "Input/output error"])


class SmallDisk:
    """A file system in memory with room for the metadata and little more; `with` it inside the cluster."""

    def __init__(self, cluster):
        self.path = cluster.directory / "small"
        self.path.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", self.path], capture_output=True, check=False)
        if mounted.returncode != 0:
            skip("a tmpfs can't be mounted here")
        self.filler = self.path / "filler"

    def fill(self):
        with self.filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(SECTOR)) > 0:
                    pass
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        tool("umount", "-l", self.path)


def full_metadata_disk():
    """No room under external metadata: create-md refuses and leaves nothing; later the disk is given up, the peer goes on."""
    for index in (1, 0):
        with Cluster(size=SIZE) as cluster, SmallDisk(cluster) as small:
            victim = cluster.nodes[index]
            use_external_metadata(cluster)
            victim.meta_disk = small.path / "meta"
            cluster.write_config()
            small.fill()
            said = victim.refuses([FAILURE, NO_DISK], "create-md", "r0")
            expect("No space left" in said, f"create-md doesn't say that there is no space:\n{said}")
            expect(not victim.meta_disk.exists(), "create-md left half a metadata file")
            small.filler.unlink()
            cluster.bring_up(primary=cluster.alpha)
            handle = client_of(cluster.alpha)
            # Somebody made the file sparse behind the daemon's back: its maps have no blocks of their own any more.
            tool("fallocate", "--punch-hole", "--offset", 4 * SECTOR, "--length", MIB, victim.meta_disk)
            small.fill()
            write_everywhere(handle)
            given_up(victim, ["the metadata could not be written", "No space left"])
            handle.shutdown()
            leave_and_return(cluster, victim, small.filler.unlink)
            victim.daemon.stop(60)
        step(f"{victim.name}: no room for metadata: given up, and taken back")


def stuck(process):
    """The programs that a process started, stopped as a path that is gone stops a disk."""
    return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and parent_of(pid) == process.pid]


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return int(stat.read().rsplit(")", 1)[1].split()[1])
    except OSError:
        return None


def hanging_disk():
    """A disk that stops to answer under the Primary: its clients go on, from the other copy, without an error."""
    need_fuse()
    with Cluster(size=SIZE) as cluster:
        alpha, beta = cluster.alpha, cluster.beta
        text = cluster.config.read_text(encoding="utf-8")
        cluster.config.write_text(text.replace("  net {", "  disk { disk-timeout 20; }\n  net {", 1), encoding="utf-8")
        with Sickness(cluster, alpha, "everywhere"):
            cluster.bring_up(primary=alpha)
            server = [process for process in cluster.others if process.name.startswith("alpha")][-1]
            pids = stuck(server)
            expect(pids, "the server behind alpha's disk is not found")
            client = client_of(alpha)
            client.pwrite(b"a" * 4096, 0)
            rescue = threading.Timer(60, lambda: [os.kill(pid, signal.SIGCONT) for pid in pids])
            rescue.start()  # a client whose write is stuck does not look at the clock
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            try:
                step("alpha's disk hangs")
                client.pwrite(b"b" * 4096, 0)
                expect(client.pread(4096, 0) == b"b" * 4096, "the write that waited is not there")
                expect(alpha.status()["devices"][0]["disk-state"] == "Failed", "a disk that hangs is not shown as Failed")
                expect(alpha.role() == "Primary" and beta.status()["devices"][0]["disk-state"] == "UpToDate", "beta serves alpha")
                client.shutdown()
                alpha.do("secondary", "r0")
                beta.promote()
            finally:
                rescue.cancel()
                for pid in pids:
                    os.kill(pid, signal.SIGCONT)
            step("it answers again, and is taken back")
            wait_until(lambda: alpha.status()["devices"][0]["disk-state"] == "Diskless", "what hung in it to end")
            alpha.do("down", "r0")
            alpha.do("up", "r0")
            alpha.wait_sync()
            beta.do("verify", "r0", "--wait")


SCENARIOS = [failing_disk, hanging_disk, unreadable, failing_internal_metadata, failing_external_metadata, full_metadata_disk]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: sick_disks.py {'|'.join(chosen)}")
    sys.exit(run(chosen[sys.argv[1]]))
