// Recorder, ring and player together, on a Replica that is told simple things.
#include <gtest/gtest.h>

#include "flight/memory_space.h"
#include "flight/player.h"
#include "flight/recorder.h"

namespace lockstep::flight {
namespace {

constexpr uint64_t kBlocks = 3 * kBitsPerPage + 17;

Beginning sample_beginning() {
  Beginning beginning;
  beginning.config.self = Seat{0};
  beginning.config.data_nodes = {Seat{0}, Seat{1}};
  beginning.config.witnesses = {witness_seat(0)};
  beginning.config.lease_drift_permille = 51;
  NodeRecord& record = beginning.loaded.record;
  record.node = Seat{0};
  record.disk = Uuid::from_words(1, 2);
  record.size_bytes = kBlocks * kBlockBytes;
  record.acceptor.acceptor = Uuid::from_words(3, 4);
  record.boot = Uuid::from_words(5, 6);
  record.memory.lineage.start = 9;
  beginning.loaded.intent = BitVector((record.size_bytes + kExtentBytes - 1) / kExtentBytes);
  beginning.loaded.intent.set(3);
  BitVector& dirty = beginning.loaded.bitmaps[1];
  dirty = BitVector(kBlocks);
  dirty.set_range(100, 40);
  dirty.set_range(kBitsPerPage - 3, 70);
  for (uint64_t i = 0; i < kBitsPerPage; i += 2) dirty.set(2 * kBitsPerPage + i);  // as dense as changes can be
  beginning.loaded.intent_sequences = {1, 2, 3, 4, 5, 6, 7, 1000};
  beginning.begun = Instant{seconds(100).ns};
  return beginning;
}

// A Replica and its recording.
struct Recorded {
  explicit Recorded(size_t segments = 64) : space(kMinSegmentBytes, segments) {}
  void tell(const Event& event) {
    now = now + milliseconds(3);
    recorder.before(now, event);
    Effects effects;
    replica.step(now, event, effects);
    recorder.after(now, replica, effects);
  }
  void tell_many(size_t count) {
    for (size_t i = 0; i < count; ++i)
      tell(i % 7 == 0 ? Event(LinkUp{Seat{1}, {i + 1}}) : i % 7 == 3 ? Event(LinkDown{Seat{1}, {i - 2}}) : Event(Tick{}));
  }
  Beginning beginning = sample_beginning();
  MemorySpace space;
  About about{"test", "r0", "alpha", 5, beginning.begun, {{Seat{1}, "beta"}}};
  Recorder recorder{space, about, beginning};
  Replica replica{beginning.config, beginning.loaded, beginning.begun};
  Instant now = beginning.begun;
};

// Runs it to its end; the bytes must outlive the player, so it gives what a test wants to know.
struct Outcome {
  std::string error;
  bool replays = false;
  uint64_t steps = 0, first = 0, states = 0;
  bool closed = false;
  std::string damage;
  std::optional<Difference> difference;
  NodeRecord record;
};
Outcome play(const std::vector<std::byte>& bytes) {
  Outcome outcome;
  auto opened = Player::open(bytes);
  if (!opened) {
    outcome.error = opened.error().where;
    return outcome;
  }
  Player player = std::move(opened).value();
  bool first = true;
  while (const auto step = player.next()) {
    if (first) outcome.first = step->number;
    first = false;
  }
  outcome.replays = player.replays();
  outcome.steps = player.steps();
  outcome.states = player.states_compared();
  outcome.closed = player.closed();
  outcome.damage = player.damage();
  outcome.difference = player.difference();
  if (player.replays()) outcome.record = player.replica().record();
  return outcome;
}

TEST(Recording, TheSetupComesBack) {
  Recorded run;
  const auto bytes = run.space.bytes();
  auto reader = EntryReader::open(bytes);
  ASSERT_TRUE(reader.ok());
  BeginningReader back;
  while (const auto entry = reader.value().next()) {
    ASSERT_TRUE(back.take(static_cast<Kind>(entry->kind), Unpacker(entry->body)));
  }
  ASSERT_TRUE(back.complete());
  const Beginning& beginning = back.beginning();
  EXPECT_EQ(beginning.config.lease_drift_permille, 51);
  EXPECT_EQ(beginning.config.resync_flush_blocks, run.beginning.config.resync_flush_blocks);
  EXPECT_EQ(beginning.config.resync_flush_interval, run.beginning.config.resync_flush_interval);
  EXPECT_EQ(beginning.loaded.record, run.beginning.loaded.record);
  EXPECT_EQ(beginning.loaded.intent_sequences, run.beginning.loaded.intent_sequences);
  EXPECT_EQ(beginning.begun, run.beginning.begun);
  for (const auto& [now, was] : {std::pair{&beginning.loaded.intent, &run.beginning.loaded.intent},
                                 std::pair{&beginning.loaded.bitmaps[1], &run.beginning.loaded.bitmaps[1]}}) {
    ASSERT_EQ(now->size(), was->size());
    EXPECT_EQ(now->count(), was->count());
    for (uint32_t i = 0; i < was->pages(); ++i) EXPECT_EQ(now->page(i), was->page(i));
  }
  EXPECT_EQ(beginning.loaded.bitmaps[2].size(), 0U);
}

TEST(Recording, EndsInTheSameState) {
  Recorded run;
  run.tell_many(20000);
  const Outcome open = play(run.space.bytes());
  EXPECT_EQ(open.error + open.damage, "");
  EXPECT_FALSE(open.difference.has_value());
  EXPECT_FALSE(open.closed);
  EXPECT_EQ(open.steps, 20000U);
  EXPECT_GE(open.states, 4U);
  EXPECT_EQ(open.record, run.replica.record());
  run.recorder.closed(run.now, run.replica);
  EXPECT_TRUE(play(run.space.bytes()).closed);
}

TEST(Recording, TheAboutIsThere) {
  Recorded run;
  const auto bytes = run.space.bytes();
  auto player = Player::open(bytes);
  ASSERT_TRUE(player.ok());
  EXPECT_EQ(player.value().about().resource, "r0");
  EXPECT_EQ(player.value().about().names.at(0).second, "beta");
}

// A kill can come between any two bytes of the last entry.
TEST(Recording, ATornTailCostsTheLastEntryOnly) {
  Recorded run;
  run.tell_many(50);
  const auto before = run.space.bytes();
  run.recorder.before(run.now + milliseconds(1), Event(LinkUp{Seat{1}, {99}}));
  const auto after = run.space.bytes();
  ASSERT_EQ(before.size(), after.size());
  for (size_t at = kHeaderBytes; at < after.size(); ++at) {
    if (before[at] == after[at]) continue;
    auto torn = after;
    torn[at] = before[at];
    const Outcome outcome = play(torn);
    EXPECT_EQ(outcome.error + outcome.damage, "") << at;
    EXPECT_FALSE(outcome.difference.has_value());
    EXPECT_EQ(outcome.steps, 50U) << at;
  }
  EXPECT_EQ(play(after).steps, 51U);
}

TEST(Recording, ADamagedMiddleIsTold) {
  Recorded run;
  run.tell_many(20000);
  auto bytes = run.space.bytes();
  bytes[kHeaderBytes + kMinSegmentBytes + 1000] ^= std::byte{1};
  const Outcome outcome = play(bytes);
  EXPECT_NE(outcome.damage, "");
  EXPECT_FALSE(outcome.difference.has_value());
}

TEST(Recording, ADifferenceIsFoundAtItsEvent) {
  Recorded run;
  run.tell_many(30);
  run.recorder.after(run.now, run.replica, {Release{{4}}});  // an effect that the replay will not have
  run.tell_many(30);
  const Outcome outcome = play(run.space.bytes());
  ASSERT_TRUE(outcome.difference.has_value());
  EXPECT_EQ(outcome.difference->event, 29U);
}

TEST(Recording, TheRingComesRound) {
  Recorded run(4);
  run.tell_many(60000);
  run.recorder.closed(run.now, run.replica);
  const auto bytes = run.space.bytes();
  EXPECT_LE(bytes.size(), kHeaderBytes + 4 * kMinSegmentBytes);
  const Outcome outcome = play(bytes);
  EXPECT_EQ(outcome.error + outcome.damage, "");
  EXPECT_FALSE(outcome.replays);
  EXPECT_TRUE(outcome.closed);
  EXPECT_GT(outcome.first, 0U);
  EXPECT_EQ(outcome.first + outcome.steps, 60000U);
}

TEST(Recording, AFullDiskMakesTheRingSmaller) {
  Recorded run;
  run.tell_many(1000);
  run.space.be_full();
  run.tell_many(59000);
  const Outcome outcome = play(run.space.bytes());
  EXPECT_EQ(outcome.error + outcome.damage, "");
  EXPECT_FALSE(outcome.replays);
  EXPECT_EQ(outcome.first + outcome.steps, 60000U);

  MemorySpace none(kMinSegmentBytes, 4);
  none.be_full();
  EXPECT_FALSE(Recorder(none, run.about, run.beginning).ok());
}

TEST(Recording, WhatIsNoRecordingIsToldApart) {
  EXPECT_NE(play({}).error, "");
  EXPECT_NE(play(std::vector<std::byte>(100000)).error.find("no recording"), std::string::npos);
  Recorded run;
  auto bytes = run.space.bytes();
  bytes.resize(kHeaderBytes);
  EXPECT_NE(play(bytes).error.find("nothing in it is whole"), std::string::npos);
}

}  // namespace
}  // namespace lockstep::flight
