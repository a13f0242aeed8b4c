#include "core/attach.h"

#include <gtest/gtest.h>

#include "tests/unit/core/core_samples.h"

namespace lockstep {
namespace {

struct AttachTest : testing::Test {
  AttachTest() {
    record.node = kA;
    record.boot = boot_of(kA);
    record.adopted = tenure_of({kA, kB}, {kA, kB, kW});
    record.adopted->primary = holder_of(kB);
    intent.set(3);
  }
  bool doubtful_after(const Boot& boot, bool volatile_cache = true) {
    NodeRecord attached = record;
    begin_attach(attached, intent, {boot, 77, {Seat{0}, Seat{1}}, volatile_cache});
    EXPECT_EQ(attached.boot, boot);
    EXPECT_EQ(attached.start(), record.start() + 1);
    EXPECT_EQ(attached.memory.lineage.tokens[0], 77u);
    return attached.doubtful;
  }
  NodeRecord record;
  BitVector intent{16};
  const Boot next = uuid(9);
};

TEST_F(AttachTest, ACacheThatMayHaveBeenLostWithWritesInItMakesDoubtful) { EXPECT_TRUE(doubtful_after(next)); }
TEST_F(AttachTest, TheSameBootLosesNoCache) { EXPECT_FALSE(doubtful_after(record.boot)); }
TEST_F(AttachTest, ADiskWithoutACacheLosesNothing) { EXPECT_FALSE(doubtful_after(next, false)); }
TEST_F(AttachTest, NothingUnflushedIsNothingLost) {
  intent = BitVector(16);
  EXPECT_FALSE(doubtful_after(next));
}
TEST_F(AttachTest, BehindACleanHandOverEverythingIsFlushed) {
  record.adopted->primary.reset();
  record.adopted->clean = true;
  EXPECT_FALSE(doubtful_after(next));
  record.adopted->members = {kB};
  EXPECT_TRUE(doubtful_after(next)) << "not for a copy that had no part in it";
}
TEST_F(AttachTest, DoubtOutlivesFurtherStarts) {
  record.doubtful = true;
  intent = BitVector(16);
  EXPECT_TRUE(doubtful_after(record.boot));
}

TEST_F(AttachTest, WhomTheConfigurationLacksIsForgotten) {
  record.peers[kB.value].disk = disk_of(kB);
  record.peers[kC.value].disk = disk_of(kC);
  begin_attach(record, intent, {next, 77, {kA, kB}, false});
  EXPECT_EQ(record.peers[kB.value].disk, disk_of(kB));
  EXPECT_TRUE(record.peers[kC.value].disk.is_nil()) << "its bitmap is kept no more";
}

}  // namespace
}  // namespace lockstep
