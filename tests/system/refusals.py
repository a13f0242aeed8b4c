#!/usr/bin/python3
"""Nonsense in the configuration, on the control socket and under create-md: refused with a reason, and harmless."""

import fcntl
import json
import os
import random
import re
import socket
import sys
from pathlib import Path

from lab import BIN, MIB, Cluster, Process, expect, run, step, tool, wait_until

BAD_CONFIGURATION, REFUSED, NO_DISK, NO_DATA, FAILURE = 10, 11, 16, 17, 20
NOTHING_FOUND = "no Lockstep metadata was found"

# What to replace in a good configuration, by what, and what the message has to name.
MISTAKES = [
    ("quorum majority", "quorum majorty", "majority"),
    ("quorum majority", "quorum off", "quorum"),
    ("quorum majority", "qourum majority", "quorum"),
    ("protocol C", "protocol X", "protocol"),
    ("protocol C;", "protocol C; allow-two-primaries yes;", "allow-two-primaries"),
    ("node-id 1", "node-id 0", "node-id"),
    ("node-id 1", "node-id many", "node-id"),
    ("node-id 1;", "node-id 1; node-id 1", ""),
    ("address 127.0.0.1:", "address 127.0.0.1:x", "address"),
    ("address 127.0.0.1:", "adress 127.0.0.1:", "address"),
    ("resource r0 {", "resource {", ""),
    ("resource r0 {", "resource r0 { }\nresource r0 {", "r0"),
    ("options {", "options {{", ""),
    ("meta-disk internal", "meta-disk", "meta-disk"),
    ("lease-time 30", "lease-time -1", "lease-time"),
    ("lease-time 30", "lease-time 99999999999999999999", "lease-time"),
    ("\n}\n", "\n", ""),
]


def configuration():
    """Each mistake ends CLI and daemon with status 10 and a message that names file, line and column."""
    with Cluster(options="lease-time 30;") as cluster:
        good = cluster.config.read_text(encoding="utf-8")
        cluster.alpha.do("dump", "r0")
        for old, new, named in MISTAKES:
            head, found, rest = good.rpartition(old) if old.startswith(("node-id", "\n")) else good.partition(old)
            expect(found, f"'{old}' isn't in the configuration")
            cluster.config.write_text(head + new + rest, encoding="utf-8")
            said = cluster.alpha.refuses([BAD_CONFIGURATION], "dump", "r0")
            expect(re.search(re.escape(str(cluster.config)) + r":\d+:\d+", said), f"'{new}': no file, line and column:\n{said}")
            expect(named in said, f"'{new}': the message doesn't name '{named}':\n{said}")
            status = tool(BIN / "lockstepd", *cluster.alpha.options(), check=False).returncode
            expect(status == BAD_CONFIGURATION, f"'{new}': lockstepd ends with {status}")
        step(f"{len(MISTAKES)} mistakes; the last message:\n{said.rstrip()}")
        binary = bytes(random.Random(1).randrange(256) for _ in range(4096))
        cluster.config.write_bytes(binary)
        cluster.alpha.refuses([BAD_CONFIGURATION], "dump", "r0")
        cluster.config.write_text("resource r0 {" * 100000, encoding="utf-8")
        cluster.alpha.refuses([BAD_CONFIGURATION], "dump", "r0")
        cluster.config.unlink()
        cluster.alpha.refuses([BAD_CONFIGURATION], "dump", "r0")
        step("bytes of chance, endless nesting, no file: refused too")
        cluster.config.write_text(good, encoding="utf-8")
        usage = cluster.alpha.cli("frobnicate", "r0")
        expect(usage.returncode == 1 and usage.stderr.strip(), f"an unknown command ends with {usage.returncode}")
        expect(cluster.alpha.cli("status").returncode == 20, "status without a daemon")


def control_socket():
    """What no CLI would send doesn't end the daemon, nor does it keep others from being served."""
    with Cluster() as cluster:
        cluster.bring_up(primary=cluster.alpha)
        path = str(cluster.alpha.run_dir / "control.sock")
        expect(os.stat(path).st_mode & 0o007 == 0, "everybody may use the control socket")
        dice = random.Random(2)

        def connect():
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(20)
            sock.connect(path)
            return sock

        junk = [b"", b"\n", b"\0" * 100, b"{" * 100000, b"[]\n", b"null\n", b'{"command":7}\n', b'{"command":"primary"}\n',
                b'{"command":"up","resource":"' + b"x" * 100000 + b'"}\n', b"status\n" * 1000,
                b"\xff\xff\xff\xff" + b"a" * 4096, b"\0\0\0\1", b"GET / HTTP/1.1\r\n\r\n"]
        junk += [bytes(dice.randrange(256) for _ in range(dice.randrange(1, 3000))) for _ in range(50)]
        for data in junk:
            with connect() as sock:
                try:
                    sock.sendall(data)
                    sock.shutdown(socket.SHUT_WR)
                    while sock.recv(65536):
                        pass
                except OSError:
                    pass  # it may hang up on us
        step(f"{len(junk)} kinds of nonsense")
        with connect() as sock:  # endless, without a line's end: the daemon must not collect it all
            try:
                for _ in range(256):
                    sock.sendall(b"x" * 65536)
            except OSError:
                step("an endless request is cut off")
        idle = [connect() for _ in range(30)]
        expect(cluster.alpha.role() == "Primary", "status is not served beside 30 idle connections")
        for sock in idle:
            sock.close()
        expect(cluster.alpha.daemon.alive(), "the daemon ended")
        with open(f"/proc/{cluster.alpha.daemon.pid}/status", encoding="ascii") as status:
            resident = int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1])
        step(f"still Primary; {resident // 1024} MiB resident")
        second = Process("second", [BIN / "lockstepd", *cluster.alpha.options()], cluster.directory / "second.log").start()
        wait_until(lambda: not second.alive(), "a second daemon on the same run-dir to give up")
        expect(second.child.returncode != 0, "a second daemon on the same run-dir ended with 0")
        expect(cluster.alpha.role() == "Primary", "a second daemon disturbed the first")


def refused(node, status, fragment, *words):
    """The command ends with that status and words, and the node's disk is as before, byte by byte, or as absent."""
    def content():
        return node.disk.read_bytes() if node.disk.exists() else None

    before = content()
    said = node.refuses([status], *words)
    expect(fragment in said, f"{words}: the message doesn't say '{fragment}':\n{said}")
    expect(content() == before, f"{words}: the disk was written to")
    step(f"{' '.join(words)}: {said.strip().splitlines()[0]}")


def disk_uuid(node):
    return json.loads(node.do("dump-md", "r0", "--json"))["disk"]


def refused_in_use(node, *words):
    """As refused(), but the daemon that uses the disk may write to its metadata meanwhile: that is still the same one."""
    size = node.status()["devices"][0]["size"] * 1024

    def content():
        with node.disk.open("rb") as disk:
            return disk_uuid(node), disk.read(size)

    before = content()
    said = node.refuses([FAILURE], *words)
    expect("in use" in said and str(node.disk) in said, f"{words} on a disk in use: {said}")
    expect(content() == before, f"{words}: the disk in use was written to")
    step(f"{' '.join(words)}: {said.strip().splitlines()[0]}")


def disks():
    """create-md, wipe-md, dump-md and up look before they write."""
    with Cluster() as cluster:
        alpha, beta = cluster.nodes
        for size in (4096, 0):
            os.truncate(alpha.disk, size)
            refused(alpha, FAILURE, "the device is too small", "create-md", "r0", "--force")
        os.truncate(alpha.disk, 64 * MIB)
        tool("mkfs.ext4", "-q", "-F", alpha.disk)
        refused(alpha, FAILURE, "ext4 file system", "create-md", "r0")
        refused(alpha, FAILURE, NOTHING_FOUND, "dump-md", "r0")
        alpha.do("create-md", "r0", "--force")
        refused(alpha, FAILURE, "Lockstep metadata", "create-md", "r0")
        alpha.do("dump-md", "r0")

        cluster.gamma.start()
        beta.do("create-md", "r0")
        for node in cluster.nodes:
            node.start()
            node.do("up", "r0")
        refused_in_use(alpha, "create-md", "r0", "--force")
        refused_in_use(alpha, "wipe-md", "r0", "--force")
        for node in cluster.nodes:
            node.do("down", "r0")
        alpha.do("wipe-md", "r0", "--force")
        refused(alpha, FAILURE, NOTHING_FOUND, "dump-md", "r0")
        refused(alpha, NO_DISK, NOTHING_FOUND, "up", "r0")
        alpha.disk.unlink()
        refused(alpha, NO_DISK, "No such file", "create-md", "r0")
        refused(alpha, NO_DISK, "it does not exist", "up", "r0")
        expect(alpha.daemon.alive() and beta.daemon.alive(), "a daemon ended")


def look_at_device(cluster, node, device):
    """A block device in use, one with a mounted file system, one with a file system on it: each is told apart."""
    node.disk = device
    cluster.write_config()
    tool("mkfs.ext4", "-q", "-F", device)
    mounted = cluster.directory / "mounted"
    mounted.mkdir()
    tool("mount", device, mounted)
    try:
        for words in (["create-md", "r0"], ["create-md", "r0", "--force"], ["wipe-md", "r0", "--force"]):
            said = node.refuses([FAILURE], *words)
            expect("in use" in said and str(device) in said, f"{words} on a mounted device: {said}")
    finally:
        tool("umount", mounted)
    said = node.refuses([FAILURE], "create-md", "r0")
    expect("ext4 file system" in said and "--force" in said, f"the file system isn't named: {said}")
    holder = os.open(device, os.O_RDWR | os.O_EXCL)
    said = node.refuses([FAILURE], "create-md", "r0", "--force")
    expect("in use" in said, f"a device that another process has: {said}")
    os.close(holder)
    node.do("create-md", "r0", "--force")
    node.start()
    holder = os.open(device, os.O_RDWR | os.O_EXCL)
    said = node.refuses([NO_DISK], "up", "r0")
    expect("in use" in said and str(device) in said, f"up on a device that another process has: {said}")
    os.close(holder)
    node.do("up", "r0")
    node.do("down", "r0")
    step("a block device: mounted, in use, with a file system")


def disks_in_use():
    """A disk that somebody else has is neither made ours nor brought up; once it is free it is taken."""
    with Cluster() as cluster:
        alpha, beta = cluster.nodes
        with alpha.disk.open("r+b") as holder:
            fcntl.flock(holder, fcntl.LOCK_EX)
            said = alpha.refuses([FAILURE], "create-md", "r0", "--force")
            expect("in use" in said and str(alpha.disk) in said, f"create-md on a locked file: {said}")
        alpha.do("create-md", "r0")
        alpha.start()
        with alpha.disk.open("r+b") as holder:
            fcntl.flock(holder, fcntl.LOCK_EX)
            said = alpha.refuses([NO_DISK], "up", "r0")
            expect("in use" in said and str(alpha.disk) in said, f"up on a locked file: {said}")
        alpha.do("up", "r0")
        beta.disk = alpha.disk
        cluster.write_config()
        beta.start()
        said = beta.refuses([NO_DISK], "up", "r0")
        expect("in use" in said, f"a second daemon on one disk: {said}")
        expect(alpha.role() == "Secondary", "alpha was disturbed")
        step(f"a file: locked, or another daemon's: {said.splitlines()[0]}")
        beta.daemon.stop()
        loop = tool("losetup", "--find", "--show", "--sector-size", "512", spare_file(cluster), check=False)
        if loop.returncode != 0:
            step("no loop devices here: block devices are left out")
            return
        try:
            look_at_device(cluster, beta, Path(loop.stdout.strip()))
        finally:
            beta.daemon.stop()
            tool("losetup", "--detach", loop.stdout.strip())


def spare_file(cluster):
    spare = cluster.directory / "spare"
    with spare.open("wb") as file:
        file.truncate(64 * MIB)
    return spare


# What an operator types by mistake, the exit status, and what the message has to name. r0 is up, and nothing else.
SLIPS = [
    (["down", "r00"], BAD_CONFIGURATION, "r00"),
    (["up", "r00"], BAD_CONFIGURATION, "r0"),
    (["up", "r0/7"], BAD_CONFIGURATION, "volume 7"),
    (["down", "r0/7"], BAD_CONFIGURATION, "volume 7"),
    (["role", "r0/1"], BAD_CONFIGURATION, "volume 1"),
    (["primary", "r0/1"], BAD_CONFIGURATION, "volume 1"),
    (["disconnect", "r0:alpha"], BAD_CONFIGURATION, "alpha"),
    (["connect", "r0:gamma"], BAD_CONFIGURATION, "gamma"),
    (["cstate", "r0:delta"], BAD_CONFIGURATION, "delta"),
    (["invalidate-remote", "r0:delta"], BAD_CONFIGURATION, "delta"),
    (["wait-sync", "r0/7"], BAD_CONFIGURATION, "volume 7"),
    (["status", "r0/7"], BAD_CONFIGURATION, "volume 7"),
    (["dump", "r0/7"], BAD_CONFIGURATION, "volume 7"),
    (["down", "r0:beta"], 1, "no peer"),
    (["primary", "r0:beta"], 1, "no peer"),
    (["secondary", "r0:alpha"], 1, "no peer"),
    (["invalidate", "r0:beta"], 1, "no peer"),
    (["create-md", "--force", "r0:beta"], 1, "no peer"),
    (["wait-connect", "r0:delta"], 1, "no peer"),
    (["status", "r0:gamma"], 1, "no peer"),
    (["status", "r0", "--verbose"], 1, "--verbose"),
    (["detach", "r00"], FAILURE, "lockstep up r00"),
    (["outdate", "r0"], NO_DATA, "belongs to no set"),
    (["attach", "r1"], FAILURE, "lockstep up r1"),
    (["connect", "r0", "--discard-my-data"], REFUSED, "Run connect on both nodes first"),
    (["primary", "r1"], FAILURE, "lockstep up r1"),
    (["wait-sync", "r1"], FAILURE, "lockstep up r1"),
    (["primary"], 1, "needs a resource"),
    (["primary", "r0", "r0"], 1, "one word too many"),
    (["primary", "-f", "r0"], 1, "no option -f"),
    (["primary", "--forc", "r0"], 1, "no option --forc"),
    (["primray", "r0"], 1, "primary"),
    (["role", "r0/x"], 1, "r0/x"),
    (["wait-sync", "r0", "--timeout", "soon"], 1, "soon"),
    (["explain", "r0", "everything"], 1, "everything"),
    (["new-current-uuid", "r0"], 1, "--clear-bitmap"),
]


def slips():
    """Misspelt and misplaced words act on nothing, end with the contract's status and name what is wrong."""
    with Cluster() as cluster:
        alpha = cluster.alpha
        cluster.gamma.start()
        alpha.do("create-md", "r0")
        alpha.start()
        for word in ("primary", "wait-sync", "role"):
            expect("up" in alpha.refuses([FAILURE], word, "all"), f"{word} all, with nothing up")
        alpha.do("down", "all")
        alpha.do("up", "r0")
        wait_until(lambda: "gamma witness answers:yes" in alpha.do("status", "r0"), "gamma to answer")
        before = alpha.do("status", "r0")
        for words, status, named in SLIPS:
            said = alpha.refuses([status], *words)
            expect(named in said, f"{words}: the message doesn't name '{named}':\n{said}")
        after = alpha.do("status", "r0")
        expect(after == before, f"a slip changed something:\n{before}{after}")
        step(f"{len(SLIPS)} slips")
        taken = socket.create_server(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        beta = cluster.beta
        beta.nbd_port = port
        cluster.write_config()
        beta.do("create-md", "r0")
        beta.start()
        said = beta.refuses([FAILURE], "up", "r0")
        expect(f"127.0.0.1:{port}" in said and "in use" in said, f"the taken address isn't named:\n{said}")
        taken.close()
        beta.do("up", "r0")
        step(f"a taken address is named: {said.splitlines()[0]}")


def changed_configuration():
    """No voter changes by the way, and no Primary is restarted behind its clients' back: refused, and untouched."""
    with Cluster() as cluster:
        alpha, beta = cluster.nodes
        gamma, cluster.gamma = cluster.gamma, None
        cluster.write_config()
        cluster.bring_up(primary=alpha)
        beta.do("down", "r0")
        beta.do("up", "r0")
        alpha.do("wait-sync", "r0", "--timeout", "60")
        tenure = alpha.status()["tenure"]

        cluster.gamma = gamma
        cluster.write_config()
        for node in cluster.nodes:
            said = node.refuses([REFUSED], "up", "r0")
            expect("voters alpha, beta;" in said and "gamma" in said and "adjust" in said, f"the voters aren't named:\n{said}")
        cluster.gamma = None
        cluster.write_config()
        beta.do("up", "r0")

        cluster.net = "ping-int 2;"
        cluster.write_config()
        said = alpha.refuses([REFUSED], "adjust", "r0")
        expect("ping-int" in said and "lockstep secondary r0" in said, f"adjust on a Primary:\n{said}")
        step(f"an option, on the Primary: {said.rstrip()}")
        expect(alpha.role() == "Primary", "alpha is no longer Primary")
        expect(alpha.status()["tenure"] >= tenure, "alpha went back")
        beta.do("adjust", "r0")
        beta.do("adjust", "r0")
        for node in cluster.nodes:
            node.wait_sync()
        alpha.do("secondary", "r0")
        alpha.do("adjust", "r0")
        alpha.promote()
        beta.socket = beta.directory / "other.sock"
        cluster.write_config()
        alpha.do("adjust", "r0")
        beta.do("adjust", "r0")
        path, beta.disk = beta.disk, beta.directory / "mistyped"
        cluster.write_config()
        said = beta.refuses([16, 20], "adjust", "r0")
        expect("runs on as it was configured before" in said, f"a disk that isn't there:\n{said}")
        beta.disk = path
        cluster.write_config()
        alpha.do("wait-sync", "r0", "--timeout", "60")
        expect(alpha.role() == "Primary", "an adjust without a change for this node took the role away")


SCENARIOS = [configuration, changed_configuration, control_socket, disks, disks_in_use, slips]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: refusals.py {'|'.join(chosen)}")
    sys.exit(run(chosen[sys.argv[1]]))
