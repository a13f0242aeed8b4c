// Whatever an interrupted write of metadata leaves, the daemon's code finds the record before or the one that was asked for.
#include "sim/sim_metadata.h"

#include <gtest/gtest.h>

namespace lockstep::sim {
namespace {

NodeRecord record_of_start(uint64_t start) {
  NodeRecord record;
  record.node = Seat{0};
  record.disk = Uuid::from_words(1, 2);
  record.memory.lineage.start = start;
  return record;
}

TEST(SimSuperblock, InterruptedWritesAreReadBackAndRepaired) {
  Prng prng(5);
  SimSuperblock::Counters counters;
  SimSuperblock superblock;
  superblock.create(record_of_start(1), uint64_t{8} << 20);
  uint64_t landed = 0;
  uint64_t lost = 0;
  for (uint64_t start = 2; start < 1000; ++start) {
    superblock.written(record_of_start(start));
    const NodeRecord wanted = record_of_start(start + 10000);
    const Remains remains = prng.chance(50) ? Remains::whole_copies : Remains::torn_copies;
    ASSERT_EQ(superblock.interrupted(wanted, remains, prng, counters), "");
    const bool there = superblock.record() == wanted;
    ++(there ? landed : lost);
    if (remains == Remains::whole_copies) {
      EXPECT_TRUE(there);
    }
    const NodeRecord found = superblock.record();
    ASSERT_EQ(superblock.open(prng, counters), "");
    EXPECT_EQ(superblock.record(), found);
  }
  EXPECT_GT(landed, 0U);
  EXPECT_GT(lost, 0U);
  EXPECT_GT(counters.repairs_interrupted, 0U);
}

TEST(SimMetadata, ATornSectorIsNeverIntact) {
  Prng prng(6);
  const PageId id = bitmap_page_id(Seat{1}, 0, Uuid::from_words(1, 2));
  BitPage bits{};
  Sector before;
  encode_bit_page(id, 0, bits, SectorSpan(before));
  bits[499] = 1;
  Sector after;
  encode_bit_page(id, 0, bits, SectorSpan(after));
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(decode_bit_page(id, SectorView(torn(before, after, prng))));
}

}  // namespace
}  // namespace lockstep::sim
