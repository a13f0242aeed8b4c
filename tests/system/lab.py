"""A cluster on loopback in a directory of its own: two data nodes and a witness, started, hurt and cleaned up.

A test is a function that is given to run(); it raises, or calls skip(), or returns. Only processes that were started
here are ever signalled. Every wait is bounded, generously: a busy machine makes a test slow, not red.
"""

import ctypes
import json
import os
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("LOCKSTEP_BIN_DIR") or ROOT / "build" / "bin").resolve()
LOAD = Path(__file__).resolve().with_name("load.py")
PATIENCE = 90.0  # seconds for anything that should happen soon
MIB = 1 << 20
BLOCK = 4096

os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"  # Debian's python3 has the modules of Debian's packages
_began = time.monotonic()


class LabError(Exception):
    """What a test expected did not happen."""


def set_clock(seconds):
    """Lets step()'s clock begin at so many seconds."""
    global _began
    _began = time.monotonic() - seconds


def step(text):
    print(f"[{time.monotonic() - _began:7.2f}] {text}", flush=True)


def skip(reason):
    print(f"skipped: {reason}", flush=True)
    sys.exit(77)


def expect(condition, text):
    if not condition:
        raise LabError(text)


def wait_until(condition, what, patience=PATIENCE, interval=0.05):
    """Waits until condition() is true; returns its value. `what` completes the sentence 'waited N s for ...'."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise LabError(f"waited {patience:.0f} s for {what}")
        time.sleep(interval)


def tool(*argv, patience=PATIENCE, check=True, **options):
    """Runs a program to its end and returns it with its output; raises if it fails and check is set."""
    argv = [str(word) for word in argv]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=patience,
                              check=False, **options)
    except subprocess.TimeoutExpired as error:
        raise LabError(f"no end after {patience:.0f} s: {' '.join(argv)}") from error
    if check and done.returncode != 0:
        raise LabError(f"exit status {done.returncode}: {' '.join(argv)}\n{done.stdout}{done.stderr}")
    return done


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Process:
    """A program that runs beside the test, with its output in a log."""

    def __init__(self, name, argv, log, outlive=False, user=None):
        self.name, self.argv, self.log = name, [str(word) for word in argv], Path(log)
        self.outlive, self.user = outlive, user
        self.closes = True  # descriptors of this process
        self.child = None
        self.paused = False

    def start(self):
        expect(not self.alive(), f"{self.name} runs already")
        expect(shutil.which(self.argv[0]), f"{self.argv[0]} is missing")
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, user=self.user, close_fds=self.closes,
                group=self.user, extra_groups=[] if self.user else None, cwd="/",
                preexec_fn=None if self.outlive else _die_with_parent)
        self.paused = False
        return self

    def alive(self):
        return self.child is not None and self.child.poll() is None

    @property
    def pid(self):
        return self.child.pid

    def kill(self):
        """SIGKILL, and gone when this returns."""
        if self.alive():
            self.child.kill()
            self.child.wait(PATIENCE)

    def stop(self, patience=PATIENCE):
        """SIGTERM and the exit status; SIGKILL and an error if that takes too long."""
        if self.child is None:
            return 0
        if self.alive():
            self.resume()
            self.child.terminate()
        try:
            return self.child.wait(patience)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise LabError(f"{self.name} did not stop within {patience:.0f} s of SIGTERM") from error

    def pause(self):
        self.child.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        if self.paused and self.alive():
            self.child.send_signal(signal.SIGCONT)
        self.paused = False

    def tail(self, lines=40):
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


_ports_taken = set()


def free_port():
    """A port that nobody uses, outside the range from which the kernel picks ports for outgoing connections."""
    while True:
        port = random.randrange(20000, 32000)
        if port in _ports_taken:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _ports_taken.add(port)
        return port


class Node:
    """One data node: its disk, its lockstepd, and the CLI as seen there."""

    def __init__(self, cluster, index, name, size):
        self.cluster, self.index, self.name = cluster, index, name
        self.directory = cluster.directory / name
        self.directory.mkdir()
        self.run_dir = self.directory / "run"
        self.run_dir.mkdir()
        self.disk = self.directory / "disk"
        with self.disk.open("wb") as disk:
            disk.truncate(size)
        self.meta_disk = "internal"  # or the path of an external one
        self.volumes = {}  # besides volume 0: the path of its disk, by number
        self.more = ""  # in its section
        self.socket = self.directory / "nbd.sock"
        self.address, prefix = cluster.place(name)
        self.port, self.nbd_port = free_port(), free_port()
        self.daemon = Process(name, [*prefix, BIN / "lockstepd", *self.options(), *cluster.daemon_options],
                              self.directory / "log", cluster.outlive)

    def options(self):
        return ["--config", self.cluster.config, "--node", self.name, "--run-dir", self.run_dir]

    def section(self):
        return (f"  on {self.name} {{\n    node-id {self.index};\n    address {self.address}:{self.port};\n"
                f"    nbd unix:{self.socket};\n    nbd 127.0.0.1:{self.nbd_port};\n"
                f"    volume 0 {{ disk {self.disk}; meta-disk {self.meta_disk}; }}\n{self.more}"
                + "".join(f"    volume {number} {{ disk {path}; }}\n" for number, path in self.volumes.items()) + "  }\n")

    def uri(self, export="r0/0", tcp=False):
        if tcp:
            return f"nbd://127.0.0.1:{self.nbd_port}/{export}"
        return f"nbd+unix:///{export}?socket={self.socket}"

    def command(self, *words):
        """The command line of the CLI on this node."""
        return [BIN / "lockstep", *words, *self.options()]

    def cli(self, *words, patience=PATIENCE):
        """The CLI on this node, whatever its exit status."""
        return tool(*self.command(*words), patience=patience, check=False)

    def do(self, *words, patience=PATIENCE):
        """The CLI on this node; it has to succeed."""
        done = self.cli(*words, patience=patience)
        if done.returncode != 0:
            raise LabError(f"{self.name}: lockstep {' '.join(map(str, words))}: exit status {done.returncode}\n"
                           f"{done.stdout}{done.stderr}")
        return done.stdout

    def refuses(self, statuses, *words, patience=PATIENCE):
        """The CLI on this node; it has to fail with one of these exit statuses. Returns what it said."""
        done = self.cli(*words, patience=patience)
        expect(done.returncode in statuses,
               f"{self.name}: lockstep {' '.join(map(str, words))}: exit status {done.returncode}, expected "
               f"{statuses}\n{done.stdout}{done.stderr}")
        expect(done.stderr.strip(), f"{self.name}: lockstep {' '.join(map(str, words))} refused without a word")
        return done.stderr

    def start(self):
        self.daemon.start()
        wait_until(self.answers, f"{self.name}'s daemon to answer")

    def answers(self):
        expect(self.daemon.alive(), f"{self.name}'s daemon ended\n{self.daemon.tail()}")
        return self.cli("status").returncode == 0

    def status(self):
        """`status --json` of the resource, or {} if the daemon doesn't answer."""
        done = self.cli("status", "r0", "--json")
        if done.returncode != 0:
            return {}
        resources = json.loads(done.stdout)
        expect(isinstance(resources, list) and len(resources) == 1, f"status --json: {done.stdout}")
        return resources[0]

    def role(self):
        return self.status().get("role")

    def connection(self):
        """How this node sees its link to the other data node."""
        connections = self.status().get("connections") or [{}]
        return connections[0].get("connection-state")

    def out_of_sync(self):
        """KiB that this node knows to differ on the other data node."""
        connections = self.status().get("connections") or []
        return sum(device.get("out-of-sync") or 0 for link in connections for device in link.get("peer_devices") or [])

    def sent(self):
        """Bytes that this node's daemon has sent to its peer over the connections that are open now."""
        return sum(self.sent_by_connection().values())

    def sent_by_connection(self):
        ports = {self.port, self.cluster.peer(self).port}
        lines = tool("ss", "-tinpH").stdout.splitlines()
        sent = {}
        for head, detail in zip(lines, lines[1:]):
            ends = {int(word.rsplit(":", 1)[1]) for word in head.split()[3:5]} if f"pid={self.daemon.pid}," in head else set()
            found = re.search(r"bytes_sent:(\d+)", detail)
            if ends & ports and found:
                sent[tuple(sorted(ends))] = int(found[1])
        return sent

    def promote(self, patience=PATIENCE):
        """Asks to become Primary until that is granted; returns the seconds it took."""
        began = time.monotonic()
        last = None

        def granted():
            nonlocal last
            last = self.cli("primary", "r0")
            return last.returncode == 0

        try:
            wait_until(granted, f"{self.name} to become Primary", patience, 0.1)
        except LabError as error:
            raise LabError(f"{error}; its last answer ({last.returncode}):\n{last.stdout}{last.stderr}") from error
        return time.monotonic() - began

    def wait_sync(self, patience=PATIENCE):
        self.do("wait-sync", "r0", "--timeout", int(patience), patience=patience + 30)


def scratch_in_memory():
    """Where files are quickly made and removed: a roomy tmpfs that takes direct I/O (Linux 6.6 and later), if there is one."""
    place = "/dev/shm"
    try:
        room = os.statvfs(place)
        with tempfile.NamedTemporaryFile(dir=place) as probe:
            os.close(os.open(probe.name, os.O_RDWR | os.O_DIRECT))
    except OSError:
        return None
    return place if room.f_bavail * room.f_frsize >= 2048 * MIB else None


class Cluster:
    """`with Cluster() as cluster:` gives alpha, beta (and delta, a third one) and the witness gamma, configured and not started."""

    def __init__(self, size=64 * MIB, sizes=None, witness=True, options="", net="", directory=None, outlive=False,
                 network=None, on_disk=False, daemon_options=(), third=False, protocol="C"):
        self.outlive = outlive
        self.daemon_options = daemon_options
        self.network = network
        place = None if on_disk or "TMPDIR" in os.environ else scratch_in_memory()
        self.directory = Path(directory or tempfile.mkdtemp(prefix="lockstep-", dir=place))
        self.directory.mkdir(exist_ok=True)
        self.directory.chmod(0o755)
        self.options, self.net, self.protocol = options, net, protocol
        self.secret = self.directory / "secret"
        self.secret.touch(0o600)
        self.secret.write_text(secrets.token_hex(32) + "\n", encoding="ascii")
        self.config = self.directory / "lockstep.conf"
        self.connections = ""  # sections; "": implied
        names = ["alpha", "beta"] + (["delta"] if third else [])
        sizes = sizes or [size] * len(names)
        self.nodes = [Node(self, index, name, sizes[index]) for index, name in enumerate(names)]
        self.alpha, self.beta = self.nodes[:2]
        self.others = []
        self.gamma = None
        if witness:
            host, prefix = self.place("gamma")
            self.witness_address = f"{host}:{free_port()}"
            self.witness_state = self.directory / "gamma"
            self.witness_state.mkdir()
            self.gamma = Process(
                "gamma", [*prefix, BIN / "lockstep-witness", "--listen", self.witness_address,
                          "--state-dir", self.witness_state], self.directory / "gamma.log", outlive)
        self.write_config()

    def write_config(self):
        gamma = f"  witness gamma {{ address {self.witness_address}; }}\n" if self.gamma else ""
        self.config.write_text(
            "resource r0 {\n"
            f"  options {{ quorum majority; on-no-quorum suspend-io; {self.options} }}\n"
            f"  net {{ protocol {self.protocol}; shared-secret-file {self.secret}; {self.net} }}\n"
            + "".join(node.section() for node in self.nodes) + gamma + self.connections + "}\n", encoding="utf-8")

    def add_volume(self, number, size):
        """A disk for one more volume on every node. To be called before bring_up."""
        for node in self.nodes:
            path = node.directory / f"disk-{number}"
            with path.open("wb") as disk:
                disk.truncate(size)
            node.volumes[number] = path
        self.write_config()

    def place(self, name):
        """Where a program of that name runs: its address, and what to put before its command line."""
        return self.network.place(name) if self.network else ("127.0.0.1", [])

    def peer(self, node):
        return self.nodes[1 - node.index]

    def processes(self):
        return [node.daemon for node in self.nodes] + ([self.gamma] if self.gamma else []) + self.others

    def spawn(self, name, *argv, user=None):
        process = Process(name, argv, self.directory / f"{name}.log", self.outlive, user)
        self.others.append(process)
        return process.start()

    def bring_up(self, primary=None, create=()):
        """From nothing to UpToDate disks without an initial copy; `primary` is promoted if given. `create`: options of create-md."""
        if self.gamma:
            self.gamma.start()
        for node in self.nodes:
            node.do("create-md", *create, "r0")
            node.start()
            node.do("up", "r0")
        for node in self.nodes:
            node.do("wait-connect", "r0", "--timeout", "60")
        self.alpha.do("new-current-uuid", "--clear-bitmap", "r0")
        for node in self.nodes:
            node.wait_sync()
        if primary:
            primary.promote()

    def rejoin(self, node):
        """Starts a node's daemon again and brings its resource up."""
        node.start()
        node.do("up", "r0")

    def compare_disks(self, size):
        """All data areas have to be the same, byte by byte. Nothing may be writing."""
        for node in self.nodes[1:]:
            done = tool("cmp", "-n", size, self.alpha.disk, node.disk, check=False)
            expect(done.returncode == 0, f"the copies differ: {done.stdout}{done.stderr}")

    def close(self, failed):
        trouble = []
        for process in self.processes():
            process.resume()
        for process in self.others + [node.daemon for node in self.nodes] + ([self.gamma] if self.gamma else []):
            stopped = process.child is not None and not process.alive()
            status = process.child.returncode if stopped else 0
            if status not in (0, -signal.SIGKILL) and process not in self.others:
                trouble.append(f"{process.name} had ended with status {status}")
            try:
                if process.stop(30) not in (0, -signal.SIGKILL) and process not in self.others and not stopped:
                    trouble.append(f"{process.name} ended with status {process.child.returncode} at SIGTERM")
            except LabError as error:
                trouble.append(str(error))
        if failed or trouble:
            for process in self.processes():
                print(f"--- {process.name}: the end of its log\n{process.tail()}", file=sys.stderr)
        if not os.environ.get("LOCKSTEP_KEEP"):
            shutil.rmtree(self.directory, ignore_errors=True)
        if trouble and not failed:
            raise LabError("; ".join(trouble))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close(kind is not None)


def client_of(node, export="r0"):
    """A libnbd handle on an export of a Primary."""
    import nbd  # not everybody who uses this module has it
    handle = nbd.NBD()
    handle.connect_uri(node.uri(export))
    return handle


def flip(path, block):
    """One bit of a block, behind everybody's back."""
    place = block * BLOCK + random.randrange(BLOCK)
    with path.open("r+b", buffering=0) as disk:
        disk.seek(place)
        byte = disk.read(1)[0]
        disk.seek(place)
        disk.write(bytes([byte ^ 1 << random.randrange(8)]))


class Writer:
    """load.py as a process of its own: random 4 KiB writes at queue depth 32, with a log of what was answered."""

    def __init__(self, cluster, name, uris, blocks, seconds=600, **options):
        self.log = cluster.directory / f"{name}.acks"
        self.output = cluster.directory / f"{name}.log"
        words = [word for uri in uris for word in ("--uri", uri)]
        words += [word for key, value in options.items() for word in (f"--{key}", value)]
        self.process = cluster.spawn(name, "/usr/bin/python3", LOAD, "write", "--log", self.log, "--blocks", blocks,
                                     "--seconds", seconds, *words)

    def answered(self):
        """Roughly how many writes have been answered so far."""
        return self.log.stat().st_size // 26 if self.log.exists() else 0

    def wait_for(self, count):
        def enough():
            expect(self.process.alive(), f"the writer ended\n{self.process.tail()}")
            return self.answered() >= count
        wait_until(enough, f"{count} answered writes")

    def finish(self, patience=PATIENCE):
        """Waits for its end (it ends by itself when it loses its connection) and returns its summary."""
        wait_until(lambda: not self.process.alive(), "the writer to end", patience)
        expect(self.process.child.returncode == 0, f"the writer failed\n{self.process.tail()}")
        return json.loads(self.output.read_text(encoding="utf-8").splitlines()[-1])

    def stop(self):
        """Ends it: no new writes, the outstanding ones are waited for."""
        if self.process.alive():
            self.process.child.terminate()
        return self.finish()


def check_writes(cluster, uri, blocks, logs, patience=300, baseline="baseline"):
    """load.py as a checker of its own: every block holds an allowed version. Returns its summary."""
    baseline = cluster.directory / baseline
    words = [word for log in logs for word in ("--log", log)]
    done = tool("/usr/bin/python3", LOAD, "check", "--uri", uri, "--blocks", blocks, "--baseline", baseline, *words,
                patience=patience)
    return json.loads(done.stdout.splitlines()[-1])


def run(test):
    """Runs a test's main function with a clean end on signals."""
    def ended(number, _frame):
        raise LabError(f"ended by {signal.Signals(number).name}")

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, ended)
    try:
        test()
    except LabError as error:
        step(f"FAILED: {error}")
        sys.exit(1)
    step("passed")
