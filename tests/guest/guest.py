"""A guest: a small Linux under emulation, whose kernel uses our exports. The host's loopback is its 10.0.2.2.

`with Guest(cluster, "name") as guest:` boots it; guest.run("command") runs a line of shell in it. build_image.py makes what it boots.
"""

import os
import re
import shlex
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

from lab import PATIENCE, ROOT, LabError, expect, step, wait_until  # noqa: E402

IMAGE = Path(os.environ.get("LOCKSTEP_GUEST_DIR") or ROOT / "build" / "guest").resolve()
HOST = "10.0.2.2"
BOOT_PATIENCE = 150
# What the guest's kernel says when it gave a file system or a program an error. (That a processor got no turn for long is no error.)
TROUBLE = re.compile(r"I/O error|EXT4-fs (error|warning|\(.*\): (error|warning))|[Aa]borting journal|[Rr]emount.*read-only|lost .*write")


class Guest:
    def __init__(self, cluster, name="guest"):
        self.cluster, self.name = cluster, name
        self.console = cluster.directory / f"{name}.console"  # what its kernel says
        self.acks = cluster.directory / f"{name}.acks"  # what its programs write to /dev/ttyS2
        self.line = None
        self.process = None

    def __enter__(self):
        for part in ("vmlinuz", "initramfs"):
            expect((IMAGE / part).exists(), f"{IMAGE / part} is missing: run tests/install guest, then the test guest/image")
        path = self.cluster.directory / f"{self.name}.line"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            listener.settimeout(PATIENCE)
            self.process = self.cluster.spawn(
                self.name, "qemu-system-x86_64", "-no-user-config", "-nodefaults", "-display", "none", "-no-reboot",
                "-machine", "pc", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "256",
                "-kernel", IMAGE / "vmlinuz", "-initrd", IMAGE / "initramfs",
                "-append", "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on",
                "-serial", f"file:{self.console}", "-serial", f"unix:{path}", "-serial", f"file:{self.acks}",
                "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=")
            try:
                self.line = listener.accept()[0]
            except TimeoutError as error:
                raise LabError(f"QEMU did not start\n{self.process.tail()}") from error
        step(f"{self.name} is {self.read_line(BOOT_PATIENCE)}")
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            self.tell_more()
            for what, path in (("its console", self.console), ("what its programs said", self.acks)):
                text = path.read_text(errors="replace") if path.exists() else ""
                print(f"--- {self.name}: {what}\n" + "\n".join(text.splitlines()[-40:]), file=sys.stderr)
        if self.line:
            self.line.close()
        if self.process:
            self.process.kill()

    def tell_more(self):
        """For whoever looks for the cause of a failure: what was begun and how it ended, and where processes wait."""
        try:
            print(self.attempt("cd /tmp; tail -n 15 *.out *.status; cat /proc/[0-9]*/stack | grep -E '(nbd|blk_mq|ext4|jbd2|netlink)_'; dmesg | tail -n 40", 20)[1], file=sys.stderr)
        except (LabError, OSError) as error:
            print(f"{self.name} cannot be asked: {error}", file=sys.stderr)

    def read(self, count):
        data = b""
        while len(data) < count:
            try:
                more = self.line.recv(count - len(data))
            except TimeoutError as error:
                raise LabError(f"{self.name} says nothing more; so far {data!r}") from error
            expect(more, f"{self.name} ended\n{self.process.tail()}")
            data += more
        return data

    def read_line(self, patience):
        self.line.settimeout(patience)
        text = b""
        while not text.endswith(b"\n"):
            text += self.read(1)
        return text.decode("utf-8", "replace").strip()

    def attempt(self, command, patience=PATIENCE):
        """Runs a line of shell; returns its exit status and what it printed."""
        expect("\n" not in command and len(command) < 2000, f"not a short line: {command}")
        self.line.sendall(command.encode() + b"\n")
        answer = self.read_line(patience)
        found = re.fullmatch(r"(\d+) (\d+)", answer)
        expect(found, f"{self.name} answers {answer!r}")
        return int(found[1]), self.read(int(found[2])).decode("utf-8", "replace")

    def run(self, command, patience=PATIENCE):
        """The same; it has to succeed. Returns what it printed."""
        status, said = self.attempt(command, patience)
        expect(status == 0, f"{self.name}: {command}: exit status {status}\n{said}")
        return said

    def begin(self, name, command, output=None):
        """Runs a command in the background, with its output in a file; ended() tells its exit status."""
        output = output or f"/tmp/{name}.out"
        inner = f"{command} >{output} 2>&1; echo $? >/tmp/{name}.new; mv /tmp/{name}.new /tmp/{name}.status"
        self.run(f"rm -f /tmp/{name}.status; : >{output}; sh -c {shlex.quote(inner)} >/dev/null 2>&1 &")

    def ended(self, name):
        """The exit status of what was begun, or None."""
        status, said = self.attempt(f"cat /tmp/{name}.status")
        return int(said) if status == 0 else None

    def finish(self, name, patience=PATIENCE):
        """Waits until what was begun has ended, with success; returns what it printed to its file."""
        status = []

        def over():
            status[:] = [self.ended(name)]
            return status[0] is not None

        wait_until(over, f"{name} to end in {self.name}", patience, 0.2)
        said = self.attempt(f"cat /tmp/{name}.out")[1]
        expect(status[0] == 0, f"{self.name}: {name} ended with exit status {status[0]}\n{said}")
        return said

    def attach(self, index, ports, export="r0", request_timeout=5, dead_conn_timeout=600, connections=2):
        """Gives it /dev/nbdINDEX, with a new connection for each that dies."""
        addresses = " ".join(f"{HOST}:{port}" for port in ports)
        words = f"{index} {request_timeout} {dead_conn_timeout} {connections} {export} {addresses}"
        self.begin(f"attach{index}", "sh -c " + shlex.quote(f"echo $$ >/tmp/attach{index}.pid; exec guest-attach {words}"))
        wait_until(lambda: "attached" in self.attached(index), f"/dev/nbd{index} to be there", interval=0.2)

    def attached(self, index):
        """What guest-attach said."""
        said = self.run(f"cat /tmp/attach{index}.out")
        expect(self.ended(f"attach{index}") is None, f"guest-attach ended\n{said}")
        return said

    def detach(self, index):
        self.run(f"kill $(cat /tmp/attach{index}.pid)")
        self.run(f"guest-attach detach {index}")

    def trouble(self):
        """The lines of its kernel that speak of errors."""
        return [text for text in self.run("dmesg").splitlines() if TROUBLE.search(text)]
