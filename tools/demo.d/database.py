"""PostgreSQL in a directory of its own, and clients that note each commit outside the database, after its reply."""

import glob
import os
import random
import signal
import subprocess
import threading
from pathlib import Path

from lab import PATIENCE, expect, tool, wait_until

SCALE = 1
ACCOUNTS, TELLERS, BRANCHES = 100000 * SCALE, 10 * SCALE, SCALE

# pgbench's transaction, and a row of our own by which the commit is found again.
TRANSACTION = """BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + {delta} WHERE aid = {account};
UPDATE pgbench_tellers SET tbalance = tbalance + {delta} WHERE tid = {teller};
UPDATE pgbench_branches SET bbalance = bbalance + {delta} WHERE bid = {branch};
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES ({teller}, {branch}, {account}, {delta}, now());
INSERT INTO ledger (id, account, delta) VALUES ({id}, {account}, {delta});
COMMIT;
\\echo committed {id}
"""


def owner():
    return "postgres" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root


def as_owner():
    return {"user": owner(), "group": owner(), "extra_groups": []} if owner() else {}


class Database:
    """The database in the file system of one node."""

    def __init__(self, cluster, node, path):
        binaries = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda name: int(name.split("/")[4]))
        expect(binaries, "PostgreSQL is not installed")
        self.bin = Path(binaries[-1])
        self.cluster, self.node = cluster, node
        self.data = path / "data"
        self.socket = node.directory / "postgres"
        self.socket.mkdir(exist_ok=True)
        if owner():
            tool("chown", owner(), self.socket)
        self.server = None
        self.shared_memory = None

    def create(self):
        tool(self.bin / "initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "--data-checksums", "--no-sync", cwd="/",
             patience=300, **as_owner())
        tool(self.bin / "initdb", "-D", self.data, "--sync-only", cwd="/", patience=300, **as_owner())

    def start(self):
        self.server = self.cluster.spawn(
            f"{self.node.name}-postgres", self.bin / "postgres", "-D", self.data, "-c", "listen_addresses=",
            "-c", f"unix_socket_directories={self.socket}", "-c", "shared_buffers=64MB", "-c", "max_wal_size=128MB",
            "-c", "dynamic_shared_memory_type=mmap", user=owner())

        def ready():
            expect(self.server.alive(), f"PostgreSQL ended\n{self.server.tail()}")
            return tool(self.bin / "pg_isready", "-q", "-h", self.socket, "-U", "postgres", check=False).returncode == 0
        wait_until(ready, "PostgreSQL to answer", 2 * PATIENCE)
        lock = (self.data / "postmaster.pid").read_text(encoding="ascii").splitlines()
        self.shared_memory = lock[6].split()[1]

    def stop(self):
        self.server.child.send_signal(signal.SIGINT)  # a fast shutdown: open transactions are rolled back
        self.server.child.wait(PATIENCE)
        self.shared_memory = None

    def crash(self):
        """SIGKILL for the server and its children, as when the machine is lost."""
        if not self.server or not self.server.alive():
            return
        children = [int(stat.split()[0]) for stat in self._processes()
                    if int(stat.rsplit(")", 1)[1].split()[1]) == self.server.pid]
        self.server.child.kill()
        for child in children:
            try:
                os.kill(child, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def wait_gone(self):
        """After crash(): a process that waited for the device ends when that is gone."""
        if self.server:
            self.server.child.wait(PATIENCE)
            if self.shared_memory:  # a machine's end takes it too
                tool("ipcrm", "--shmem-id", self.shared_memory, check=False)
                self.shared_memory = None

    @staticmethod
    def _processes():
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                yield Path(path).read_text(encoding="ascii", errors="replace")
            except OSError:
                continue  # ended meanwhile

    def connection(self):
        return ["-h", str(self.socket), "-U", "postgres", "-d", "postgres"]

    def query(self, text):
        return tool(self.bin / "psql", *self.connection(), "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-c", text).stdout

    def fill(self):
        tool(self.bin / "pgbench", "-h", self.socket, "-U", "postgres", "-i", "-s", SCALE, "-q", "postgres", patience=300)
        self.query("CREATE TABLE ledger (id bigint PRIMARY KEY, account int, delta int)")


class Ledger:
    """The commits that clients had replies for, in a file outside the database."""

    def __init__(self, path):
        self.file = open(path, "a", encoding="ascii")
        self.lock = threading.Lock()
        self.commits = {}

    def note(self, number, account, delta):
        with self.lock:
            self.file.write(f"{number} {account} {delta}\n")
            self.file.flush()
            self.commits[number] = (account, delta)

    def check(self, database, clients):
        """Every noted commit has to be in the database, and nothing there that nobody sent. Returns (noted, in doubt)."""
        self.file.flush()
        with open(self.file.name, encoding="ascii") as stored:
            noted = {int(line.split()[0]): tuple(map(int, line.split()[1:])) for line in stored}
        expect(noted == self.commits, "the ledger's file is not what was written")
        rows = (row.split("|") for row in database.query("SELECT id, account, delta FROM ledger").splitlines())
        found = {int(number): (int(account), int(delta)) for number, account, delta in rows}
        lost = [number for number, commit in noted.items() if found.get(number) != commit]
        expect(not lost, f"{len(lost)} of {len(noted)} acknowledged commits are lost, the first is {lost[:1]}")
        doubtful = set(found) - set(noted)
        expect(len(doubtful) <= clients, f"{len(doubtful)} commits without a reply; there were only {clients} clients")
        sums = database.query(
            "SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(tbalance) FROM pgbench_tellers), "
            "(SELECT sum(bbalance) FROM pgbench_branches), (SELECT coalesce(sum(delta), 0) FROM pgbench_history), "
            "(SELECT count(*) FROM pgbench_history), (SELECT count(*) FROM ledger)").strip().split("|")
        expect(len(set(sums[:4])) == 1, f"the balances disagree: {sums[:4]}")
        expect(sums[4] == sums[5], f"{sums[4]} rows of history but {sums[5]} of the ledger")
        return len(noted), len(doubtful)


class Clients:
    """Some connections, each with one transaction at a time, until stop() or until the server is gone."""

    numbers = 0  # every transaction of the demo has its own

    def __init__(self, database, ledger, count):
        self.database, self.ledger = database, ledger
        self.stopping = threading.Event()
        self.committed = 0
        self.threads = [threading.Thread(target=self._client, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def _client(self):
        dice = random.Random()
        with (self.database.node.directory / "clients.log").open("ab") as log, subprocess.Popen(
                [self.database.bin / "psql", *self.database.connection(), "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as psql:
            try:
                while not self.stopping.is_set():
                    with self.ledger.lock:
                        Clients.numbers += 1
                        number = Clients.numbers
                    account, delta = dice.randrange(1, ACCOUNTS + 1), dice.randrange(-5000, 5000)
                    psql.stdin.write(TRANSACTION.format(
                        id=number, account=account, delta=delta, teller=dice.randrange(1, TELLERS + 1),
                        branch=dice.randrange(1, BRANCHES + 1)))
                    psql.stdin.flush()
                    if psql.stdout.readline() != f"committed {number}\n":
                        break  # the server is gone
                    self.ledger.note(number, account, delta)
                    self.committed += 1  # close enough: only shown
            except BrokenPipeError:
                pass
            finally:
                try:
                    psql.stdin.close()
                except BrokenPipeError:
                    pass

    def stop(self):
        self.stopping.set()
        self.join()

    def join(self):
        for thread in self.threads:
            thread.join(PATIENCE)
            expect(not thread.is_alive(), "a client of the database did not end")
