#!/usr/bin/python3
"""The checker of histories must let good ones pass and must notice every kind of bad one."""

import itertools
import math
import random
import unittest

from history import BLOCK, GARBAGE, NOTHING, READ, WRITE, Op, check, content, load, pack, value_in, value_of


def write(value, called, answered=math.inf, block=0):
    return Op(WRITE, block, value, called, answered)


def read(value, called, answered, block=0):
    return Op(READ, block, value, called, answered)


def linearizable_by_trying(ops):
    """The definition itself, for small histories of one block: is there an order that explains everything?"""
    unknown = [op for op in ops if op.answered == math.inf]
    known = [op for op in ops if op.answered != math.inf]
    for count in range(len(unknown) + 1):
        for happened in itertools.combinations(unknown, count):
            if any(_explains(order) for order in itertools.permutations([*known, *happened])):
                return True
    return False


def _explains(order):
    latest_call = -math.inf
    value = NOTHING
    for op in order:
        if op.answered < latest_call:
            return False  # one that comes later in this order was answered before this one's predecessor was called
        latest_call = max(latest_call, op.called)
        if op.kind == WRITE:
            value = op.value
        elif op.value != value:
            return False
    return True


class Good(unittest.TestCase):
    def test_nothing(self):
        self.assertEqual(check([]), [])

    def test_what_was_there_before(self):
        self.assertEqual(check([read(NOTHING, 1, 2)]), [])

    def test_one_after_the_other(self):
        self.assertEqual(check([write(1, 1, 2), read(1, 3, 4), write(2, 5, 6), read(2, 7, 8)]), [])

    def test_concurrent_read_sees_either(self):
        for seen in (1, 2):
            self.assertEqual(check([write(1, 1, 2), write(2, 3, 9), read(seen, 4, 5)]), [])

    def test_unanswered_write_happens_late(self):
        self.assertEqual(check([write(1, 1), write(2, 2, 3), read(2, 4, 5), read(1, 6, 7)]), [])

    def test_unanswered_write_never_happens(self):
        self.assertEqual(check([write(1, 1), write(2, 2, 3), read(2, 4, 5)]), [])

    def test_zeroed(self):
        self.assertEqual(check([write(1, 1, 2), write(NOTHING, 3, 4), read(NOTHING, 5, 6), write(2, 7, 8), read(2, 9, 10)]), [])

    def test_blocks_are_independent(self):
        self.assertEqual(check([write(1, 1, 2, block=0), write(2, 3, 4, block=1), read(1, 5, 6, block=0)]), [])


class Bad(unittest.TestCase):
    def refused(self, *ops):
        self.assertEqual(len(check(ops)), 1, ops)

    def test_lost_write(self):
        self.refused(write(1, 1, 2), read(NOTHING, 3, 4))

    def test_lost_write_of_two(self):
        self.refused(write(1, 1, 2), write(2, 3, 4), read(1, 5, 6))

    def test_older_after_newer_was_seen(self):
        self.refused(write(1, 1, 2), write(2, 3), read(2, 4, 5), read(1, 6, 7))

    def test_unanswered_write_seen_then_gone_then_back(self):
        self.refused(write(1, 1), read(1, 2, 3), read(NOTHING, 4, 5))

    def test_two_unanswered_writes_that_take_turns(self):
        self.refused(write(1, 1), write(2, 2), read(1, 3, 4), read(2, 5, 6), read(1, 7, 8))

    def test_stale_read_of_another_client(self):
        # The write was answered to one client before the other's read was called.
        self.refused(write(1, 10, 20), write(2, 30, 40), read(2, 50, 60), read(1, 45, 70), read(1, 61, 65))

    def test_seen_before_it_was_written(self):
        self.refused(read(1, 1, 2), write(1, 3, 4))

    def test_never_written(self):
        self.refused(write(1, 1, 2), read(7, 3, 4))

    def test_garbage(self):
        self.refused(write(1, 1, 2), read(GARBAGE, 3, 4))

    def test_zeroes_too_early_or_too_late(self):
        self.refused(write(1, 1, 2), read(NOTHING, 3, 4), write(NOTHING, 5, 6))
        self.refused(write(1, 1, 2), write(NOTHING, 3, 4), read(1, 5, 6))
        self.refused(write(1, 1, 2), write(NOTHING, 3, 4), write(2, 5, 6), read(NOTHING, 7, 8))

    def test_only_one_block_of_many(self):
        good = [write(value, value, value + 0.5, block=value) for value in range(1, 9)]
        self.refused(*good, read(NOTHING, 20, 21, block=4))


class AgainstTheDefinition(unittest.TestCase):
    def test_random_histories(self):
        dice = random.Random(1)
        verdicts = {True: 0, False: 0}
        for _ in range(1500):
            ops, clock = [], list(range(1, 13))
            dice.shuffle(clock)
            writes = dice.randrange(1, 4)
            for number in range(writes + dice.randrange(1, 3)):
                called, answered = sorted([clock.pop(), clock.pop()])
                if number < writes:
                    ops.append(write(number + 1, called, dice.choice([answered, answered, math.inf])))
                else:
                    ops.append(read(dice.randrange(writes + 1), called, answered))
            truth = linearizable_by_trying(ops)
            verdicts[truth] += 1
            self.assertEqual(not check(ops), truth, ops)
        self.assertGreater(min(verdicts.values()), 200)


class Stamps(unittest.TestCase):
    def test_there_and_back(self):
        value = value_of(3, 77)
        self.assertEqual(value_in(5, 9, content(5, value, 9)), value)
        self.assertEqual(value_in(5, 9, bytes(BLOCK)), NOTHING)

    def test_other_seed_other_block_torn(self):
        data = content(5, value_of(3, 77), 9)
        self.assertEqual(value_in(6, 9, data), GARBAGE)
        self.assertEqual(value_in(5, 8, data), GARBAGE)
        self.assertEqual(value_in(5, 9, data[:2048] + content(5, value_of(3, 78), 9)[2048:]), GARBAGE)

    def test_log(self):
        import tempfile
        ops = [write(value_of(1, 2), 10, 20), write(value_of(1, 3), 30), read(NOTHING, 40, 50, block=7)]
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"".join(map(pack, ops)) + b"half")
            file.flush()
            self.assertEqual(load([file.name]), ops)


if __name__ == "__main__":
    unittest.main()
