#include "shell/resource/client_pace.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

constexpr uint64_t kHeld = 1 << 20;

// How many looks a client survives that moves so many bytes between two of them; `most` if it is still there then.
uint32_t survives(uint64_t bytes_a_look, bool wanted, uint32_t most) {
  ClientPace pace;
  uint64_t moved = 0;
  for (uint32_t looks = 0; looks < most; ++looks) {
    if (pace.too_slow(kHeld, moved, wanted)) return looks;
    moved += bytes_a_look;
  }
  return most;
}

TEST(ClientPace, ByteByByteIsNoProgressWhileOthersWait) {
  EXPECT_EQ(survives(1, true, 1000), ClientPace::kLooksForShare);
  EXPECT_EQ(survives(1, false, 1000), 1000u);
}

TEST(ClientPace, ASlowLineIsProgress) { EXPECT_EQ(survives(kHeld / ClientPace::kShare / 9, true, 1000), 1000u); }

TEST(ClientPace, NotAByteForVeryLongIsTheEndInAnyCase) {
  EXPECT_LE(survives(0, false, 1000), ClientPace::kLooksWithoutByte);
  EXPECT_GE(survives(0, false, 1000), ClientPace::kLooksWithoutByte - 1);
}

TEST(ClientPace, WhoHoldsNothingMayBeSilent) {
  ClientPace pace;
  for (int look = 0; look < 1000; ++look) ASSERT_FALSE(pace.too_slow(0, 0, true));
  EXPECT_FALSE(pace.too_slow(kHeld, 0, true));
}

TEST(ClientPace, AShortageThatEndsBeginsTheCountAnew) {
  ClientPace pace;
  for (int look = 0; look < 250; ++look) ASSERT_FALSE(pace.too_slow(kHeld, 0, look % 9 != 0)) << look;
}

}  // namespace
}  // namespace lockstep
