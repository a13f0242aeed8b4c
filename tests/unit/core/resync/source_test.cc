#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

bool is_change_io(const DiskIo& io) { return is_change(io.kind); }
bool is_flush(const DiskIo& io) { return io.kind == OpKind::flush; }
bool none(const DiskIo&) { return false; }

// A is Primary, B missed a write in extent 0 and is out of the set.
class ResyncTest : public testing::Test {
 protected:
  void SetUp() override { lose_b(lab_); }
  static void lose_b(Lab& lab) {
    lab.create();
    lab.promote(kA);
    lab.cut(kA, kB);
    lab.write(kA, {0, 8192});
    lab.advance(milliseconds(100));
    ASSERT_EQ(lab.node(kA).tenure().members, SeatSet{kA});
  }
  void reconnect() {
    lab_.connect(kA, kB);
    lab_.run();
  }
  template <class T>
  int sent() {
    return static_cast<int>(std::count_if(lab_.delivered.begin(), lab_.delivered.end(), [](const Lab::Mail& letter) {
      return std::holds_alternative<T>(letter.send.message);
    }));
  }
  bool joined() { return lab_.node(kA).tenure().members == SeatSet{kA, kB}; }
  uint64_t dirty() { return lab_.show(kA).dirty_blocks[kB.value]; }
  Lab lab_;
};

TEST_F(ResyncTest, BringsTheCopyBackIntoTheSet) {
  reconnect();
  lab_.advance(milliseconds(500));
  EXPECT_TRUE(joined());
  EXPECT_EQ(dirty(), 0u);
  EXPECT_FALSE(lab_.node(kB).record.inconsistent);
  EXPECT_EQ(lab_.show(kB).disk, DiskState::up_to_date);
  EXPECT_EQ(lab_.show(kB).dirty_blocks[kA.value], 0u);
}

// Nothing may be written for a long time, and what its intent map has would count as out of sync after its next start.
TEST_F(ResyncTest, WhoHasJoinedIsToldWhatIsSettled) {
  lab_.advance(seconds(1));
  reconnect();
  lab_.advance(seconds(10));
  ASSERT_TRUE(joined());
  EXPECT_EQ(lab_.show(kB).hot_extents, 0u);
}

// The Primary that wrote there is none any more, and whoever comes next has positions of its own.
TEST_F(ResyncTest, WhoJoinsByACleanHandOverHasNothingLeftToBeSettled) {
  lab_.node(kB).hold_disk = [this](const DiskIo& io) { return is_flush(io) && sent<JoinPrepare>() > 0; };
  reconnect();
  ASSERT_EQ(sent<JoinPrepare>(), 1);
  lab_.write(kA, {kExtentBytes, 4096});
  // The round that is to decide the hand-over finds that B may join.
  lab_.lose_mail = [](const Lab::Mail& letter) {
    return letter.send.to == kB && std::holds_alternative<Prepare>(letter.send.message);
  };
  lab_.hold_mail = [](const Lab::Mail& letter) {
    return letter.send.to == kW && std::holds_alternative<Prepare>(letter.send.message);
  };
  const uint64_t before = lab_.node(kA).tenure().number;
  const AdminId down = lab_.admin(kA, AdminOp::secondary);
  lab_.node(kB).hold_disk = none;
  lab_.run();
  lab_.hold_mail = [](const Lab::Mail&) { return false; };
  lab_.run();
  ASSERT_TRUE(lab_.ok(kA, down));
  ASSERT_EQ(lab_.node(kA).tenure().number, before + 1);
  ASSERT_TRUE(joined());
  lab_.advance(seconds(6));
  EXPECT_EQ(lab_.show(kB).hot_extents, 0u);
}

// What a resync has written there differs from every other copy until the join, whatever the Primary has settled with its members.
TEST_F(ResyncTest, WhatIsSettledIsNoWordForTheTarget) {
  lab_.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<JoinPrepare>(letter.send.message); };
  reconnect();
  ASSERT_EQ(lab_.show(kB).hot_extents, 1u);
  lab_.inject(kA, kB, Settled{stamp_of(lab_.node(kA).tenure()), 1000});
  lab_.advance(seconds(5));
  EXPECT_EQ(lab_.show(kB).hot_extents, 1u);
}

TEST_F(ResyncTest, ABeginOfAnotherTenureIsNone) {
  lab_.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<ResyncBegin>(letter.send.message); };
  reconnect();
  lab_.lose_mail = [](const Lab::Mail&) { return false; };
  Stamp older = stamp_of(lab_.node(kB).tenure());
  --older.number;
  lab_.inject(kA, kB, ResyncBegin{older, true});
  EXPECT_FALSE(lab_.node(kB).replica->record().inconsistent);
  EXPECT_EQ(sent<ResyncMap>(), 0);
}

// Earlier it would not know the stamp, and the source would wait for its map in vain.
TEST_F(ResyncTest, BeginsWhenTheTargetHasAdoptedTheTenure) {
  lab_.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<TenureAdopted>(letter.send.message); };
  reconnect();
  EXPECT_EQ(sent<ResyncBegin>(), 0);
  lab_.lose_mail = [](const Lab::Mail&) { return false; };
  lab_.cut(kA, kB);
  reconnect();
  EXPECT_GT(sent<ResyncBegin>(), 0);
}

// If the Primary that levelled it dies, another copy may differ in what that one had in flight.
TEST_F(ResyncTest, WhoHasJoinedKeepsItsIntentBitsUntilItIsToldWhatIsSettled) {
  lab_.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<Settled>(letter.send.message); };
  reconnect();
  lab_.advance(seconds(10));
  ASSERT_TRUE(joined());
  EXPECT_EQ(lab_.show(kB).hot_extents, 1u);
}

// Its map is what the source waits for with the first byte. Held back here is the record alone: data would wait for the intent map as well.
TEST_F(ResyncTest, TheTargetIsDurablyInconsistentBeforeItsFirstByte) {
  lab_.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<ResyncBegin>(letter.send.message); };
  reconnect();  // only the tenure is adopted
  EXPECT_FALSE(lab_.node(kB).record.inconsistent);
  lab_.cut(kA, kB);
  lab_.lose_mail = [](const Lab::Mail&) { return false; };
  lab_.node(kB).hold_meta_of = [](LabNode::Meta of) { return of == LabNode::Meta::record; };
  lab_.node(kB).hold_disk = is_change_io;
  reconnect();
  ASSERT_TRUE(lab_.node(kB).replica->record().inconsistent) << "the resync has begun";
  EXPECT_TRUE(lab_.node(kB).disk.empty());
  EXPECT_EQ(sent<ResyncMap>(), 0);
  EXPECT_FALSE(lab_.node(kB).record.inconsistent);
  lab_.node(kB).hold_meta_of = [](LabNode::Meta) { return false; };
  lab_.run();
  EXPECT_GT(sent<ResyncMap>(), 0);
  EXPECT_FALSE(lab_.node(kB).disk.empty());
  EXPECT_TRUE(lab_.node(kB).record.inconsistent);
  EXPECT_EQ(lab_.show(kA).peers.at(0).replication, ReplicationState::sync_source);
  EXPECT_EQ(lab_.show(kB).peers.at(0).replication, ReplicationState::sync_target);
  EXPECT_EQ(lab_.show(kA).peers.at(0).disk, DiskState::inconsistent);
}

// JoinPrepare crosses the word that the target's disk failed (seed 4048).
TEST_F(ResyncTest, ADiskThatWasGivenUpIsNotFlushedIntoTheSet) {
  lab_.hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<JoinPrepare>(letter.send.message); };
  reconnect();
  lab_.advance(milliseconds(100));
  lab_.node(kB).meta_ok = false;
  lab_.inject(kA, kB, Prepare{{1000, kA, 5}, {kA, boot_of(kA), 5}, 9, {}, false});
  ASSERT_TRUE(lab_.node(kB).noted(Notice::metadata_failed));
  lab_.node(kB).hold_disk = [](const DiskIo&) { return true; };
  const size_t before = lab_.node(kB).disk.size();
  lab_.hold_mail = [](const Lab::Mail&) { return false; };
  lab_.run();
  EXPECT_EQ(lab_.node(kB).disk.size(), before);
  lab_.advance(milliseconds(500));
  EXPECT_FALSE(joined());
}

// A member whose record still says Inconsistent when it comes back could not be promoted, and might be the last one that is left.
TEST_F(ResyncTest, ATargetIsReadyToJoinOnlyOnceItIsDurablyConsistent) {
  lab_.hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<JoinPrepare>(letter.send.message); };
  reconnect();
  lab_.advance(milliseconds(100));
  lab_.node(kB).hold_meta_of = [](LabNode::Meta of) { return of == LabNode::Meta::record; };
  lab_.hold_mail = [](const Lab::Mail&) { return false; };
  lab_.run();
  ASSERT_FALSE(lab_.node(kB).replica->record().inconsistent) << "it is being recorded";
  EXPECT_EQ(sent<JoinReady>(), 0);
  lab_.node(kB).hold_meta_of = [](LabNode::Meta) { return false; };
  lab_.run();
  EXPECT_EQ(sent<JoinReady>(), 1);
  EXPECT_TRUE(joined());
}

TEST_F(ResyncTest, BitsAreClearedOnlyAfterTheTargetsFlush) {
  lab_.node(kB).hold_disk = is_flush;
  reconnect();
  EXPECT_EQ(dirty(), lab_.show(kA).peers.at(0).resync_total);
  EXPECT_EQ(lab_.show(kA).peers.at(0).resync_done, dirty());
  lab_.cut(kA, kB);
  EXPECT_TRUE(lab_.node(kA).noted(Notice::resync_aborted));
  EXPECT_GT(dirty(), 0u);
  lab_.node(kB).hold_disk = none;
  lab_.run();
  reconnect();
  lab_.advance(milliseconds(500));
  EXPECT_TRUE(joined());
  EXPECT_EQ(dirty(), 0u);
}

TEST_F(ResyncTest, AChunkHoldsItsRangeUntilTheTargetHasIt) {
  lab_.node(kB).hold_disk = is_change_io;
  reconnect();
  const ClientIo io = lab_.write(kA, {0, 4096});
  EXPECT_FALSE(lab_.answer(kA, io));
  lab_.node(kB).hold_disk = none;
  lab_.run();
  lab_.advance(milliseconds(500));
  EXPECT_EQ(lab_.answer(kA, io), IoStatus::ok);
  EXPECT_TRUE(joined());
}

TEST_F(ResyncTest, AChunkWaitsForAWriteInItsRange) {
  lab_.node(kA).hold_disk = is_change_io;
  const ClientIo io = lab_.write(kA, {0, 4096});
  reconnect();
  EXPECT_FALSE(joined());
  lab_.node(kA).hold_disk = none;
  lab_.advance(milliseconds(500));
  EXPECT_EQ(lab_.answer(kA, io), IoStatus::ok);
  EXPECT_TRUE(joined());
}

TEST_F(ResyncTest, NewWritesFlowToTheTargetAndWaitForIt) {
  lab_.node(kB).hold_disk = is_change_io;
  reconnect();
  const ClientIo io = lab_.write(kA, {9 * kExtentBytes, 4096});
  EXPECT_FALSE(lab_.answer(kA, io));
  lab_.node(kB).hold_disk = none;
  lab_.run();
  EXPECT_EQ(lab_.answer(kA, io), IoStatus::ok);
}

TEST_F(ResyncTest, ALostTargetIsGivenUpWithoutATenureUntilItsJoinMayBeDecided) {
  lab_.node(kB).hold_disk = is_change_io;
  reconnect();
  const ClientIo io = lab_.write(kA, {9 * kExtentBytes, 4096});
  const uint64_t number = lab_.node(kA).tenure().number;
  lab_.cut(kA, kB);
  EXPECT_EQ(lab_.answer(kA, io), IoStatus::ok);
  EXPECT_EQ(lab_.node(kA).tenure().number, number);
  EXPECT_GE(dirty(), 3u);
}

TEST_F(ResyncTest, AJoinThatIsDecidedAfterItsResyncWasLostIsUndone) {
  bool proposed = false;
  lab_.lose_mail = [&proposed](const Lab::Mail& letter) {
    const auto* accept = std::get_if<Accept>(&letter.send.message);
    const bool of_join = accept != nullptr && accept->tenure.members.contains(kB);
    proposed = proposed || of_join;
    return (of_join && letter.send.to == kB) || (proposed && std::holds_alternative<Accepted>(letter.send.message));
  };
  reconnect();
  for (int i = 0; i < 100 && !proposed; ++i) lab_.advance(milliseconds(10));
  EXPECT_EQ(lab_.witness().record().tenure->members, (SeatSet{kA, kB})) << "accepted by a majority, unknown to A";
  EXPECT_FALSE(joined());
  lab_.cut(kA, kB);
  const ClientIo io = lab_.write(kA, {9 * kExtentBytes, 4096});
  EXPECT_FALSE(lab_.answer(kA, io)) << "the join may be decided";
  lab_.lose_mail = [](const Lab::Mail&) { return false; };
  lab_.advance(seconds(3));
  EXPECT_EQ(lab_.node(kA).tenure().members, SeatSet{kA});
  EXPECT_EQ(lab_.answer(kA, io), IoStatus::ok);
  EXPECT_GT(dirty(), 0u);
  reconnect();
  lab_.advance(seconds(1));
  EXPECT_TRUE(joined());
}

// Seed 1340: only the Primary that died knew that B had joined. B's voter has accepted it, and it is asked for before a promotion is refused.
TEST_F(ResyncTest, AJoinThatOnlyTheDeadPrimaryKnewCountsForAPromotion) {
  lab_.hold_mail = [](const Lab::Mail& letter) {
    const auto* decided = std::get_if<TenureDecided>(&letter.send.message);
    return decided && decided->tenure.members.contains(kB);
  };
  reconnect();
  lab_.advance(milliseconds(100));
  ASSERT_TRUE(joined());
  ASSERT_FALSE(lab_.node(kB).tenure().members.contains(kB));
  lab_.kill(kA);
  lab_.hold_mail = [](const Lab::Mail&) { return false; };
  const AdminId id = lab_.admin(kB, AdminOp::primary);
  EXPECT_FALSE(lab_.result(kB, id)) << "it waits for the lease";
  lab_.advance(seconds(6));
  EXPECT_TRUE(lab_.ok(kB, id)) << code_of(lab_.reason(kB, id));
}

// The proposal outlives the disk that it was about: what A knows against B stays, and the new disk is not remembered as levelled.
TEST_F(ResyncTest, AJoinThatIsDecidedAfterTheDiskWasReplacedClearsNothing) {
  bool proposed = false;
  lab_.lose_mail = [&proposed](const Lab::Mail& letter) {
    const auto* accept = std::get_if<Accept>(&letter.send.message);
    proposed = proposed || (accept != nullptr && accept->tenure.members.contains(kB));
    return proposed && (accept != nullptr || std::holds_alternative<Accepted>(letter.send.message));
  };
  reconnect();
  for (int i = 0; i < 100 && !proposed; ++i) lab_.advance(milliseconds(10));
  ASSERT_TRUE(proposed);
  lab_.kill(kB);
  LabNode& b = lab_.node(kB);
  b.record.disk = uuid(900);
  b.record.adopted.reset();
  b.record.peers = {};
  b.record.acceptor = {};
  b.record.acceptor.acceptor = uuid(901);
  lab_.start(kB);
  lab_.node(kA).hold_disk = [](const DiskIo& io) {
    return io.kind == OpKind::read;
  };  // no resync: B joins by that proposal or not at all
  lab_.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<DiskCondition>(letter.send.message); };
  reconnect();
  lab_.advance(seconds(5));
  EXPECT_NE(lab_.node(kA).record.peers[kB.value].disk, uuid(900));
  EXPECT_EQ(dirty(), kLabBytes / kBlockBytes) << "everything is to be copied";
}

TEST_F(ResyncTest, AnErrorOfTheTargetEndsIt) {
  for (OpKind failing : {OpKind::write, OpKind::flush}) {
    Lab lab;
    lose_b(lab);
    lab.node(kB).disk_status = [failing](const DiskIo& io) { return io.kind == failing ? IoStatus::io_error : IoStatus::ok; };
    lab.connect(kA, kB);
    lab.advance(seconds(1));
    EXPECT_TRUE(lab.node(kA).noted(Notice::resync_aborted));
    EXPECT_EQ(lab.show(kB).disk, DiskState::diskless);
    EXPECT_EQ(lab.show(kA).peers.at(0).disk, DiskState::diskless);
    EXPECT_EQ(lab.node(kA).tenure().members, SeatSet{kA});
  }
}

TEST_F(ResyncTest, AnErrorOfTheTargetsLastFlushKeepsItOut) {
  int flushes = 0;
  lab_.node(kB).disk_status = [&flushes](const DiskIo& io) {
    return is_flush(io) && ++flushes == 2 ? IoStatus::io_error : IoStatus::ok;
  };
  reconnect();
  lab_.advance(seconds(1));
  EXPECT_EQ(flushes, 2);
  EXPECT_FALSE(joined());
  EXPECT_TRUE(lab_.node(kB).record.inconsistent);
}

TEST_F(ResyncTest, AnErrorOfTheSourceEndsIt) {
  lab_.node(kA).disk_status = [](const DiskIo& io) { return io.kind == OpKind::read ? IoStatus::io_error : IoStatus::ok; };
  reconnect();
  lab_.advance(seconds(1));
  EXPECT_TRUE(lab_.node(kA).noted(Notice::resync_aborted));
  EXPECT_EQ(lab_.show(kA).disk, DiskState::diskless);
  EXPECT_FALSE(joined());
}

TEST_F(ResyncTest, AChunkThatIsReadAfterTheResyncWasLostIsReleased) {
  lab_.node(kA).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::read; };
  reconnect();
  lab_.cut(kA, kB);
  const size_t before = lab_.node(kA).released.size();
  lab_.node(kA).hold_disk = none;
  lab_.run();
  EXPECT_GT(lab_.node(kA).released.size(), before);
}

TEST_F(ResyncTest, WhatTheTargetWroteAloneIsLevelledToo) {
  // Many separate blocks: its map takes several messages.
  BitVector mine(kLabBytes / kBlockBytes);
  for (uint64_t i = 0; i < 200; ++i) mine.set(i * 3);
  lab_.kill(kB);
  lab_.node(kB).bitmaps[kA.value] = mine;
  lab_.node(kB).intent = BitVector(kLabBytes / kExtentBytes);
  lab_.start(kB);
  lab_.node(kB).hold_disk = is_change_io;
  reconnect();
  EXPECT_GE(lab_.show(kA).peers.at(0).resync_total, 200u);
  lab_.node(kB).hold_disk = none;
  lab_.advance(seconds(1));
  EXPECT_TRUE(joined());
}

// The target has forgotten whose copy it was levelled with (invalidate): what this side remembers of it is no proof.
TEST_F(ResyncTest, CommonGroundThatOnlyOneSideRemembersIsNone) {
  lab_.kill(kB);
  lab_.node(kB).record.peers[kA.value].disk = {};
  lab_.start(kB);
  ASSERT_EQ(lab_.node(kA).record.peers[kB.value].disk, lab_.node(kB).record.disk);
  lab_.node(kB).hold_disk = is_change_io;
  reconnect();
  EXPECT_EQ(lab_.show(kA).peers.at(0).resync_total, kLabBytes / kBlockBytes);
}

TEST_F(ResyncTest, AReplacedDiskIsCopiedInFullAndItsVoterSeatedAgain) {
  lab_.kill(kB);
  LabNode& b = lab_.node(kB);
  b.record.disk = uuid(900);
  b.record.acceptor = {};
  b.record.acceptor.acceptor = uuid(901);
  b.record.adopted.reset();
  b.record.peers = {};
  b.intent = {};
  b.bitmaps = {};
  lab_.start(kB);
  lab_.connect_all();
  lab_.advance(seconds(3));
  EXPECT_TRUE(joined());
  EXPECT_EQ(lab_.node(kA).record.peers[kB.value].disk, uuid(900));
  EXPECT_EQ(lab_.node(kA).tenure().voters[1], (Voter{kB, uuid(901)}));
}

TEST_F(ResyncTest, WithoutAPrimaryTheLowestMemberIsTheSource) {
  ASSERT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::secondary)));
  reconnect();
  lab_.advance(seconds(1));
  EXPECT_TRUE(joined());
  EXPECT_FALSE(lab_.node(kA).tenure().primary);
}

TEST_F(ResyncTest, EndsWhenItsSourceStops) {
  lab_.node(kB).hold_disk = is_change_io;
  reconnect();
  EXPECT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::stop)));
  EXPECT_TRUE(lab_.node(kA).noted(Notice::resync_aborted));
  EXPECT_FALSE(joined());
}

TEST_F(ResyncTest, RepliesThatItDoesNotWaitForChangeNothing) {
  lab_.node(kB).hold_disk = is_change_io;
  reconnect();
  const Stamp stamp = stamp_of(lab_.node(kA).tenure());
  const OpId other{(uint64_t{1} << 62) | 987654};
  const uint64_t before = dirty();
  lab_.inject(kB, kA, WriteReply{stamp, other, IoStatus::ok});
  lab_.inject(kB, kA, FlushReply{stamp, other, IoStatus::ok});
  lab_.inject(kB, kA, JoinReady{stamp, other, IoStatus::ok});
  ResyncMap map;
  map.stamp = stamp;
  map.last = true;
  lab_.inject(kB, kA, map);
  EXPECT_EQ(dirty(), before);
  EXPECT_FALSE(joined());
}

// Seed 1299: B may be in the set by now. Whether it is must be known first.
TEST_F(ResyncTest, NothingBeginsWhileAJoinMayHaveBeenDecided) {
  lab_.hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<JoinPrepare>(letter.send.message); };
  reconnect();
  lab_.advance(milliseconds(500));
  lab_.hold_mail = [](const Lab::Mail&) { return false; };
  lab_.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<Accepted>(letter.send.message); };
  lab_.advance(milliseconds(300));
  ASSERT_FALSE(joined());
  ASSERT_EQ(lab_.witness().record().tenure->members, (SeatSet{kA, kB})) << "accepted, and A does not know";
  lab_.cut(kA, kB);
  lab_.delivered.clear();
  reconnect();
  lab_.advance(milliseconds(300));
  const auto begun = std::count_if(lab_.delivered.begin(), lab_.delivered.end(), [](const Lab::Mail& letter) {
    return std::holds_alternative<ResyncBegin>(letter.send.message);
  });
  EXPECT_EQ(begun, 0);
  lab_.lose_mail = [](const Lab::Mail&) { return false; };
  lab_.advance(seconds(3));
  EXPECT_TRUE(joined());
  EXPECT_EQ(dirty(), 0u);
}

// Seed 2135: the flush of a resync that was given up says nothing about the one that follows.
TEST_F(ResyncTest, TheFlushOfAnEarlierRunConcludesNoLaterOne) {
  lab_.hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<JoinPrepare>(letter.send.message); };
  reconnect();
  lab_.advance(milliseconds(100));
  lab_.node(kB).hold_disk = is_flush;
  lab_.hold_mail = [](const Lab::Mail&) { return false; };
  lab_.run();
  ASSERT_FALSE(lab_.node(kB).disk.empty()) << "the flush before the join";
  lab_.lose_mail = [](const Lab::Mail& letter) { return letter.from == kB && letter.send.to == kA; };
  lab_.inject(kA, kB, ResyncBegin{stamp_of(lab_.node(kB).tenure()), false});
  lab_.node(kB).hold_disk = none;
  lab_.run();
  EXPECT_TRUE(lab_.node(kB).record.inconsistent);
}

// P4: a bit goes by a flush that was begun after its block had been written.
TEST(ResyncFlush, ClearsOnlyWhatWasWrittenBeforeIt) {
  Lab lab({.configure = [](CoreConfig& config) {
    config.resync_flush_blocks = 1;
    config.resync_flush_interval = {};
    config.resync_chunk_bytes = 16 * 1024;
    config.resync_window = 1;
  }});
  lab.create();
  lab.promote(kA);
  lab.cut(kA, kB);
  lab.write(kA, {0, 65536});
  lab.advance(milliseconds(100));
  int flushes = 0;
  lab.node(kB).hold_disk = [&flushes](const DiskIo& io) { return io.kind == OpKind::flush && flushes++ > 0; };
  flushes = 1;
  lab.connect(kA, kB);
  lab.run();
  const uint64_t all = lab.show(kA).dirty_blocks[kB.value];
  ASSERT_GT(all, 4u);
  // One chunk was flushed for, and further ones are written by the time that this flush ends.
  flushes = 0;
  lab.node(kB).hold_disk = [&flushes](const DiskIo& io) { return io.kind == OpKind::flush && ++flushes > 1; };
  lab.run();
  EXPECT_EQ(lab.show(kA).dirty_blocks[kB.value], all - 4);
}

}  // namespace
}  // namespace lockstep
