#include "core/dirty/recent_writes.h"

#include <gtest/gtest.h>

#include <vector>

namespace lockstep {
namespace {

std::vector<uint64_t> offsets(const RecentWrites& writes) {
  std::vector<uint64_t> found;
  writes.for_each([&found](const Range& range) { found.push_back(range.offset); });
  return found;
}

TEST(RecentWrites, RemembersWhatIsNotSettled) {
  RecentWrites writes;
  for (uint64_t position = 1; position <= 4; ++position) writes.add(position, {position * 4096, 4096});
  EXPECT_EQ(offsets(writes).size(), 4U);
  writes.settled(2);
  EXPECT_EQ(offsets(writes), (std::vector<uint64_t>{3 * 4096, 4 * 4096}));
  writes.settled(1);  // older news
  EXPECT_EQ(offsets(writes).size(), 2U);
  writes.settled(9);
  EXPECT_TRUE(offsets(writes).empty());
  EXPECT_TRUE(writes.complete());
}

TEST(RecentWrites, SaysThatItForgotUntilThatIsSettled) {
  RecentWrites writes;
  for (uint64_t position = 1; position <= RecentWrites::kMost; ++position) writes.add(position, {0, 4096});
  EXPECT_TRUE(writes.complete());
  writes.add(RecentWrites::kMost + 1, {0, 4096});
  writes.add(RecentWrites::kMost + 2, {0, 4096});
  EXPECT_EQ(writes.size(), RecentWrites::kMost);
  writes.settled(1);
  EXPECT_FALSE(writes.complete());
  writes.settled(2);
  EXPECT_TRUE(writes.complete());
}

TEST(RecentWrites, BeginsAnew) {
  RecentWrites writes;
  for (uint64_t position = 1; position <= RecentWrites::kMost + 1; ++position) writes.add(position, {0, 4096});
  writes.clear();
  EXPECT_TRUE(writes.complete());
  EXPECT_EQ(writes.size(), 0U);
}

}  // namespace
}  // namespace lockstep
