"""What clients did and saw, and whether every block behaved as one register (promises P1, P2 and P6).

Every written block carries a stamp that no other write carries, so a block's values are told apart, and linearizability is
decided exactly by zones (Gibbons and Korach, "Testing Shared Memories", SIAM J. Comput. 26(4), 1997), as in tests/sim/history.h:
the zone of a value lasts from the earliest answer to the latest call among its write and its reads; it is forward when the
first is before the second. A register's history is linearizable exactly when no two forward zones overlap, no backward zone
lies within a forward one, and no read was answered before its value's write was called.

A write without a (good) answer may take effect at any time after its call, or never: it has no answer. A read without a good
answer says nothing and isn't recorded. A block is zeroed at most once, and only after everything was written once: then zeroes
are a value like any other, and before that they are what was there at the beginning.
"""

import bisect
import dataclasses
import math
import struct
from pathlib import Path

BLOCK = 4096
STAMP = struct.Struct("<QIIQQ")  # seed, client, 0, counter, block number
REPEATS = BLOCK // STAMP.size
RECORD = struct.Struct("<BIQqq")  # kind, block, value, called, answered or NO_ANSWER
READ, WRITE = 0, 1
NO_ANSWER = -1
NOTHING = 0  # the value of a block of zeroes, before anything was written
GARBAGE = (1 << 64) - 1  # the value of what no client can have written there
COUNTER_BITS = 40


def value_of(client, counter):
    """A value that no other write has; clients and counters begin at 1 and 0."""
    return client << COUNTER_BITS | counter


def content(seed, value, block):
    """The bytes of a block with that value."""
    stamp = STAMP.pack(seed, value >> COUNTER_BITS, 0, value & ((1 << COUNTER_BITS) - 1), block)
    return stamp * REPEATS


def value_in(seed, block, data):
    """The value that a block's bytes carry; GARBAGE if they are torn, of another block or of another run."""
    if data == bytes(BLOCK):
        return NOTHING
    found_seed, client, _, counter, found_block = STAMP.unpack_from(data)
    value = value_of(client, counter)
    fine = found_seed == seed and found_block == block and data == content(seed, value, block)
    return value if fine else GARBAGE


@dataclasses.dataclass(frozen=True)
class Op:
    """One operation on one block; times are nanoseconds of the machine's monotonic clock."""
    kind: int
    block: int
    value: int
    called: float
    answered: float = math.inf


@dataclasses.dataclass
class Zone:
    """When a value was current for certain (forward), or a span in which it was current for a moment (backward)."""
    value: int
    answered: float = math.inf  # the earliest answer
    called: float = -math.inf  # the latest call

    def forward(self):
        return self.answered < self.called

    def __str__(self):
        def at(time):
            return "never" if math.isinf(time) else f"{time / 1e9:.6f}"
        return (f"value {self.value >> COUNTER_BITS}:{self.value & ((1 << COUNTER_BITS) - 1)} (first answer {at(self.answered)}, "
                f"last call {at(self.called)})")


def _unwritten(block, ops):
    """Reads of what nobody had written by then."""
    written = {NOTHING: -math.inf}
    for op in ops:
        if op.kind == WRITE:
            written[op.value] = op.called
    for op in ops:
        if op.kind == WRITE:
            continue
        if op.value not in written:
            seen = "garbage" if op.value == GARBAGE else str(Zone(op.value))
            yield f"block {block}: a read called at {op.called / 1e9:.6f} saw {seen}, which nobody wrote"
        elif written[op.value] >= op.answered:
            yield f"block {block}: a read answered at {op.answered / 1e9:.6f} saw {Zone(op.value)} before it was written"


def _zones(ops):
    zeroed = any(op.kind == WRITE and op.value == NOTHING for op in ops)
    zones = {} if zeroed else {NOTHING: Zone(NOTHING, -math.inf, -math.inf)}
    for op in ops:
        zone = zones.setdefault(op.value, Zone(op.value))
        zone.answered = min(zone.answered, op.answered)
        zone.called = max(zone.called, op.called)
    # Never read and its write never answered: it may not have happened at all.
    return [zone for zone in zones.values() if zone.answered != math.inf]


def check_block(block, ops):
    """Sentences that say what is wrong with one block's history; empty if it is that of a register."""
    wrong = list(_unwritten(block, ops))
    if wrong:
        return wrong
    zones = _zones(ops)
    forward = sorted((zone for zone in zones if zone.forward()), key=lambda zone: zone.answered)
    for one, other in zip(forward, forward[1:]):
        if other.answered < one.called:
            wrong.append(f"block {block}: {one} and {other}: one of them came back after the other")
    if wrong:
        return wrong
    begins = [zone.answered for zone in forward]
    for zone in zones:
        if zone.forward():
            continue
        # Forward zones are disjoint here, so only the last that begins before this one can hold it.
        place = bisect.bisect_left(begins, zone.called)
        if place and zone.answered < forward[place - 1].called:
            wrong.append(f"block {block}: {zone} was lost: {forward[place - 1]} was current all the while")
    return wrong


def check(ops):
    """Sentences that say what is wrong with a history; empty if every block behaved as a register."""
    blocks = {}
    for op in ops:
        blocks.setdefault(op.block, []).append(op)
    return [sentence for block, its_ops in sorted(blocks.items()) for sentence in check_block(block, its_ops)]


def pack(op):
    answered = NO_ANSWER if op.answered == math.inf else int(op.answered)
    return RECORD.pack(op.kind, op.block, op.value, int(op.called), answered)


def load(paths):
    """The operations in the clients' logs. A client that was killed may leave half a record."""
    ops = []
    for path in paths:
        data = Path(path).read_bytes()
        for kind, block, value, called, answered in RECORD.iter_unpack(data[: len(data) // RECORD.size * RECORD.size]):
            ops.append(Op(kind, block, value, called, math.inf if answered == NO_ANSWER else answered))
    return ops
