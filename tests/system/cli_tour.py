#!/usr/bin/python3
"""What the CLI prints, to the letter: the commands that look, the event stream through a bad day, wait-sync's progress line."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import time

from lab import MIB, PATIENCE, Cluster, LabError, expect, run, step, wait_until

WAITED, FAILURE = 5, 20
PROGRESS = r"r0: \d+\.\d% in sync, \d+\.\d MiB/s(?:, \d+:\d\d left)?"
UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
HEALTHY = """\
exists resource name:r0 role:{role} suspended:no tenure:{tenure} reason:{reason}
exists connection name:r0 peer-node-id:{peer_id} conn-name:{peer} connection:Connected role:{peer_role}
exists device name:r0 volume:0 disk:UpToDate open:no quorum:yes
exists peer-device name:r0 peer-node-id:{peer_id} conn-name:{peer} volume:0 replication:Established peer-disk:UpToDate resync-suspended:no
exists path name:r0 peer-node-id:{peer_id} conn-name:{peer} local:ipv4:{local} peer:ipv4:{remote} established:yes carries:data,control
exists voter name:r0 voter:alpha kind:node answers:yes
exists voter name:r0 voter:beta kind:node answers:yes
exists voter name:r0 voter:gamma kind:witness answers:yes
exists -
"""


def says(node, text, *words):
    said = node.do(*words)
    expect(said == text, f"{node.name}: {' '.join(words)} prints {said!r}, not {text!r}")


def becomes(node, text, *words):
    wait_until(lambda: node.do(*words) == text, f"{node.name}: {' '.join(words)} to print {text!r}")


def short_answers(cluster):
    for node, role in zip(cluster.nodes, ("Primary", "Secondary")):
        says(node, f"{role}\n", "role", "r0")
        says(node, "Connected\n", "cstate", "r0")
        says(node, "Connected\n", "cstate", f"r0:{cluster.peer(node).name}")
        says(node, "UpToDate/UpToDate\n", "dstate", "r0")
    step("role, cstate, dstate")


def generations(cluster):
    """show-gi says the same as the metadata, and both nodes agree on all but their own disk."""
    shared = []
    for node in cluster.nodes:
        metadata = json.loads(node.do("dump-md", "r0", "--json"))
        tenure = metadata["tenure"]
        acceptors = {voter["seat"]: voter["acceptor"] for voter in tenure["voters"]}
        voters = f"alpha ({acceptors[0]}), beta ({acceptors[1]}), gamma (witness) ({acceptors[16]})"
        says(node, f"r0/0\n  disk-uuid      {metadata['disk']}\n  disk-state     UpToDate\n"
                   f"  size           {metadata['size'] // 1024} KiB\n  history        {tenure['history']}\n"
                   f"  tenure         {tenure['number']}\n  primary        alpha\n  current-set    alpha, beta\n"
                   f"  voters         {voters}\n  flags          current\n", "show-gi", "r0")
        expect(all(re.fullmatch(UUID, word) for word in [metadata["disk"], tenure["history"], *acceptors.values()]), "no UUID")
        shared.append((metadata["disk"], tenure))
    expect(shared[0][0] != shared[1][0] and shared[0][1] == shared[1][1], f"the nodes disagree: {shared}")
    step("show-gi")


def events_now(cluster):
    """--now ends by itself; both forms tell the same."""
    for node, peer, role, peer_role, reason in [(cluster.alpha, cluster.beta, "Primary", "Secondary", "none"),
                                                (cluster.beta, cluster.alpha, "Secondary", "Primary", "peer-is-primary")]:
        text = HEALTHY.format(role=role, peer_role=peer_role, reason=reason, peer=peer.name, peer_id=peer.index, local=f"{node.address}:{node.port}", remote=f"{peer.address}:{peer.port}",
                              tenure=node.status()["tenure"])
        says(node, text, "events", "r0", "--now")
        says(node, text, "events", "--now")
        expect([plain(line) for line in node.do("events", "r0", "--now", "--json").splitlines()] == text.splitlines(),
               "events --now --json tells something else")
    step("events --now")


def plain(line):
    """A line of the JSON stream in the words of the other one."""
    fields = json.loads(line)
    return " ".join([fields.pop("event"), fields.pop("object"), *(f"{key}:{value}" for key, value in fields.items())])


class Events:
    """`lockstep events` beside the test; what it has told is looked through from where the last search ended."""

    def __init__(self, cluster, node, *words):
        self.json = "--json" in words
        self.process = cluster.spawn(f"events-{node.name}{''.join(words)}", *node.command("events", "r0", *words))
        self.read = 0
        self.tells("exists -")

    def lines(self):
        whole = self.process.log.read_text(encoding="utf-8").split("\n")[:-1]
        return [plain(line) for line in whole] if self.json else whole

    def tells(self, *wanted):
        """Waits until each of these is in a new line. In which order they come depends on when the daemon looks."""
        def places():
            new = list(enumerate(self.lines()))[self.read:]
            found = [next((at for at, line in new if fragment in line), None) for fragment in wanted]
            return None if None in found else [at + 1 for at in found]

        try:
            self.read = max(wait_until(places, f"the events {wanted}"))
        except LabError as error:
            raise LabError(f"{error}\n" + "\n".join(self.lines())) from error


def connections(cluster):
    """disconnect and connect, each twice: the second time it is so already. Both nodes see it, and the Primary stays."""
    alpha, beta = cluster.nodes
    for target in ("r0", "r0:beta"):
        for _ in range(2):
            says(alpha, "", "disconnect", target)
        says(alpha, "StandAlone\n", "cstate", "r0")
        becomes(alpha, "UpToDate/Outdated\n", "dstate", "r0")  # beta can miss a write from now on
        becomes(beta, "Connecting\n", "cstate", "r0")
        becomes(beta, "UpToDate/DUnknown\n", "dstate", "r0")
        says(alpha, "Primary\n", "role", "r0")
        for _ in range(2):
            says(alpha, "", "connect", target)
        says(alpha, "", "wait-connect", "r0", "--timeout", "60")
        for node in cluster.nodes:
            node.wait_sync()
    short_answers(cluster)
    step("disconnect, connect")


class Terminal:
    """A program whose standard error is a terminal."""

    def __init__(self, argv):
        self.end, its_end = pty.openpty()
        self.child = subprocess.Popen([str(word) for word in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=its_end)
        os.close(its_end)
        self.text = ""

    def read_until(self, enough, patience=PATIENCE):
        """Reads until `enough` of the text is there, or its end, or the patience."""
        end = time.monotonic() + patience
        while not enough(self.text) and time.monotonic() < end:
            if select.select([self.end], [], [], 0.1)[0]:
                try:
                    self.text += os.read(self.end, 4096).decode()
                except OSError:  # nobody has the other end any more
                    break

    def finish(self):
        """Its exit status and what it printed in the ordinary way."""
        self.read_until(lambda _: False)
        out, _ = self.child.communicate(timeout=PATIENCE)
        os.close(self.end)
        return self.child.returncode, out


def resync_and_hold(source, target):
    """invalidate-remote, and the target is paused in the middle of what follows. False if it was too quick for that."""
    def of_peer():
        return source.status()["connections"][0]["peer_devices"][0]

    says(source, "", "invalidate-remote", "r0")
    while True:
        device = of_peer()
        if device["replication-state"] == "SyncSource" and device["done"] > 0:
            target.daemon.pause()
            if of_peer()["replication-state"] == "SyncSource":
                return True
            target.daemon.resume()
            return False
        if device["peer-disk-state"] == "UpToDate":
            return False
        expect(target.daemon.alive(), "the target ended")


def look_at_progress(source, target, told):
    """One try to see a resync under way: in the event streams, on a terminal, and in the message of a wait in vain. False if it
    was missed: nothing but a target that stands still keeps a resync of holes from being over before anybody looks."""
    if not resync_and_hold(source, target):
        return False
    told("replication:SyncSource peer-disk:Inconsistent")
    waiting = Terminal(source.command("wait-sync", "r0"))
    waiting.read_until(lambda text: "% in sync" in text or "Connecting" in text, 5)
    dstate = source.do("dstate", "r0")
    vain = source.cli("wait-sync", "r0", "--timeout", "0")  # last: what it sees under way has been so all along
    target.daemon.resume()
    expect(waiting.finish() == (0, b""), f"wait-sync on a terminal ended with {waiting.child.returncode}: {waiting.text!r}")
    for line in waiting.text.replace("\r\n", "").split("\r"):
        expect(re.fullmatch(f"(?:{PROGRESS}|r0: {target.name} [A-Z][A-Za-z]+|r0: waiting|) *", line), f"an odd line: {line!r}")
    if not re.search(PROGRESS, waiting.text) or not re.search(PROGRESS, vain.stderr):
        return False
    step(f"on a terminal: {re.search(PROGRESS, waiting.text)[0]}")
    expect(waiting.text.startswith("\r") and waiting.text.endswith("\r\n"), f"no line of its own: {waiting.text!r}")
    expect(vain.returncode == WAITED and re.fullmatch(f"lockstep: waited 0 s in vain: {PROGRESS}\n", vain.stderr), f"{vain}")
    expect(dstate == "UpToDate/Inconsistent\n", f"dstate during a resync: {dstate}")
    return True


def progress(source, target, told):
    for _ in range(10):
        if look_at_progress(source, target, told):
            break
        step("too late, once more")
    else:
        raise LabError("a resync was never seen under way")
    quiet = source.cli("wait-sync", "r0")
    expect((quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", ""), f"wait-sync with nothing to wait for: {quiet}")


def bad_day(cluster):
    """The Primary is killed, the other node promoted, the dead one comes back and is resynced: the stream tells it all."""
    alpha, beta = cluster.nodes
    streams = [Events(cluster, beta), Events(cluster, beta, "--json")]
    cut_short = Events(cluster, alpha)

    def told(*wanted):
        for stream in streams:
            stream.tells(*wanted)

    alpha.daemon.kill()
    peer = "name:r0 peer-node-id:0 conn-name:alpha"
    told(f"change connection {peer} connection:Connecting", f"change peer-device {peer} volume:0 replication:Off",
         "change voter name:r0 voter:alpha answers:no")
    wait_until(lambda: not cut_short.process.alive(), "the stream of the killed daemon to end")
    status, last = cut_short.process.child.returncode, cut_short.lines()[-1]
    expect(status == FAILURE and last == "lockstep: lockstepd broke off before it answered", f"it ended with {status}: {last}")
    beta.promote()
    told("change resource name:r0 role:Primary")
    cluster.rejoin(alpha)
    told(f"change connection {peer} connection:Connected", "change voter name:r0 voter:alpha answers:yes", "peer-disk:UpToDate")
    beta.wait_sync()
    progress(beta, alpha, told)
    told("replication:Established peer-disk:UpToDate")
    beta.do("down", "r0")
    told("destroy resource name:r0", f"destroy connection {peer}", f"destroy peer-device {peer} volume:0",
         "destroy device name:r0 volume:0", "destroy voter name:r0 voter:gamma")
    step(f"events: {len(streams[0].lines())} lines")


def test():
    with Cluster(size=256 * MIB) as cluster:
        cluster.bring_up(primary=cluster.alpha)
        short_answers(cluster)
        generations(cluster)
        events_now(cluster)
        connections(cluster)
        bad_day(cluster)


if __name__ == "__main__":
    sys.exit(run(test))
