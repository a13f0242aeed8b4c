// The simulated disk, network and clock do what the oracle and the reader rely on.
#include <gtest/gtest.h>

#include "sim/sim_disk.h"
#include "sim/sim_net.h"

namespace lockstep::sim {
namespace {

struct Nobody : DiskObserver {
  void block_written(Seat, uint64_t, uint64_t, uint64_t) override {}
  void cache_at_risk(Seat, const BitVector&) override {}
  void block_lost(Seat, uint64_t) override {}
  void record_durable(Seat, const NodeRecord&) override {}
  void bits_changed(Seat) override {}
  void disk_replaced(Seat) override {}
  void metadata_misread(Seat, const std::string& what) override { ADD_FAILURE() << what; }
};

class DiskTest : public testing::Test {
 protected:
  DiskTest() : disk_(queue_, Prng(3), nobody_, Seat{0}, 2048) { create(); }
  void create() {
    NodeRecord record;
    record.disk = Uuid::from_words(3, 4);
    record.node = Seat{0};
    disk_.create(record, kFirstVersion);
  }
  void write(uint64_t b, uint64_t version, bool fua = false) {
    disk_.submit(DiskIo{{}, OpKind::write, {b * kBlockBytes, kBlockBytes}, fua, {}},
                 std::make_shared<const std::vector<uint64_t>>(1, version), [](IoStatus, Payload) {});
  }
  void flush() {
    disk_.submit(DiskIo{{}, OpKind::flush, {}, false, {}}, nullptr, [](IoStatus, Payload) {});
  }
  void settle() { queue_.run_until(queue_.now() + seconds(1)); }
  Nobody nobody_;
  EventQueue queue_;
  SimDisk disk_;
};

TEST_F(DiskTest, WithoutACacheACompletedWriteSurvivesPowerLoss) {
  write(5, 10);
  settle();
  disk_.power_lost();
  EXPECT_EQ(disk_.read_block(5), 10U);
}

// Two of them are never the same: which sectors came to the disk is not known.
TEST_F(DiskTest, AWriteThatPowerLossInterruptsMayBeThereInPart) {
  for (uint64_t b = 0; b < 64; ++b) write(b, 10);
  disk_.power_lost();
  std::set<uint64_t> parts;
  for (uint64_t b = 0; b < 64; ++b) {
    const uint64_t there = disk_.read_block(b);
    EXPECT_TRUE(there == kFirstVersion || torn_from(there) == 10) << there;
    if (is_torn(there)) {
      EXPECT_TRUE(parts.insert(there).second);
    }
  }
  EXPECT_FALSE(parts.empty());
  EXPECT_EQ(disk_.counters.torn_blocks, parts.size());
}

TEST_F(DiskTest, OnlyPowerLossTearsABlock) {
  for (uint64_t b = 0; b < 64; ++b) write(b, 10);
  disk_.process_killed();
  settle();
  for (uint64_t b = 0; b < 64; ++b) EXPECT_FALSE(is_torn(disk_.read_block(b)));
}

TEST_F(DiskTest, AVolatileCacheLosesWhatWasNotFlushed) {
  disk_.behaviour.volatile_cache = true;
  int lost = 0;
  for (uint64_t b = 0; b < 64; ++b) write(b, 10);
  settle();
  disk_.power_lost();
  for (uint64_t b = 0; b < 64; ++b) lost += disk_.read_block(b) == kFirstVersion ? 1 : 0;
  EXPECT_GT(lost, 0);
  EXPECT_LT(lost, 64);
}

// A heal writes what is there already.
TEST_F(DiskTest, WhatIsWrittenOverItselfIsNotTorn) {
  disk_.behaviour.volatile_cache = true;
  for (const bool flushed : {true, false}) {
    for (uint64_t b = 0; b < 64; ++b) write(b, 10);
    settle();
    if (flushed) flush();
    settle();
  }
  disk_.power_lost();
  for (uint64_t b = 0; b < 64; ++b) EXPECT_EQ(disk_.read_block(b), 10U);
}

TEST_F(DiskTest, FlushAndFuaKeep) {
  disk_.behaviour.volatile_cache = true;
  for (uint64_t b = 0; b < 32; ++b) write(b, 10);
  settle();
  flush();
  settle();
  for (uint64_t b = 32; b < 64; ++b) write(b, 10, true);
  settle();
  disk_.power_lost();
  for (uint64_t b = 0; b < 64; ++b) EXPECT_EQ(disk_.read_block(b), 10U);
}

TEST_F(DiskTest, AFlushCoversOnlyWhatWasCompleteWhenItCame) {
  disk_.behaviour.volatile_cache = true;
  int lost = 0;
  for (int i = 0; i < 64; ++i) {
    create();
    flush();
    write(1, 10);
    settle();
    disk_.power_lost();
    lost += disk_.read_block(1) == kFirstVersion ? 1 : 0;
  }
  EXPECT_GT(lost, 0);
}

TEST_F(DiskTest, AKilledProcessesWritesLandBeforeTheClaimIsFree) {
  for (uint64_t b = 0; b < 64; ++b) write(b, 10);
  disk_.process_killed();
  EXPECT_TRUE(disk_.busy());
  settle();
  EXPECT_FALSE(disk_.busy());
  EXPECT_GT(disk_.counters.orphans_landed, 0U);
  EXPECT_GT(disk_.counters.orphans_lost, 0U);
}

TEST_F(DiskTest, AnUnreadableBitmapPageIsAllOnes) {
  auto bits = std::make_shared<BitPage>();
  while (disk_.counters.torn_pages == 0) {
    disk_.write(WriteBitmapPage{{}, Seat{1}, 0, bits}, [](bool) {});
    disk_.power_lost();
  }
  EXPECT_EQ(disk_.load().bitmaps[1].count(), 2048U);
}

TEST_F(DiskTest, ATornIntentPageLeavesTheOtherSlot) {
  auto bits = std::make_shared<BitPage>();
  (*bits)[0] = 1;
  disk_.write(WriteIntentPage{{}, 0, 1, bits}, [](bool) {});
  settle();
  while (disk_.counters.torn_pages == 0) {
    disk_.write(WriteIntentPage{{}, 0, 2, std::make_shared<BitPage>()}, [](bool) {});
    disk_.power_lost();
  }
  EXPECT_GE(disk_.load().intent.count(), 1U);
}

class Ear : public Endpoint {
 public:
  bool running() const override { return true; }
  bool silent() const override { return false; }
  bool refuses(Seat) const override { return false; }
  void link_up(Seat, LinkId id) override {
    link = id;
    up = true;
  }
  void link_down(Seat, LinkId) override { up = false; }
  void receive(Seat, LinkId, const Message& message, Payload) override {
    EXPECT_TRUE(up);
    if (const auto* reply = std::get_if<WriteReply>(&message)) heard.push_back(reply->op.value);
  }
  bool up = false;
  LinkId link;
  std::vector<uint64_t> heard;
};

class NetTest : public testing::Test {
 protected:
  NetTest() : net_(queue_, Prng(4)) {
    net_.attach(Seat{0}, &a_);
    net_.attach(Seat{1}, &b_);
    net_.join(Seat{0}, Seat{1});
    queue_.run_until(Instant{} + seconds(2));
  }
  void say(uint64_t n) { net_.send(Seat{0}, Seat{1}, a_.link, WriteReply{{}, OpId{n}, IoStatus::ok}, nullptr); }
  void pass(Duration time) { queue_.run_until(queue_.now() + time); }
  EventQueue queue_;
  SimNet net_;
  Ear a_, b_;
};

TEST_F(NetTest, ALaneKeepsItsOrder) {
  for (uint64_t n = 0; n < 100; ++n) say(n);
  pass(seconds(1));
  ASSERT_EQ(b_.heard.size(), 100U);
  EXPECT_TRUE(std::is_sorted(b_.heard.begin(), b_.heard.end()));
}

TEST_F(NetTest, AShortSilenceOnlyDelays) {
  net_.block(Seat{0}, Seat{1}, true);
  say(1);
  pass(milliseconds(400));
  EXPECT_TRUE(b_.heard.empty());
  net_.block(Seat{0}, Seat{1}, false);
  pass(milliseconds(400));
  EXPECT_EQ(b_.heard.size(), 1U);
  EXPECT_TRUE(b_.up);
}

TEST_F(NetTest, ALongSilenceEndsTheLinkOnBothSidesAndNothingOldArrives) {
  net_.block(Seat{0}, Seat{1}, true);
  say(1);
  pass(seconds(4));
  EXPECT_FALSE(a_.up);
  EXPECT_FALSE(b_.up);
  net_.block(Seat{0}, Seat{1}, false);
  pass(seconds(4));
  EXPECT_TRUE(a_.up);
  EXPECT_TRUE(b_.up);
  EXPECT_TRUE(b_.heard.empty());
}

TEST_F(NetTest, AResetLinkComesBackUnderAnotherName) {
  const LinkId before = a_.link;
  net_.reset(Seat{0}, Seat{1});
  pass(seconds(2));
  EXPECT_TRUE(a_.up);
  EXPECT_NE(a_.link, before);
}

TEST(SimClock, GivesLocalTimeAndBack) {
  for (int drift : {-22, 0, 22}) {
    const SimClock clock(Instant{1'000'000}, Instant{77'000'000'000}, drift);
    for (int64_t passed : {int64_t{0}, int64_t{12345}, int64_t{1'000'000'000}, int64_t{3'600'000'000'000}}) {
      const Instant local = clock.local(Instant{1'000'000 + passed});
      const Instant world = clock.world(local);
      EXPECT_GE(clock.local(world), local);
      EXPECT_NEAR(static_cast<double>(world.ns), static_cast<double>(1'000'000 + passed), 10'000);
    }
  }
}

TEST(EventQueue, KeepsOrderAtOneInstant) {
  EventQueue queue;
  std::vector<int> seen;
  for (int i = 0; i < 10; ++i) queue.at(Instant{5}, [&seen, i] { seen.push_back(i); });
  queue.run_until(Instant{10});
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(queue.now(), Instant{10});
}

}  // namespace
}  // namespace lockstep::sim
