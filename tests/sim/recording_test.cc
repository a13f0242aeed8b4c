// Recordings of whole simulated clusters, with all that happens to them, replayed: the core is deterministic, and a recording has
// everything that it needs.
#include <gtest/gtest.h>

#include "flight/player.h"
#include "sim/runner.h"

namespace lockstep::sim {
namespace {

void expect_same_end(const Recording& recording, uint64_t seed) {
  auto opened = flight::Player::open(recording.bytes);
  ASSERT_TRUE(opened.ok()) << opened.error().where;
  flight::Player player = std::move(opened).value();
  while (player.next()) {
  }
  const std::string which = "seed " + std::to_string(seed) + " node " + std::to_string(recording.node.value) + " start " +
                            std::to_string(recording.start);
  ASSERT_TRUE(player.replays()) << which;
  EXPECT_EQ(player.damage(), "") << which;
  if (player.difference())
    ADD_FAILURE() << which << " after event " << player.difference()->event << ": " << player.difference()->what;
  EXPECT_EQ(player.replica().record(), recording.last) << which;
}

TEST(Recordings, ReplaysEndInTheSameState) {
  uint64_t recordings = 0;
  for (uint64_t seed = 1; seed <= 25; ++seed) {
    const SeedResult result = run_seed(seed, TraceDetail::none, PlanWish{}, [&](const Recording& recording) {
      ++recordings;
      expect_same_end(recording, seed);
    });
    EXPECT_TRUE(result.violations.empty());
    EXPECT_EQ(result.hash, run_seed(seed, TraceDetail::none).hash) << "recording changed what happens";
  }
  EXPECT_GT(recordings, 50U);
}

}  // namespace
}  // namespace lockstep::sim
