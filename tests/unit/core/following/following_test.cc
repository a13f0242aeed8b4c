// Protocols A and B: what waits for a follower and what does not, in which order it applies changes, and what its bitmap says meanwhile.
#include <gtest/gtest.h>

#include "core/following/feed.h"
#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

constexpr Range block(uint64_t number) { return {number * kBlockBytes, kBlockBytes}; }

class Followers : public testing::Test {
 protected:
  void begin(const std::function<void(CoreConfig&)>& more = [](CoreConfig&) {}) {
    LabOptions options;
    options.configure = [more](CoreConfig& config) {
      config.asynchronous = config.data_nodes - SeatSet{config.self};
      more(config);
    };
    lab_.emplace(options);
    lab_->create();
    lab_->promote(kA);
    lab_->advance(seconds(2));
    ASSERT_TRUE(follows());
    lab_->delivered.clear();
  }
  bool follows() { return lab_->show(kA).peers[0].follows; }
  bool marked(uint64_t number) { return lab_->node(kA).replica->differing(kB).test(number); }
  void hold_writes_of_b() {
    lab_->node(kB).hold_disk = [](const DiskIo& io) { return is_change(io.kind); };
  }
  void release_b() {
    lab_->node(kB).hold_disk = [](const DiskIo&) { return false; };
    lab_->run();
  }
  // From here on each change of B waits at its disk until it is let go; with `flushes` too, they wait until release_b().
  void hold_each_change_of_b(bool flushes = false) {
    lab_->node(kB).hold_disk = [this, flushes](const DiskIo& io) {
      if (!is_change(io.kind)) return flushes && io.kind == OpKind::flush;
      if (changes_let_go_ == 0) return true;
      --changes_let_go_;
      return false;
    };
  }
  void let_a_change_of_b_go() {
    ++changes_let_go_;
    lab_->run();
  }
  void hold_reads_of_a() {
    lab_->node(kA).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::read; };
  }
  void release_a() {
    lab_->node(kA).hold_disk = [](const DiskIo&) { return false; };
    lab_->run();
  }
  void owe(const Range& range) {
    lab_->cut(kA, kB);
    lab_->write(kA, range);
    lab_->run();
    lab_->delivered.clear();
  }
  // Of the same Primary: the witness is another one.
  void another_tenure() {
    const uint64_t before = lab_->node(kB).tenure().number;
    for (Seat seat : {kA, kB}) lab_->cut(seat, kW);
    lab_->start_witness(kW, uuid(777));
    for (Seat seat : {kA, kB}) lab_->connect(seat, kW);
    lab_->advance(milliseconds(500));
    ASSERT_GT(lab_->node(kB).tenure().number, before);
    ASSERT_EQ(lab_->node(kB).tenure().primary, lab_->node(kA).tenure().primary);
    ASSERT_TRUE(follows());
  }
  bool timed_out() {
    const auto& closed = lab_->node(kA).closed;
    return !closed.empty() && closed.back().reason == Reason::acknowledgement_timeout;
  }
  template <class T>
  size_t sent() {
    return static_cast<size_t>(std::count_if(lab_->delivered.begin(), lab_->delivered.end(), [](const Lab::Mail& letter) {
      return std::holds_alternative<T>(letter.send.message);
    }));
  }
  std::optional<Lab> lab_;
  int changes_let_go_ = 0;
};

TEST_F(Followers, AreNotInTheSetOfTheirPrimary) {
  begin();
  EXPECT_EQ(lab_->node(kA).tenure().members, SeatSet{kA});
  EXPECT_EQ(lab_->show(kA).peers[0].disk, DiskState::consistent);
  EXPECT_EQ(lab_->show(kA).peers[0].replication, ReplicationState::established);
  EXPECT_EQ(lab_->show(kB).disk, DiskState::consistent);
  EXPECT_EQ(lab_->show(kB).peers[0].replication, ReplicationState::established);
}

TEST_F(Followers, UnderANoWriteWaitsForThem) {
  begin();
  lab_->hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<FollowerWrite>(letter.send.message); };
  const ClientIo io = lab_->write(kA);
  lab_->run();
  EXPECT_EQ(lab_->answer(kA, io), IoStatus::ok);
  EXPECT_EQ(lab_->show(kA).peers[0].bytes_behind, kBlockBytes);
  EXPECT_EQ(lab_->show(kA).dirty_blocks[kB.value], 0u) << "what is on its way is not out of sync";
  EXPECT_TRUE(marked(0));
}

TEST_F(Followers, UnderBAWriteWaitsUntilItWasReceivedAndNoLonger) {
  begin([](CoreConfig& config) { config.by_receipt = config.asynchronous; });
  hold_writes_of_b();
  lab_->hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<WriteReceived>(letter.send.message); };
  const ClientIo io = lab_->write(kA);
  lab_->run();
  EXPECT_EQ(lab_->answer(kA, io), std::nullopt);
  lab_->hold_mail = [](const Lab::Mail&) { return false; };
  lab_->run();
  EXPECT_EQ(lab_->answer(kA, io), IoStatus::ok) << "its disk has it not yet";
}

TEST_F(Followers, UnderBALostLinkAnswersWhatWaited) {
  begin([](CoreConfig& config) { config.by_receipt = config.asynchronous; });
  lab_->hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<FollowerWrite>(letter.send.message); };
  const ClientIo io = lab_->write(kA);
  lab_->run();
  lab_->cut(kA, kB);
  lab_->run();
  EXPECT_EQ(lab_->answer(kA, io), IoStatus::ok);
  EXPECT_TRUE(marked(0));
}

TEST_F(Followers, ABitGoesWithAFlushThatWasBegunBehindTheWriteAndWithNoOther) {
  begin();
  lab_->node(kB).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::flush; };
  lab_->write(kA, block(3));
  lab_->advance(seconds(1));  // a flush is under way
  ASSERT_EQ(sent<FollowerFlush>(), 1u);
  lab_->write(kA, block(3));
  lab_->write(kA, block(4));
  lab_->run();
  EXPECT_EQ(lab_->show(kA).peers[0].bytes_behind, 0u);
  EXPECT_TRUE(marked(3)) << "applied is not flushed";
  release_b();
  EXPECT_TRUE(marked(3)) << "the second write came behind that flush";
  EXPECT_TRUE(marked(4));
  lab_->advance(seconds(1));
  EXPECT_FALSE(marked(3));
  EXPECT_FALSE(marked(4));
}

// After a crash of the Primary the others know by their intent maps what they may have and it may lack.
TEST_F(Followers, ForgetNothingThatIsNotSettledEverywhere) {
  begin();
  lab_->node(kA).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::flush; };
  lab_->write(kA, block(3));
  lab_->advance(seconds(2));
  EXPECT_FALSE(marked(3)) << "it is flushed there";
  EXPECT_EQ(sent<Settled>(), 0u);
  lab_->advance(seconds(5));
  EXPECT_EQ(lab_->show(kB).hot_extents, 1u);
  lab_->node(kA).hold_disk = [](const DiskIo&) { return false; };
  lab_->advance(seconds(7));
  EXPECT_GE(sent<Settled>(), 1u);
  EXPECT_EQ(lab_->show(kB).hot_extents, 0u);
}

// A resync in between makes nothing older than it is (found by a review).
TEST_F(Followers, ForgetNothingForALinkThatWasLostForAMoment) {
  begin();
  lab_->node(kA).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::flush; };
  lab_->write(kA, block(3));
  lab_->run();
  lab_->cut(kA, kB);
  lab_->connect(kA, kB);
  lab_->advance(seconds(2));
  ASSERT_TRUE(follows());
  lab_->advance(seconds(5));
  EXPECT_EQ(lab_->show(kB).hot_extents, 1u);
  lab_->node(kA).hold_disk = [](const DiskIo&) { return false; };
  lab_->advance(seconds(7));
  EXPECT_EQ(lab_->show(kB).hot_extents, 0u);
}

TEST_F(Followers, AFailedDiskDoesNotLeaveWhatWaitedBehindItsWrites) {
  begin();
  hold_writes_of_b();
  lab_->write(kA, block(1));
  lab_->run();
  lab_->write(kA, block(2));
  lab_->advance(seconds(1));
  ASSERT_EQ(sent<FollowerFlush>(), 1u);
  lab_->node(kB).disk_status = [](const DiskIo&) { return IoStatus::io_error; };
  release_b();
  lab_->advance(seconds(1));
  EXPECT_EQ(lab_->show(kA).peers[0].disk, DiskState::diskless);
  const AdminId down = lab_->admin(kA, AdminOp::secondary);
  lab_->advance(seconds(2));
  EXPECT_TRUE(lab_->ok(kA, down));
  EXPECT_EQ(lab_->node(kB).tenure(), lab_->node(kA).tenure()) << "it adopts what is decided";
}

TEST_F(Followers, AWriteInABlockThatAResyncOwesSettlesNothing) {
  begin([](CoreConfig& config) {
    config.resync_chunk_bytes = kBlockBytes;
    config.resync_window = 1;
  });
  lab_->cut(kA, kB);
  lab_->write(kA, block(0));
  lab_->write(kA, block(7));
  lab_->run();
  lab_->node(kA).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::read; };
  lab_->connect(kA, kB);
  lab_->advance(milliseconds(200));
  ASSERT_TRUE(marked(7));
  lab_->write(kA, {7 * kBlockBytes, 512});  // the rest of that block was never sent
  lab_->advance(seconds(3));
  EXPECT_GE(sent<FollowerFlush>(), 1u);
  EXPECT_TRUE(marked(7));
  lab_->node(kA).hold_disk = [](const DiskIo&) { return false; };
  lab_->advance(seconds(3));
  EXPECT_TRUE(follows());
  EXPECT_FALSE(marked(7));
}

TEST_F(Followers, AMissingChangeEndsTheLink) {
  begin();
  const Stamp stamp = stamp_of(lab_->node(kB).tenure());
  lab_->inject(kA, kB, FollowerWrite{stamp, 1'000, 999, 0, OpKind::write, block(1), false}, lab_->fresh_payload());
  ASSERT_FALSE(lab_->node(kB).closed.empty());
  EXPECT_EQ(lab_->node(kB).closed.back().reason, Reason::protocol_violation);
}

// A peer that has the secret, and sends more than any Primary does.
TEST_F(Followers, MoreThanAPrimaryMaySendAtOnceEndsTheLink) {
  begin();
  const Stamp stamp = stamp_of(lab_->node(kB).tenure());
  lab_->node(kB).hold_disk = [](const DiskIo&) { return true; };
  uint64_t previous = 0;
  for (const Lab::Mail& letter : lab_->delivered) {
    if (const auto* write = std::get_if<FollowerWrite>(&letter.send.message)) previous = write->position;
  }
  uint64_t taken = 0;
  for (; taken < 10'000 && lab_->node(kB).closed.empty(); ++taken, ++previous)
    lab_->inject(kA, kB, FollowerWrite{stamp, previous + 1, previous, previous, OpKind::write, block(1), false},
                 lab_->fresh_payload());
  ASSERT_FALSE(lab_->node(kB).closed.empty());
  EXPECT_EQ(lab_->node(kB).closed.back().reason, Reason::protocol_violation);
  EXPECT_GT(taken, 8'000u);
}

TEST_F(Followers, AsMuchBehindChangesEndsTheLink) {
  begin();
  const Stamp stamp = stamp_of(lab_->node(kB).tenure());
  lab_->node(kB).hold_disk = [](const DiskIo& io) { return is_change(io.kind); };
  lab_->write(kA, block(1));
  uint64_t taken = 0;
  for (; taken < 10'000 && lab_->node(kB).closed.empty(); ++taken) lab_->inject(kA, kB, FlushRequest{stamp, {taken + 1}});
  ASSERT_FALSE(lab_->node(kB).closed.empty());
  EXPECT_EQ(lab_->node(kB).closed.back().reason, Reason::protocol_violation);
  EXPECT_GT(taken, 8'000u);
}

TEST_F(Followers, AFlushThatCoversAMissingChangeEndsTheLink) {
  begin();
  lab_->lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<FollowerWrite>(letter.send.message); };
  lab_->write(kA, block(1));
  lab_->advance(seconds(1));
  ASSERT_FALSE(lab_->node(kB).closed.empty());
  EXPECT_EQ(lab_->node(kB).closed.back().reason, Reason::protocol_violation);
  EXPECT_TRUE(marked(1));
}

// The second write was asked for when the first was answered.
TEST_F(Followers, WhatComesBehindAnAnswerIsAppliedBehindIt) {
  begin();
  hold_writes_of_b();
  lab_->write(kA, block(1));
  lab_->run();
  lab_->write(kA, block(2));
  lab_->run();
  EXPECT_EQ(lab_->node(kB).disk.size(), 1u);
  lab_->node(kB).hold_disk = [](const DiskIo& io) { return io.range == block(2); };
  lab_->run();
  ASSERT_EQ(lab_->node(kB).disk.size(), 1u);
  EXPECT_EQ(lab_->node(kB).disk.front().range, block(2));
}

TEST_F(Followers, WhatWasUnderWayAtOnceIsAppliedAtOnce) {
  begin();
  hold_writes_of_b();
  lab_->node(kA).hold_disk = [](const DiskIo& io) { return is_change(io.kind); };
  lab_->write(kA, block(1));
  lab_->write(kA, block(2));
  lab_->run();
  EXPECT_EQ(lab_->node(kB).disk.size(), 2u);
}

TEST_F(Followers, PullAheadLeavesAFollowerBehindAndFetchesItLater) {
  begin([](CoreConfig& config) {
    config.on_congestion = OnCongestion::pull_ahead;
    config.congestion_bytes = 2 * kBlockBytes;
  });
  hold_writes_of_b();
  for (uint64_t i = 0; i < 4; ++i) {
    const ClientIo io = lab_->write(kA, block(i));
    lab_->run();
    EXPECT_EQ(lab_->answer(kA, io), IoStatus::ok);
  }
  EXPECT_EQ(sent<FollowerWrite>(), 2u);
  EXPECT_EQ(lab_->show(kA).peers[0].replication, ReplicationState::ahead);
  EXPECT_EQ(lab_->show(kB).peers[0].replication, ReplicationState::behind);
  EXPECT_EQ(lab_->show(kA).dirty_blocks[kB.value], 4u);
  EXPECT_TRUE(lab_->node(kA).noted(Notice::left_behind));
  EXPECT_FALSE(lab_->node(kB).record.inconsistent) << "it is as the Primary was";
  lab_->advance(seconds(3));
  EXPECT_EQ(sent<ResyncBegin>(), 0u) << "what was sent before is not applied yet";
  release_b();
  lab_->advance(seconds(5));
  EXPECT_TRUE(follows());
  EXPECT_EQ(lab_->show(kA).dirty_blocks[kB.value], 0u);
}

TEST_F(Followers, BlockHoldsWritesUntilTheFollowerHasCaughtUp) {
  begin([](CoreConfig& config) { config.congestion_bytes = 2 * kBlockBytes; });
  hold_writes_of_b();
  ClientIo io;
  for (uint64_t i = 0; i < 3; ++i) {
    io = lab_->write(kA, block(i));
    lab_->run();
  }
  EXPECT_EQ(lab_->answer(kA, io), std::nullopt);
  release_b();
  EXPECT_EQ(lab_->answer(kA, io), IoStatus::ok);
}

TEST_F(Followers, BlockEndsWithTheLink) {
  begin([](CoreConfig& config) { config.congestion_bytes = kBlockBytes; });
  hold_writes_of_b();
  lab_->write(kA, block(0));
  lab_->run();
  const ClientIo io = lab_->write(kA, block(1));
  lab_->run();
  EXPECT_EQ(lab_->answer(kA, io), std::nullopt);
  lab_->cut(kA, kB);
  lab_->run();
  EXPECT_EQ(lab_->answer(kA, io), IoStatus::ok);
}

TEST_F(Followers, DisconnectEndsTheLinkUntilAnOperatorConnectsIt) {
  begin([](CoreConfig& config) {
    config.on_congestion = OnCongestion::disconnect;
    config.congestion_bytes = kBlockBytes;
  });
  hold_writes_of_b();
  lab_->write(kA, block(0));
  lab_->run();
  const ClientIo io = lab_->write(kA, block(1));
  lab_->run();
  EXPECT_EQ(lab_->answer(kA, io), IoStatus::ok);
  ASSERT_FALSE(lab_->node(kA).closed.empty());
  EXPECT_EQ(lab_->node(kA).closed.back().reason, Reason::congested);
  EXPECT_TRUE(lab_->node(kA).closed.back().stand_alone);
  EXPECT_TRUE(marked(1));
}

TEST_F(Followers, OneThatAnswersNothingIsGivenUp) {
  begin();
  hold_writes_of_b();
  lab_->write(kA, block(0));
  lab_->advance(seconds(8));
  ASSERT_FALSE(lab_->node(kA).closed.empty());
  EXPECT_EQ(lab_->node(kA).closed.back().reason, Reason::acknowledgement_timeout);
}

TEST_F(Followers, ASwitchOverBringsThemLevelAndTakesThemIn) {
  begin();
  hold_writes_of_b();
  lab_->write(kA, block(0));
  lab_->run();
  const AdminId down = lab_->admin(kA, AdminOp::secondary);
  lab_->advance(milliseconds(500));
  EXPECT_FALSE(lab_->result(kA, down)) << "it waits for the follower";
  release_b();
  lab_->advance(seconds(1));
  EXPECT_TRUE(lab_->ok(kA, down));
  EXPECT_EQ(lab_->node(kA).tenure().members, (SeatSet{kA, kB}));
  EXPECT_TRUE(lab_->node(kA).tenure().clean);
  lab_->promote(kB);
  lab_->advance(seconds(2));
  EXPECT_EQ(lab_->node(kB).tenure().members, SeatSet{kB});
  EXPECT_TRUE(lab_->show(kB).peers[0].follows);
}

TEST_F(Followers, ASwitchOverDoesNotWaitForOneThatDoesNotCome) {
  begin();
  hold_writes_of_b();
  lab_->write(kA, block(0));
  lab_->run();
  const AdminId down = lab_->admin(kA, AdminOp::secondary);
  lab_->advance(seconds(15));
  EXPECT_TRUE(lab_->ok(kA, down));
  EXPECT_EQ(lab_->node(kA).tenure().members, SeatSet{kA});
}

TEST_F(Followers, AreNotPromotedWhenThePrimaryIsGone) {
  begin();
  lab_->kill(kA);
  lab_->advance(seconds(10));
  const AdminId up = lab_->admin(kB, AdminOp::primary);
  lab_->advance(seconds(12));
  EXPECT_FALSE(lab_->ok(kB, up));
  EXPECT_NE(lab_->reason(kB, up), Reason::none);
}

// Its source gave that one up without a word: what it asked for last would make whole what the new one has only begun to copy.
TEST_F(Followers, ABegunResyncForgetsWhatWaitedOfAnEarlierOne) {
  begin();
  hold_writes_of_b();
  lab_->write(kA, block(1));
  lab_->run();
  const Stamp stamp = stamp_of(lab_->node(kB).tenure());
  lab_->inject(kA, kB, JoinPrepare{stamp, {77}});
  lab_->inject(kA, kB, ResyncBegin{stamp, false});
  release_b();
  EXPECT_EQ(sent<ResyncMap>(), 1u) << "the new one has begun";
  EXPECT_EQ(sent<JoinReady>(), 0u);
  EXPECT_TRUE(lab_->node(kB).record.inconsistent);
}

// It is compared as a member, after a switch-over; what differed is forgotten when that is written anew, also by one that follows by then.
TEST_F(Followers, AreComparedOnceTheyAreMembers) {
  begin();
  EXPECT_EQ(lab_->reason(kA, lab_->admin(kA, AdminOp::verify)), Reason::peer_follows);
  EXPECT_EQ(lab_->reason(kA, lab_->admin(kA, AdminOp::repair, kB)), Reason::peer_follows);
  ASSERT_TRUE(lab_->ok(kA, lab_->admin(kA, AdminOp::secondary)));
  ASSERT_EQ(lab_->node(kA).tenure().members, (SeatSet{kA, kB}));
  lab_->node(kB).disk_finds = [](const DiskIo& io) {
    return io.look == Look::compare && io.range.offset == 0 ? BlockMask{3} : 0;
  };
  ASSERT_TRUE(lab_->ok(kA, lab_->admin(kA, AdminOp::verify)));
  lab_->advance(seconds(2));
  ASSERT_EQ(lab_->show(kA).peers[0].verify.differing, 2u);
  lab_->promote(kA);
  lab_->advance(seconds(2));
  ASSERT_TRUE(follows());
  hold_writes_of_b();
  lab_->write(kA, block(0));
  EXPECT_EQ(lab_->show(kA).peers[0].verify.differing, 2u) << "not there yet";
  release_b();
  EXPECT_EQ(lab_->show(kA).peers[0].verify.differing, 1u);
}

// Its Primary says no more of what it has said already.
TEST_F(Followers, ALaterTenureOfTheirPrimaryPinsNothing) {
  begin();
  lab_->write(kA, block(1));
  lab_->advance(seconds(1));
  ASSERT_GE(sent<Settled>(), 1u);
  ASSERT_EQ(lab_->show(kB).hot_extents, 1u);
  another_tenure();
  lab_->advance(seconds(6));
  EXPECT_EQ(lab_->show(kB).hot_extents, 0u);
}

// The first write is settled after that tenure, and the second one is not.
TEST_F(Followers, ALaterTenureOfTheirPrimaryMakesNothingOlderThanItIs) {
  begin();
  const auto is_flush = [](const DiskIo& io) { return io.kind == OpKind::flush; };
  lab_->node(kB).hold_disk = is_flush;
  lab_->write(kA, block(1));
  lab_->advance(seconds(1));
  lab_->node(kA).hold_disk = is_flush;
  lab_->write(kA, {kExtentBytes, kBlockBytes});
  another_tenure();
  ASSERT_EQ(sent<Settled>(), 0u);
  release_b();
  lab_->advance(seconds(6));
  EXPECT_EQ(sent<Settled>(), 1u);
  EXPECT_EQ(lab_->show(kB).hot_extents, 1u);
  release_a();
  lab_->advance(seconds(6));
  EXPECT_EQ(lab_->show(kB).hot_extents, 0u);
}

TEST_F(Followers, AChunkThatWaitsBehindChangesIsWaitedForWhileTheyAreAnswered) {
  begin();
  owe(block(0));
  hold_reads_of_a();
  lab_->connect(kA, kB);
  lab_->advance(milliseconds(200));
  hold_each_change_of_b();
  for (uint64_t i = 0; i < 4; ++i) lab_->write(kA, block(10 + i));
  release_a();
  ASSERT_EQ(sent<ResyncWrite>(), 1u);
  for (int i = 0; i < 4; ++i) {
    lab_->advance(seconds(3));
    EXPECT_FALSE(timed_out());
    let_a_change_of_b_go();
  }
  release_b();
  lab_->advance(seconds(1));
  EXPECT_TRUE(follows());
}

TEST_F(Followers, NoMoreIsCopiedThanMayWaitForAFlush) {
  begin([](CoreConfig& config) {
    config.resync_chunk_bytes = 16 * kBlockBytes;
    config.resync_window = 1;
    config.resync_flush_blocks = 16;
  });
  owe({0, 512 * kBlockBytes});
  lab_->node(kB).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::flush; };
  lab_->connect(kA, kB);
  lab_->advance(seconds(1));
  EXPECT_EQ(sent<ResyncWrite>(), 8u);
  release_b();
  lab_->advance(seconds(2));
  EXPECT_EQ(sent<ResyncWrite>(), 32u);
  EXPECT_TRUE(follows());
}

// A chunk brings the block.
TEST_F(Followers, DuringAResyncNoWriteWaitsForRoom) {
  begin([](CoreConfig& config) { config.congestion_bytes = 2 * kBlockBytes; });
  owe(block(0));
  hold_reads_of_a();
  lab_->connect(kA, kB);
  lab_->advance(milliseconds(200));
  hold_writes_of_b();
  for (uint64_t i = 1; i < 5; ++i) {
    const ClientIo io = lab_->write(kA, block(i));
    EXPECT_EQ(lab_->answer(kA, io), IoStatus::ok);
  }
  EXPECT_EQ(sent<FollowerWrite>(), 2u);
  EXPECT_EQ(lab_->show(kA).dirty_blocks[kB.value], 3u) << "owed: what it lacked before, and what found no room";
  release_b();
  release_a();
  lab_->advance(seconds(2));
  EXPECT_TRUE(follows());
  EXPECT_EQ(lab_->show(kA).dirty_blocks[kB.value], 0u);
}

// No chunk comes any more.
TEST_F(Followers, WhileAResyncIsEndingWritesWaitForRoom) {
  begin([](CoreConfig& config) { config.congestion_bytes = 2 * kBlockBytes; });
  owe(block(0));
  const auto is_flush = [](const DiskIo& io) { return io.kind == OpKind::flush; };
  lab_->node(kB).hold_disk = is_flush;
  lab_->connect(kA, kB);
  lab_->advance(milliseconds(500));
  ASSERT_EQ(sent<JoinPrepare>(), 1u);
  hold_each_change_of_b(true);
  ClientIo io;
  for (uint64_t i = 1; i < 4; ++i) io = lab_->write(kA, block(i));
  EXPECT_EQ(lab_->answer(kA, io), std::nullopt);
  let_a_change_of_b_go();
  EXPECT_EQ(lab_->answer(kA, io), IoStatus::ok);
  EXPECT_FALSE(follows()) << "it is still ending";
}

TEST_F(Followers, WhoIsTooFarBehindWhileAResyncIsEndingIsLeftBehind) {
  begin([](CoreConfig& config) {
    config.on_congestion = OnCongestion::pull_ahead;
    config.congestion_bytes = 2 * kBlockBytes;
  });
  owe(block(0));
  lab_->node(kB).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::flush; };
  lab_->connect(kA, kB);
  lab_->advance(milliseconds(500));
  ASSERT_EQ(sent<JoinPrepare>(), 1u);
  hold_each_change_of_b(true);
  for (uint64_t i = 1; i < 4; ++i) EXPECT_EQ(lab_->answer(kA, lab_->write(kA, block(i))), IoStatus::ok);
  EXPECT_EQ(lab_->show(kA).peers[0].replication, ReplicationState::ahead);
  release_b();
  lab_->advance(seconds(5));
  EXPECT_TRUE(follows());
  EXPECT_EQ(lab_->show(kA).dirty_blocks[kB.value], 0u);
}

TEST_F(Followers, AFlushIsWaitedForWhileWhatItCoversIsBeingApplied) {
  begin();
  hold_each_change_of_b();
  for (uint64_t i = 0; i < 4; ++i) lab_->write(kA, block(i));
  for (int i = 0; i < 4; ++i) {
    lab_->advance(seconds(3));
    EXPECT_FALSE(timed_out());
    let_a_change_of_b_go();
  }
  EXPECT_EQ(sent<FollowerFlush>(), 2u) << "the second one covers three of them";
  lab_->advance(seconds(1));
  EXPECT_FALSE(marked(3));
}

// Changes are answered all the while, and there is always a later one under way.
TEST_F(Followers, AFlushThatHasNothingLeftToWaitForHasItsTime) {
  begin();
  hold_each_change_of_b(true);
  lab_->write(kA, block(0));
  lab_->advance(seconds(1));
  ASSERT_EQ(sent<FollowerFlush>(), 1u);
  for (uint64_t i = 1; i < 9 && !timed_out(); ++i) {
    lab_->write(kA, block(i));
    let_a_change_of_b_go();
    lab_->advance(seconds(1));
  }
  EXPECT_TRUE(timed_out());
}

// Its source has not heard yet that it was declined.
TEST_F(Followers, AFlushOfAResyncThatWasDeclinedIsNoViolation) {
  begin();
  owe(block(0));
  lab_->admin(kB, AdminOp::pause_sync);
  lab_->lose_mail = [](const Lab::Mail& letter) {
    return std::holds_alternative<ResyncPaused>(letter.send.message) ||
           std::holds_alternative<ResyncDeclined>(letter.send.message);
  };
  lab_->connect(kA, kB);
  lab_->run();
  lab_->write(kA, block(1));
  lab_->advance(seconds(1));
  ASSERT_EQ(sent<FollowerWrite>(), 1u);
  ASSERT_GE(sent<FollowerFlush>(), 1u);
  EXPECT_TRUE(lab_->node(kB).closed.empty());
  EXPECT_EQ(sent<FlushReply>(), 0u) << "it has nothing of what that would cover";
  EXPECT_TRUE(marked(1));
}

// Nobody else will say it, and nothing more is written.
TEST_F(Followers, WhatTheyWereSentIsSettledByASwitchOver) {
  begin();
  lab_->write(kA, block(0));
  const AdminId down = lab_->admin(kA, AdminOp::secondary);
  lab_->advance(seconds(1));
  ASSERT_TRUE(lab_->ok(kA, down));
  ASSERT_EQ(lab_->node(kB).tenure().members, (SeatSet{kA, kB}));
  lab_->advance(seconds(5));
  EXPECT_EQ(lab_->show(kB).hot_extents, 0u);
}

// Both ends have the pair's protocol in their hellos.
TEST_F(Followers, DoNotMeetANodeThatIsConfiguredForC) {
  LabOptions options;
  options.configure = [](CoreConfig& config) {
    if (config.self == kA) config.asynchronous = {kB};
  };
  Lab lab(options);
  lab.connect(kA, kB);
  lab.run();
  const bool refused =
      lab.show(kA).peers[0].refused == Reason::different_protocol || lab.show(kB).peers[0].refused == Reason::different_protocol;
  EXPECT_TRUE(refused) << "by whoever heard the other first";
}

}  // namespace
}  // namespace lockstep
