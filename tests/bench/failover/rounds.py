"""One round: a client at work, something happens, the survivor is promoted as soon as it notices, and all is made well again."""

import time

import nbd
from lab import expect, wait_until
from stamp import BLOCK, BLOCKS, RECORD, versions_in

WARM, AFTER, LOSS = 0.6, 0.4, 2.0  # seconds of load before, after, and without a witness
LOOK = 0.005  # seconds between looks at the survivor's status


def kill(bench, primary):
    primary.daemon.kill()
    return lambda: bench.cluster.rejoin(primary)


def pause(_bench, primary):
    primary.daemon.pause()
    return primary.daemon.resume


def partition(bench, primary):
    bench.cluster.network.isolate(primary.name)
    return lambda: bench.cluster.network.rejoin(primary.name)


def lose_witness(bench, _primary):
    bench.cluster.gamma.kill()
    return bench.cluster.gamma.start


def kill_secondary(bench, primary):
    return kill(bench, bench.cluster.peer(primary))


def pause_secondary(bench, primary):
    return pause(bench, bench.cluster.peer(primary))


OF_PRIMARY = {"kill": kill, "pause": pause, "partition": partition}
OTHERS = {"witness": lose_witness, "secondary_kill": kill_secondary, "secondary_pause": pause_secondary}
KINDS = OF_PRIMARY | OTHERS


class Load:
    """The client, and what it logged."""

    def __init__(self, bench, number):
        self.bench, cluster = bench, bench.cluster
        self.log = cluster.directory / f"client-{number}.answers"
        uris = [word for node in cluster.nodes for word in ("--uri", node.uri())]
        self.process = cluster.spawn(f"client-{number}", "/usr/bin/python3", bench.here / "client.py", "--log", self.log, *uris)
        wait_until(lambda: self.log.exists() and self.log.stat().st_size > 0, "the first answers")

    def stop(self):
        self.process.child.terminate()
        wait_until(lambda: not self.process.alive(), "the client to end", 90)
        self.bench.cluster.others.remove(self.process)
        expect(self.process.child.returncode == 0, f"the client failed\n{self.process.tail()}")
        answers = list(RECORD.iter_unpack(self.log.read_bytes()))
        self.log.unlink()
        return answers


def missing(node, answers):
    """How many blocks lack the last answered write of them (a writer has one write at a time)."""
    last = {block: version for block, version, *_ in answers}
    handle = nbd.NBD()
    handle.connect_uri(node.uri())
    versions = versions_in(bytes(handle.pread(BLOCKS * BLOCK, 0)))
    handle.shutdown()
    return sum(versions[block] != version for block, version in last.items())


def slowest(answers, since):
    """The longest latency, in seconds, of the writes that were answered since then."""
    return max(((answered - called) / 1e9 for _, _, called, answered, _ in answers if answered > since), default=0.0)


def median_latency(answers, until):
    before = sorted(answered - called for _, _, called, answered, _ in answers if answered < until)
    return before[len(before) // 2] / 1e9


def witness_answers(node):
    return any(voter["name"] == "gamma" and voter["answers"] for voter in node.status().get("voters") or [])


def noticed(kind, observer):
    if kind == "witness":
        return not witness_answers(observer)
    return observer.connection() != "Connected"


def one_round(bench, kind, number):
    """The round's figures. The Primary is whoever is; afterwards both copies are UpToDate and three voters answer."""
    primary = next(node for node in bench.cluster.nodes if node.role() == "Primary")
    serving = bench.cluster.peer(primary) if kind in OF_PRIMARY else primary
    load = Load(bench, number)
    time.sleep(WARM + bench.dice.uniform(0, bench.lease))  # anywhere between two renewals of the lease
    began = time.monotonic_ns()

    def since_then():
        return (time.monotonic_ns() - began) / 1e9

    undo = KINDS[kind](bench, primary)
    wait_until(lambda: noticed(kind, serving), f"{serving.name} to notice", interval=LOOK)
    figures = {"detect": since_then(), "promote": None}
    if serving is primary:
        time.sleep(LOSS)
    else:
        serving.promote()
        figures["promote"] = since_then()
        time.sleep(AFTER)
    answers = load.stop()
    figures.update(bench.summary(load), **judge(bench, serving, answers, began))
    undo()
    bench.whole()
    return figures


def judge(bench, serving, answers, began):
    """What the client noticed of it, and whether an answered write is lost."""
    index = bench.cluster.nodes.index(serving)
    first = min((answered for _, _, _, answered, node in answers if node == index and answered > began), default=None)
    expect(first is not None, "no write was answered after the fault")
    usual = median_latency(answers, began)
    return {"recover": (first - began) / 1e9, "added_latency": slowest(answers, began) - usual, "usual_latency": usual,
            "lost": missing(serving, answers)}
