#!/usr/bin/python3
"""The ledger is shown histories that are right and wrong."""

import sys
import unittest

from ledger import SECTORS, Ledger


class LedgerTest(unittest.TestCase):
    def setUp(self):
        self.ledger = Ledger(2)

    def write(self, version, fua=False, answer=True):
        write = self.ledger.write(1, version, fua)
        if answer:
            self.ledger.answered(write)
        return write

    def flush(self):
        self.ledger.flushed(self.ledger.flush())

    def check(self, versions, caches_lost):
        for sector in range(SECTORS, 2 * SECTORS):
            self.assertEqual(self.ledger.allowed(sector, caches_lost), set(versions))
        self.assertEqual(self.ledger.allowed(0, caches_lost), {0})

    def test_an_answered_write_counts_while_a_cache_is_left(self):
        self.write(1)
        self.check([1], caches_lost=False)
        self.check([0, 1], caches_lost=True)

    def test_a_flushed_write_counts_always(self):
        self.write(1)
        self.flush()
        self.write(2)
        self.check([2], caches_lost=False)
        self.check([1, 2], caches_lost=True)

    def test_fua_counts_for_itself_alone(self):
        self.write(1)
        self.write(2, fua=True)
        self.check([2], caches_lost=True)
        self.assertEqual(len(self.ledger.volatile), 1)

    def test_a_flush_counts_for_what_was_answered_before_it(self):
        issued = self.ledger.flush()
        self.write(1)
        self.ledger.flushed(issued)
        self.check([0, 1], caches_lost=True)

    def test_a_write_without_an_answer_may_have_happened(self):
        self.write(1)
        self.write(2, answer=False)
        self.check([1, 2], caches_lost=False)

    def test_writes_at_the_same_time_have_no_order(self):
        first = self.write(1, answer=False)
        self.write(2, fua=True)
        self.ledger.answered(first)
        self.check([1, 2], caches_lost=False)
        self.check([1, 2], caches_lost=True)

    def test_what_was_seen_is_lost_with_every_cache_only(self):
        self.write(1)
        self.flush()
        self.write(2)
        self.write(3, answer=False)
        self.ledger.seen(1, [2] * SECTORS)
        self.check([2], caches_lost=False)  # 3 did not happen
        self.check([1, 2, 3], caches_lost=True)
        self.flush()
        self.check([2], caches_lost=True)
        self.ledger.seen(1, [2] * SECTORS)
        self.check([2], caches_lost=True)

    def test_a_block_may_be_torn_where_every_cache_was_lost(self):
        self.write(1)
        self.ledger.seen(1, [0, 1] * (SECTORS // 2))
        self.assertEqual(self.ledger.allowed(SECTORS, caches_lost=False), {0})
        self.assertEqual(self.ledger.allowed(SECTORS + 1, caches_lost=False), {1})
        self.assertEqual(self.ledger.allowed(SECTORS + 1, caches_lost=True), {0, 1})


if __name__ == "__main__":
    sys.exit(unittest.main())
