#!/usr/bin/python3
"""The flight recorder and lockstep-replay: flight.py SCENARIO (each is a function below)."""

import re
import sys

from lab import BIN, BLOCK, MIB, Cluster, Writer, expect, run, step, tool, wait_until

SAME, UNREADABLE = 0, 2
BLOCKS = 4096
LEASE = "lease-time 10;"


def recording(node, age=0):
    """The file of this run, or of the run `age` runs before."""
    path = node.run_dir / "flight" / f"r0-{node.name}.flight"
    return path.with_name(f"{path.name}.{age}") if age else path


def replay(path, *words, status=SAME):
    done = tool(BIN / "lockstep-replay", path, *words, check=False)
    expect(done.returncode == status, f"lockstep-replay {path.name}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def load(cluster, node, count, name="writer", **options):
    writer = Writer(cluster, name, [node.uri()], BLOCKS, **options)
    writer.wait_for(count)
    return writer


def killed_node():
    """Both nodes are killed under load, the Primary first: each recording ends in the same state, at the moment of the kill."""
    with Cluster(options=LEASE) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        writer = load(cluster, alpha, 5000)
        alpha.daemon.kill()
        writer.finish()
        said = replay(recording(alpha))
        step(f"alpha:\n{said.rstrip()}")
        expect("role Primary disk UpToDate" in said and "was cut off here" in said, said)
        expect(int(re.search(r"(\d+) events", said)[1]) > 10000, said)
        story = replay(recording(alpha), "--story")
        expect("AdminRequest 1 new-current-uuid" in story and "AdminRequest 2 primary" in story, story)
        expect("Note became-primary" in story and "RoleChanged primary" in story, story)
        beta.promote()
        writer = load(cluster, beta, 2000, name="second")
        beta.daemon.kill()
        writer.finish()
        said = replay(recording(beta))
        step(f"beta:\n{said.rstrip()}")
        expect("role Primary" in said, said)
        replay(recording(beta), "--trace", "--from", 10, "--to", 20)
        cluster.rejoin(beta)
        cluster.rejoin(alpha)
        replay(recording(alpha, 1))  # the killed run's is kept
        for node in cluster.nodes:
            said = replay(recording(node))  # of a daemon that runs
            expect("or still runs" in said, said)


def went_down():
    """A resource that went down in order; and what is no recording."""
    with Cluster(options=LEASE) as cluster:
        alpha, beta = cluster.nodes
        cluster.bring_up(primary=alpha)
        load(cluster, alpha, 500).stop()
        beta.do("down", "r0")
        said = replay(recording(beta))
        expect("went down in order" in said, said)
        for _ in range(12):
            beta.do("up", "r0")
            beta.do("down", "r0")
        kept = sorted(path.name for path in recording(beta).parent.iterdir())
        expect(len(kept) == 10, f"kept: {kept}")
        torn = cluster.directory / "torn.flight"
        whole = recording(alpha).read_bytes()
        torn.write_bytes(whole[: len(whole) // 3 + 12345])
        replay(torn)
        torn.write_bytes(b"something else" * 1000)
        expect("it is no recording" in replay(torn, status=UNREADABLE), "what is wrong is not said")
        expect("No such file" in replay(cluster.directory / "nothing", status=UNREADABLE), "what is wrong is not said")


def ring_comes_round():
    """A small recorder under load: the beginning goes, the rest can be shown."""
    with Cluster(options=LEASE + " flight-recorder-size 2M;") as cluster:
        alpha = cluster.alpha
        cluster.bring_up(primary=alpha)
        load(cluster, alpha, 40000).stop()
        expect(recording(alpha).stat().st_size <= MIB + 4 * BLOCK, "the recording is larger than it may be")
        said = replay(recording(alpha), "--story", status=UNREADABLE)
        expect("beginning is gone" in said and "flight-recorder-size" in said, said)
        cluster.alpha.daemon.kill()
        shown = replay(recording(alpha), "--trace", status=UNREADABLE)
        expect("ClientRequest" in shown, "no event is shown")


def recorder_in_trouble():
    """Whatever becomes of the recorder, the resource goes on."""
    with Cluster(options=LEASE) as cluster:
        alpha, beta = cluster.nodes
        (beta.run_dir / "flight").write_text("not a directory", encoding="ascii")
        cluster.bring_up(primary=alpha)
        expect("no flight recorder" in beta.daemon.tail(), "beta's log does not tell that it records nothing")
        writer = load(cluster, alpha, 1000)
        with recording(alpha).open("r+b") as file:
            file.truncate(0)  # as an operator who wants room may do
        wait_until(lambda: "flight recorder's file was cut short" in alpha.daemon.tail(), "alpha to notice")
        writer.wait_for(writer.answered() + 2000)
        writer.stop()
        expect(alpha.role() == "Primary", "alpha lost its role")
        step("the writes went on")


SCENARIOS = [killed_node, went_down, ring_comes_round, recorder_in_trouble]

if __name__ == "__main__":
    chosen = {scenario.__name__: scenario for scenario in SCENARIOS}
    if len(sys.argv) != 2 or sys.argv[1] not in chosen:
        sys.exit(f"usage: flight.py {'|'.join(chosen)}")
    sys.exit(run(chosen[sys.argv[1]]))
