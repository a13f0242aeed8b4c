#include "core/resync/pace.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

constexpr uint64_t kChunk = 256 * 1024;
constexpr uint64_t kMiB = 1024 * 1024;

// A resync that takes what it may get, one chunk after another, each as long as `chunk_time`; beside it a client that asks every
// `interval` and waits `alone`, or `beside` when a chunk is under way.
struct Bench {
  explicit Bench(const CoreConfig& settings) : config(settings), pace(config) {}

  void run(Duration time) {
    const Instant end = now + time;
    while (now < end) {
      now = now + microseconds(100);
      if (busy && now >= chunk_ends) {
        pace.chunk_ended(now, kChunk);
        busy = false;
        copied += kChunk;
      }
      if (resyncing && !busy && pace.may_begin(now)) {
        pace.chunk_begins(now, kChunk);
        busy = true;
        chunk_ends = now + chunk_time;
      }
      if (interval.ns > 0 && now >= next_client) {
        pace.client_answered(now, busy ? beside : alone);
        next_client = now + interval;
      }
    }
  }

  CoreConfig config;
  ResyncPace pace;
  Instant now{seconds(100).ns};
  Instant chunk_ends;
  Instant next_client{0};
  bool busy = false;
  bool resyncing = true;
  Duration chunk_time = microseconds(500);
  Duration interval;
  Duration alone = microseconds(200);
  Duration beside = microseconds(200);
  uint64_t copied = 0;
};

CoreConfig limits(uint64_t least, uint64_t most = 0, Duration target = {}) {
  CoreConfig config;
  config.resync_min_rate = least;
  config.resync_max_rate = most;
  config.resync_latency_target = target;
  return config;
}

TEST(ResyncPace, KnowsNoLimitWhileNobodyIsThere) {
  Bench bench(limits(4 * kMiB));
  bench.run(seconds(2));
  EXPECT_GT(bench.copied, 2 * kChunk * 1500) << "a chunk every 600 us, no less";
}

TEST(ResyncPace, KeepsToTheConfiguredMaximum) {
  Bench bench(limits(4 * kMiB, 8 * kMiB));
  bench.run(seconds(4));
  EXPECT_NEAR(static_cast<double>(bench.copied) / (4 * 8 * kMiB), 1, 0.05);
}

TEST(ResyncPace, GoesDownToTheMinimumAndNoFurtherWhereClientsSuffer) {
  Bench bench(limits(2 * kMiB));
  bench.resyncing = false;
  bench.interval = microseconds(300);
  bench.run(seconds(1));  // it learns what they take alone
  EXPECT_LT(bench.pace.alone(), microseconds(300));
  bench.resyncing = true;
  bench.chunk_time = milliseconds(20);
  bench.beside = milliseconds(5);
  bench.run(seconds(3));
  EXPECT_EQ(bench.pace.rate(), 2 * kMiB);
  const uint64_t before = bench.copied;
  bench.run(seconds(4));
  EXPECT_NEAR(static_cast<double>(bench.copied - before) / (4 * 2 * kMiB), 1, 0.1);
}

TEST(ResyncPace, RisesWhileClientsDoNotMind) {
  Bench bench(limits(kMiB));
  bench.interval = microseconds(300);
  bench.run(seconds(8));
  EXPECT_GT(bench.pace.rate(), 200 * kMiB);
}

TEST(ResyncPace, RisesBesideAClientThatAsksRarely) {
  Bench bench(limits(kMiB));
  bench.interval = milliseconds(100);
  bench.run(seconds(20));
  EXPECT_GT(bench.pace.rate(), 100 * kMiB);
}

TEST(ResyncPace, AClientThatIsGoneLeavesTheWholeLink) {
  Bench bench(limits(kMiB));
  bench.interval = microseconds(300);
  bench.beside = milliseconds(5);
  bench.run(seconds(3));
  bench.interval = {};
  bench.run(seconds(1));
  const uint64_t before = bench.copied;
  bench.run(seconds(1));
  EXPECT_GT(bench.copied - before, 300 * kMiB);
}

// A target in microseconds holds whatever they take alone.
TEST(ResyncPace, TakesTheTargetThatIsConfigured) {
  Bench generous(limits(kMiB, 0, milliseconds(10)));
  Bench strict(limits(kMiB, 0, microseconds(100)));
  for (Bench* bench : {&generous, &strict}) {
    bench->interval = microseconds(300);
    bench->beside = milliseconds(5);
    bench->run(seconds(5));
  }
  EXPECT_GT(generous.pace.rate(), 100 * kMiB);
  EXPECT_EQ(strict.pace.rate(), kMiB);
}

TEST(ResyncPace, TellsTheRateOfTheLastSeconds) {
  Bench bench(limits(4 * kMiB, 8 * kMiB));
  EXPECT_EQ(bench.pace.recent_rate(bench.now), 0u);
  bench.run(seconds(4));
  EXPECT_NEAR(static_cast<double>(bench.pace.recent_rate(bench.now)) / (8 * kMiB), 1, 0.1);
  bench.resyncing = false;
  bench.run(seconds(10));
  EXPECT_EQ(bench.pace.recent_rate(bench.now), 0u);
}

}  // namespace
}  // namespace lockstep
