#!/usr/bin/python3
"""A client that gives up: the kernel's has a time-out of 3 s, and a write stalls for 12. It sends A again by other connections until A
is answered, then B, which is flushed. The first A, late, must not land over B: not for a reader, and not on any copy.

What stalls: a Primary without quorum (A has then reached the core as often as it was sent), its daemon (A lies in two sockets), its
peer (whose A is late; the Primary goes on before the client gives up), and the daemon while the other node takes over. A server
that runs whatever it has got is shown first to the same guest: there A does come back, so the comparison can see it.
"""

import sys
import time

from guest import Guest
from lab import BLOCK, MIB, Cluster, LabError, expect, free_port, run, step, tool, wait_until

TIMEOUT, STALL = 3, 12
OURS, NAIVE = 0, 1  # devices of the guest
GIVEN_UP = 2  # connections, within a stall: A has been sent as often by then


class NaiveServer:
    """Makes each change as it comes, and the first one of a block full of A when it is let go, whoever still waits for it."""

    def __init__(self, cluster):
        self.store = cluster.directory / "naive"
        self.begun, self.let_go, self.landed = [cluster.directory / f"naive.{what}" for what in ("begun", "let-go", "landed")]
        with self.store.open("wb") as file:
            file.truncate(MIB)
        write = f"dd of={self.store} oflag=seek_bytes conv=notrunc seek=$4 bs={MIB} iflag=fullblock status=none"
        late = (f"data=$(head -c $3); case $data in A*) mkdir {self.begun} 2>/dev/null && late=1;; esac; "
                f"while [ \"$late\" ] && [ ! -e {self.let_go} ]; do sleep 0.1; done; printf %s \"$data\" | {write}; if [ \"$late\" ]; then touch {self.landed}; fi")
        self.port = free_port()
        self.process = cluster.spawn(
            "naive-server", "nbdkit", "-f", "-i", "127.0.0.1", "-p", self.port, "eval", f"get_size=echo {MIB}",
            "thread_model=echo parallel", "can_write=exit 0", "can_flush=exit 0", "flush=exit 0", f"pwrite={late}",
            f"pread=dd if={self.store} iflag=skip_bytes,count_bytes skip=$4 count=$3 bs={MIB} status=none")


class Stalled:
    """The story, told of one block of one device."""

    def __init__(self, guest, device, block):
        self.guest, self.device, self.block = guest, device, block
        self.before = self.given_up()

    def given_up(self):
        """How many connections the guest's kernel has had no patience with."""
        return self.guest.run(f"dmesg | grep 'nbd{self.device}: Connection timed out' || true").count("\n")

    def write(self, what):
        return (f"dd if=/tmp/{what} of=/dev/nbd{self.device} bs={BLOCK} count=1 seek={self.block} oflag=direct "
                "conv=notrunc,fsync")

    def begin(self):
        """A is on its way."""
        self.began = time.monotonic()
        self.guest.begin(f"write{self.device}", self.write("A"))

    def wait_for_given_up(self, count):
        wait_until(lambda: self.given_up() >= self.before + count, f"{count} connections to be given up", interval=0.2)

    def wait_for_resent(self):
        """It has been sent again, and the stall has been long enough."""
        self.wait_for_given_up(GIVEN_UP)
        expect(self.guest.ended(f"write{self.device}") is None, "A was answered in spite of all")
        time.sleep(max(0.0, self.began + STALL - time.monotonic()))

    def overwrite(self):
        """A is answered at last; then B is written, and flushed."""
        self.guest.finish(f"write{self.device}")
        took = time.monotonic() - self.began
        self.guest.run(self.write("B"))
        step(f"nbd{self.device}: A was answered after {took:.1f} s, for which {self.given_up() - self.before} connections were given up; "
             "then B")

    def must_be_new(self):
        said = self.guest.run(f"dd if=/dev/nbd{self.device} bs={BLOCK} count=1 skip={self.block} iflag=direct status=none")
        expect(said == "B" * BLOCK, f"nbd{self.device} has {said[:8]!r} where B was answered and flushed")


def no_quorum(cluster, guest):
    alpha, beta = cluster.nodes
    story = Stalled(guest, OURS, 10)
    beta.daemon.pause()
    cluster.gamma.pause()
    story.begin()
    story.wait_for_resent()
    expect(alpha.status().get("suspended"), f"the Primary is not frozen: {alpha.status()}")
    beta.daemon.resume()
    cluster.gamma.resume()
    story.overwrite()
    return story


def peer_hangs(cluster, guest):
    story = Stalled(guest, OURS, 20)
    cluster.beta.daemon.pause()
    story.begin()
    story.overwrite()  # the Primary goes on without its peer, after a while
    time.sleep(max(0.0, story.began + STALL - time.monotonic()))
    story.must_be_new()
    cluster.beta.daemon.resume()
    return story


def daemon_hangs(cluster, guest):
    story = Stalled(guest, OURS, 40)
    cluster.alpha.daemon.pause()
    story.begin()
    story.wait_for_resent()
    cluster.alpha.daemon.resume()
    story.overwrite()
    return story


def taken_over(cluster, guest):
    alpha, beta = cluster.nodes
    story = Stalled(guest, OURS, 30)
    alpha.daemon.pause()
    story.begin()
    story.wait_for_given_up(1)
    beta.promote()
    story.overwrite()
    story.must_be_new()
    time.sleep(max(0.0, story.began + STALL - time.monotonic()))
    alpha.daemon.resume()
    return story


def levelled(cluster):
    for node in cluster.nodes:
        node.wait_sync()


def naive_is_seen_through(naive, control):
    control.must_be_new()
    naive.let_go.touch()
    wait_until(naive.landed.exists, "the late write of the naive server")
    try:
        control.must_be_new()
    except LabError as error:
        step(f"so it is noticed: {error}")
        return
    raise LabError("the naive server's old write is not noticed")


def test():
    with Cluster() as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        naive = NaiveServer(cluster)
        with Guest(cluster) as guest:
            for what in "AB":
                guest.run(f"dd if=/dev/zero bs={BLOCK} count=1 status=none | tr '\\0' {what} >/tmp/{what}")
            guest.attach(OURS, [node.nbd_port for node in cluster.nodes], request_timeout=TIMEOUT)
            guest.attach(NAIVE, [naive.port], "naive", request_timeout=TIMEOUT, connections=1)

            control = Stalled(guest, NAIVE, 10)
            control.begin()
            control.overwrite()
            naive_is_seen_through(naive, control)

            stories = []
            for scenario in (no_quorum, daemon_hangs, peer_hangs, taken_over):
                step(scenario.__name__)
                stories.append(scenario(cluster, guest))
                levelled(cluster)
            for story in stories:
                story.must_be_new()
            trouble = guest.trouble()
            expect(not trouble, "the guest's kernel met errors:\n" + "\n".join(trouble))
            guest.detach(NAIVE)
            guest.detach(OURS)
        size = int(tool("nbdinfo", "--size", beta.uri("r0")).stdout)
        beta.do("secondary", "r0")
        cluster.compare_disks(size)
        for node in cluster.nodes:
            with node.disk.open("rb") as disk:
                for story in stories:
                    disk.seek(story.block * BLOCK)
                    expect(disk.read(BLOCK) == b"B" * BLOCK, f"{node.name}'s copy has something old in block {story.block}")
        step("B stays, on every copy")


if __name__ == "__main__":
    sys.exit(run(test))
