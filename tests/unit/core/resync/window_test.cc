#include "core/resync/window.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

constexpr Instant kStart{seconds(1000).ns};

TEST(ResyncWindow, GrowsWhileChunksLandQuickly) {
  ResyncWindow window(256);
  EXPECT_EQ(window.size(), 64u);
  for (int i = 0; i < 1000; ++i) window.landed(kStart, kStart + ResyncWindow::kQuick);
  EXPECT_EQ(window.size(), 256u);
}

TEST(ResyncWindow, StaysWhereItIsInBetween) {
  ResyncWindow window(256);
  for (int i = 0; i < 1000; ++i) window.landed(kStart, kStart + ResyncWindow::kSlow);
  EXPECT_EQ(window.size(), 64u);
}

TEST(ResyncWindow, ShrinksOnceForAllThatWasUnderWay) {
  ResyncWindow window(256);
  const Duration slow = ResyncWindow::kSlow + milliseconds(1);
  for (int i = 0; i < 64; ++i) window.landed(kStart + milliseconds(i), kStart + slow + milliseconds(i));
  EXPECT_EQ(window.size(), 48u);
  Instant now = kStart + slow + seconds(1);
  for (int i = 0; i < 100; ++i, now = now + slow) window.landed(now, now + slow);
  EXPECT_EQ(window.size(), 16u) << "a sixteenth of the most is always allowed";
  window.landed(now, now);
  EXPECT_EQ(window.size(), 17u);
}

TEST(ResyncWindow, OneIsTheLeast) {
  ResyncWindow window(1);
  EXPECT_EQ(window.size(), 1u);
  window.landed(kStart, kStart + seconds(9));
  EXPECT_EQ(window.size(), 1u);
  window.landed(kStart, kStart);
  EXPECT_EQ(window.size(), 1u);
  ResyncWindow small(3);
  EXPECT_EQ(small.size(), 3u);
  small.landed(kStart + seconds(1), kStart + seconds(9));
  EXPECT_EQ(small.size(), 1u);
}

}  // namespace
}  // namespace lockstep
