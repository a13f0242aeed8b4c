#include "core/dirty/recent_writes.h"

#include <gtest/gtest.h>

#include <vector>

namespace lockstep {
namespace {

constexpr size_t kMost = 10;

std::vector<uint64_t> offsets(const RecentWrites& writes) {
  std::vector<uint64_t> found;
  writes.for_each([&found](const Range& range) { found.push_back(range.offset); });
  return found;
}

TEST(RecentWrites, RemembersWhatIsNotSettled) {
  RecentWrites writes(kMost);
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
  RecentWrites writes(kMost);
  for (uint64_t position = 1; position <= kMost; ++position) writes.add(position, {0, 4096});
  EXPECT_TRUE(writes.complete());
  writes.add(kMost + 1, {0, 4096});
  writes.add(kMost + 2, {0, 4096});
  EXPECT_EQ(writes.size(), kMost);
  writes.settled(1);
  EXPECT_FALSE(writes.complete());
  writes.settled(2);
  EXPECT_TRUE(writes.complete());
}

TEST(RecentWrites, BeginsAnew) {
  RecentWrites writes(kMost);
  for (uint64_t position = 1; position <= kMost + 1; ++position) writes.add(position, {0, 4096});
  writes.clear();
  EXPECT_TRUE(writes.complete());
  EXPECT_EQ(writes.size(), 0U);
}

}  // namespace
}  // namespace lockstep
