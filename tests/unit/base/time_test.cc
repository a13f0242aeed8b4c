#include "base/time.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(Duration, UnitsAgree) {
  EXPECT_EQ(seconds(3), milliseconds(3000));
  EXPECT_EQ(milliseconds(3), microseconds(3000));
  EXPECT_EQ(microseconds(1).ns, 1000);
  EXPECT_EQ(milliseconds(10) + milliseconds(5) - milliseconds(20), milliseconds(-5));
  EXPECT_EQ(seconds(2) * 3 / 4, milliseconds(1500));
  EXPECT_LT(milliseconds(-5), Duration{});
}

TEST(Instant, MovesByDurations) {
  const Instant then{1'000};
  EXPECT_EQ((then + microseconds(2)).ns, 3'000);
  EXPECT_EQ((then - microseconds(2)).ns, -1'000);
  EXPECT_EQ((then + seconds(1)) - then, seconds(1));
}

// Deadlines are compared and ages are taken, also with the two that stand for "never" and "long ago".
TEST(Instant, TheEndsOfTimeCanBeCompared) {
  const Instant now{int64_t{1} << 60};  // 36 years after the boot
  EXPECT_LT(now, kNever);
  EXPECT_LT(kLongAgo, Instant{});
  EXPECT_GT(now - kLongAgo, seconds(1'000'000'000));
}

}  // namespace
}  // namespace lockstep
