"""Which faults come when: drawn from the seed alone, before anything runs, so that the seed tells the story again.

'primary' and 'secondary' stand for whoever that is when the fault comes.
"""

import dataclasses
import itertools
import random

NODES = ["alpha", "beta", "delta"]  # as many of them as there are data nodes
WITNESS = "gamma"
PLACES = ["primary", "primary", "secondary", "gamma"]  # a Primary is the most interesting victim
LEASES = [5, 10, 20, 30]  # tenths of a second; with the longer ones a peer is given up before its lease is over
TAKEOVER = 5.0  # seconds after which another node certainly could be Primary, but for the lease
QUIET = 1.5  # seconds without new faults at the end


@dataclasses.dataclass(frozen=True)
class Fault:
    at: float  # seconds from the start
    kind: str
    on: tuple  # machines
    seconds: float  # until it is undone
    level: int = 0
    planes: tuple = (0,)  # which of the networks

    def __str__(self):
        level = f" ({self.level})" if self.level else ""
        if self.kind in CABLES and len(self.planes) == 1 and self.planes[0]:
            level += f" in network {self.planes[0]}"
        return f"{self.kind} {' '.join(self.on)}{level} for {self.seconds:.2f} s"


# How often each kind comes, and what it needs of the machine that the test runs on.
KINDS = {
    "kill": 10, "kill_several": 3, "pause": 8, "pause_several": 2, "cut": 5, "isolate": 9, "one_way": 6, "lossy": 4, "slow": 2,
    "disk_error": 4, "disk_hang": 4, "switch_over": 5, "invalidate": 2, "disconnect": 2, "down": 2,
}
NEEDS = {"one_way": "loss", "lossy": "loss", "slow": "slowness", "disk_error": "disks", "disk_hang": "disks"}
CABLES = {"cut", "one_way", "lossy", "slow"}  # in one network, where there are two, or in both
LEVELS = {"lossy": [5, 15, 40], "slow": [1, 5]}  # percent lost; Mbit/s


def _victims(dice, kind, machines):
    if kind in ("kill_several", "pause_several"):
        return tuple(dice.sample(machines, dice.choice([2, 2, 3])))
    if kind in ("kill", "pause", "isolate"):
        return (dice.choice(PLACES),)
    if kind in ("cut", "lossy", "slow"):
        return dice.choice(list(itertools.combinations(machines, 2)))
    if kind == "one_way":
        return tuple(dice.sample(machines, 2))
    if kind == "switch_over":
        return ("primary",)
    return (dice.choice(["primary", "secondary"]),)


@dataclasses.dataclass(frozen=True)
class Plan:
    seed: int
    lease: int  # tenths of a second
    ping_timeout: int
    clients: int
    faults: tuple
    nodes: list  # names of the data nodes
    planes: int  # networks; the witness is in the first one

    def machines(self):
        return [*self.nodes, WITNESS]


def draw(seed, seconds, kinds, data_nodes=2, planes=1):
    dice = random.Random(f"plan {seed}")
    networks = random.Random(f"networks {seed}")
    choices = [(0,)] if planes == 1 else [(0,), (1,), (0, 1)]
    lease = dice.choice(LEASES)
    pace = dice.choice([0.8, 1.6, 2.5])  # seconds between faults, on average
    faults, now = [], dice.uniform(0.5, 1.0)
    nodes = NODES[:data_nodes]
    weights = [KINDS[kind] for kind in kinds]
    while now < seconds - QUIET:
        kind = dice.choices(kinds, weights)[0]
        # Blips, and what lasts until the peer is given up, its lease is over and another is Primary while the old one lives.
        lasting = dice.random() < (0.5 if kind in ("pause", "isolate", "one_way") else 0.25)
        length = dice.uniform(2.5, TAKEOVER + lease / 10) if lasting else dice.uniform(0, max(1, lease / 10))
        faults.append(Fault(now, kind, _victims(dice, kind, [*nodes, WITNESS]), length, dice.choice(LEVELS.get(kind, [0])),
                            networks.choice(choices)))
        now += dice.expovariate(1 / pace)
    return Plan(seed, lease, dice.choice([3, 5, 10]), dice.choice([2, 3, 4]), tuple(faults), nodes, planes)
