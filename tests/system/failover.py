#!/usr/bin/python3
"""Nodes that die, pause, are cut off, come back: failover.py SCENARIO (each is a function below)."""

import json
import shutil
import sys
import time

import nbd

from lab import BLOCK, MIB, Cluster, Writer, check_writes, expect, run, step, tool, wait_until

BLOCKS = 4096  # what the loads write to; the disks are larger
REFUSED, WAITED, NO_GOOD_DATA = 11, 5, 17


class Client:
    """A client whose requests may be left waiting."""

    def __init__(self, uri):
        self.handle = nbd.NBD()
        self.handle.connect_uri(uri)

    def write(self, offset, byte):
        return self.handle.aio_pwrite(nbd.Buffer.from_bytearray(bytearray([byte]) * BLOCK), offset)

    def read(self, offset):
        return self.handle.aio_pread(nbd.Buffer(BLOCK), offset)

    def outcome(self, cookie, seconds):
        """'done', 'failed' or 'waiting' after at most so many seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if self.handle.aio_command_completed(cookie):
                    return "done"
                if self.handle.poll(100) < 0:
                    return "failed"
            except nbd.Error:
                return "failed"
        return "waiting"


def export_size(node):
    return int(tool("nbdinfo", "--size", node.uri("r0")).stdout)


def write_through(node, offset, byte):
    """One write by a client of its own; it has to succeed."""
    tool("nbdsh", "-u", node.uri("r0"), "-c", f"h.pwrite(bytes([{byte}]) * {BLOCK}, {offset})")


def byte_at(node, offset):
    return int(tool("nbdsh", "-u", node.uri("r0"), "-c", f"print(h.pread({BLOCK}, {offset})[0])").stdout)


def level_and_compare(cluster, size):
    for node in cluster.nodes:
        node.wait_sync()
    cluster.compare_disks(size)
    step("copies identical")


def no_witness():
    """Two nodes and nothing else: the one that is left over is not promoted, and says why."""
    with Cluster(witness=False) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        write_through(alpha, 0, 1)
        alpha.daemon.kill()
        wait_until(lambda: beta.connection() != "Connected", "beta to notice")
        for _ in range(3):
            said = beta.refuses([REFUSED], "primary", "r0")
            time.sleep(2)
        step(f"beta refuses:\n{said.rstrip()}")
        expect("r0: State change failed: (-25) No quorum" in said, "the refusal isn't in DRBD's words")
        expect("alpha" in said and "of 2 voters" in said, "the reason names neither the missing voter nor the count")
        expect(beta.role() == "Secondary", "beta is not Secondary")
        cluster.rejoin(alpha)
        for node in cluster.nodes:
            node.do("wait-connect", "r0", "--timeout", "60")
        beta.promote()
        expect(byte_at(beta, 0) == 1, "beta lacks the write")
        size = export_size(beta)
        level_and_compare(cluster, size)
        beta.do("secondary", "r0")


def cut_off():
    """A Primary without peer and witness freezes, fails nothing, and goes on when either is back."""
    with Cluster() as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        client = Client(alpha.uri("r0"))
        expect(client.outcome(client.write(0, 1), 60) == "done", "the first write")
        for byte, back, name in [(2, cluster.gamma, "the witness"), (3, beta.daemon, "the peer")]:
            beta.daemon.pause()
            cluster.gamma.pause()
            time.sleep(5)  # longer than the lease of 3 s, so that nothing may be answered any more
            write = client.write(byte * BLOCK, byte)
            expect(client.outcome(write, 4) == "waiting", "a write was answered without peer, witness and lease")
            read = client.read(0)
            expect(client.outcome(read, 2) == "waiting", "a read was answered without a lease")
            state = alpha.status()
            expect(state.get("suspended"), f"status doesn't say suspended: {state}")
            step(f"frozen; suspended: {state.get('suspended')}, reason: {state.get('reason')}")
            back.resume()
            began = time.monotonic()
            expect(client.outcome(write, 90) == "done", f"the write did not go on when {name} was back")
            expect(client.outcome(read, 90) == "done", f"the read did not go on when {name} was back")
            step(f"{name} is back; the write that waited is done after {time.monotonic() - began:.2f} s")
            beta.daemon.resume()
            cluster.gamma.resume()
            for node in cluster.nodes:
                node.wait_sync()
        expect(alpha.role() == "Primary", "alpha is not Primary any more")
        expect([byte_at(alpha, byte * BLOCK) for byte in (2, 3)] == [2, 3], "what was read back is wrong")
        client.handle.shutdown()
        level_and_compare(cluster, size)


def paused_primary():
    """A Primary that was paused past its lease and replaced answers nothing when it wakes up."""
    with Cluster() as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        client, reader = Client(alpha.uri("r0")), Client(alpha.uri("r0"))
        expect(client.outcome(client.write(0, 1), 60) == "done", "the first write")
        alpha.daemon.pause()
        write = client.write(BLOCK, 2)
        client.handle.poll(100)
        read = reader.read(0)
        reader.handle.poll(100)
        step(f"alpha paused; beta Primary after {beta.promote():.2f} s")
        write_through(beta, 0, 3)
        expect(byte_at(beta, 0) == 3, "beta's write")
        alpha.daemon.resume()
        expect(client.outcome(write, 60) == "failed", "alpha answered a write after it was replaced, or not at all")
        expect(reader.outcome(read, 60) == "failed", "alpha answered a read after it was replaced, or not at all")
        wait_until(lambda: alpha.role() == "Secondary", "alpha to be Secondary")
        step("alpha failed both requests that waited and is Secondary")
        expect(tool("nbdinfo", alpha.uri("r0"), check=False).returncode != 0, "alpha lets clients in")
        level_and_compare(cluster, size)
        expect(byte_at(beta, 0) == 3, "beta's write after alpha came back")


def both_down():
    """Both daemons killed, and back in either order; the first one back is promoted with the witness's vote."""
    with Cluster() as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        byte = 0
        primary = alpha
        for first, end in [(alpha, "kill"), (beta, "kill"), (alpha, "stop"), (beta, "stop")]:
            byte += 1
            write_through(primary, byte * BLOCK, byte)
            # The Primary first: a Primary that sees its peer leave goes on without it, and then only its copy is good.
            for node in [primary, cluster.peer(primary)]:
                getattr(node.daemon, end)()
            cluster.rejoin(first)
            seconds = first.promote()
            expect([byte_at(first, old * BLOCK) for old in range(1, byte + 1)] == list(range(1, byte + 1)),
                   "an acknowledged write is lost")
            second = cluster.peer(first)
            cluster.rejoin(second)
            step(f"both down ({end}); {first.name} first, Primary after {seconds:.2f} s")
            level_and_compare(cluster, size)
            primary = first


def stale_copy():
    """A node that missed writes is not promoted while the only good copy is away."""
    with Cluster() as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        beta.daemon.kill()
        write_through(alpha, 0, 1)
        alpha.daemon.kill()
        cluster.rejoin(beta)
        time.sleep(5)  # past any lease that alpha had
        said = beta.refuses([REFUSED, NO_GOOD_DATA], "primary", "r0")
        step(f"beta, which missed a write, refuses:\n{said.rstrip()}")
        cluster.rejoin(alpha)
        alpha.promote()
        expect(byte_at(alpha, 0) == 1, "the write is lost")
        level_and_compare(cluster, size)


def new_witness():
    """A witness that lost its directory is taken in again, and its vote counts again."""
    with Cluster() as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        size = export_size(alpha)
        write_through(alpha, 0, 1)
        cluster.gamma.kill()
        shutil.rmtree(cluster.witness_state)
        cluster.witness_state.mkdir()
        write_through(alpha, BLOCK, 2)
        tenure = alpha.status()["tenure"]
        cluster.gamma.start()
        # The Primary gives the witness's seat to the new acceptor by a commit; beta and gamma are then a majority again.
        for node in cluster.nodes:
            wait_until(lambda: (node.status().get("tenure") or 0) > tenure, "the new witness to get its seat")
        voters = alpha.status()["voters"]
        expect(any(voter["name"] == "gamma" and voter["answers"] for voter in voters), f"gamma doesn't answer: {voters}")
        write_through(alpha, 2 * BLOCK, 3)
        for node in cluster.nodes:
            node.wait_sync()
        alpha.daemon.kill()
        step(f"alpha killed; beta Primary with the new witness after {beta.promote():.2f} s")
        expect([byte_at(beta, byte * BLOCK) for byte in range(3)] == [1, 2, 3], "an acknowledged write is lost")
        cluster.rejoin(alpha)
        level_and_compare(cluster, size)


def switch_over():
    """Graceful switch-overs between loads; a client that stays makes `secondary` refuse, and notices nothing."""
    with Cluster() as cluster:
        primary = cluster.alpha
        cluster.bring_up(primary=primary)
        size = export_size(primary)
        for turn in range(3):
            other = cluster.peer(primary)
            writer = Writer(cluster, f"writer-{turn}", [primary.uri("r0")], BLOCKS)
            writer.wait_for(2000)
            if turn == 0:
                step(f"with a client: {primary.refuses([REFUSED], 'secondary', 'r0').splitlines()[0]}")
                other.refuses([REFUSED], "primary", "r0")
                writer.wait_for(writer.answered() + 2000)
            summary = writer.stop()
            expect(summary["finished"] and not summary["errors"], f"the load failed: {summary}")
            began = time.monotonic()
            primary.do("secondary", "r0")
            other.do("primary", "r0")
            seconds = time.monotonic() - began
            check_writes(cluster, other.uri("r0"), BLOCKS, [writer.log])
            step(f"{summary['answered']} writes on {primary.name}; switched to {other.name} in {seconds:.2f} s; "
                 f"every write is there")
            primary = other
        level_and_compare(cluster, size)


def different_sizes():
    """Disks of different sizes: both nodes refuse each other, and say why."""
    with Cluster(sizes=[64 * MIB, 96 * MIB]) as cluster:
        cluster.gamma.start()
        for node in cluster.nodes:
            node.do("create-md", "r0")
            node.start()
            node.do("up", "r0")
        cluster.alpha.refuses([WAITED], "wait-connect", "r0", "--timeout", "4")
        cluster.alpha.refuses([REFUSED], "new-current-uuid", "--clear-bitmap", "r0")
        logs = cluster.alpha.daemon.tail(400) + cluster.beta.daemon.tail(400)
        expect("different-size" in logs, f"no log says that the sizes differ\n{logs}")
        for node in cluster.nodes:
            node.refuses([REFUSED, NO_GOOD_DATA], "primary", "r0")
            step(f"{node.name}: {node.connection()}, {node.status()['connections'][0].get('reason')}")


def wrong_secret():
    """A node with another secret is not let in, and both say so."""
    with Cluster() as cluster:
        alpha, beta = cluster.nodes
        other = cluster.directory / "other-secret"
        other.touch(0o600)
        other.write_text("not the same\n", encoding="ascii")
        wrong = cluster.directory / "wrong.conf"
        wrong.write_text(cluster.config.read_text(encoding="utf-8").replace(str(cluster.secret), str(other)), encoding="utf-8")
        cluster.gamma.start()
        beta.daemon.argv[beta.daemon.argv.index(str(cluster.config))] = str(wrong)
        beta.options = lambda: ["--config", wrong, "--node", beta.name, "--run-dir", beta.run_dir]
        for node in cluster.nodes:
            node.do("create-md", "r0")
            node.start()
            node.do("up", "r0")
        began = time.monotonic()
        alpha.refuses([WAITED], "wait-connect", "r0", "--timeout", "4")
        expect(time.monotonic() - began >= 3.9, "wait-connect gave up too early")
        expect(alpha.connection() != "Connected" and beta.connection() != "Connected", "they are connected")
        step(f"not connected: {json.dumps(alpha.status().get('connections'))}")
        logs = alpha.daemon.tail(400) + beta.daemon.tail(400)
        expect("secret" in logs or "auth" in logs, "no log names the secret or the authentication")


SCENARIOS = [no_witness, cut_off, paused_primary, both_down, stale_copy, new_witness, switch_over, different_sizes,
             wrong_secret]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: failover.py {'|'.join(chosen)}")
    sys.exit(run(chosen[sys.argv[1]]))
