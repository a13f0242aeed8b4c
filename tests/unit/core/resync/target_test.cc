#include "core/resync/target.h"

#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

int maps_sent(const Lab& lab, Seat to) {
  int sent = 0;
  for (const Lab::Mail& letter : lab.delivered) {
    const auto* map = std::get_if<ResyncMap>(&letter.send.message);
    sent += map && map->last && letter.send.to == to ? 1 : 0;
  }
  return sent;
}

// A of three has been stopped, so there is no Primary; C missed writes. `from` is the author of the tenure, and begins to copy to C.
class TargetOfTwo : public ::testing::Test {
 protected:
  static LabOptions patient_a() {
    LabOptions options = three_data_nodes();
    options.configure = [](CoreConfig& config) { config.ack_timeout = config.self == kA ? seconds(60) : config.ack_timeout; };
    return options;
  }
  TargetOfTwo() : lab(patient_a()) {
    lab.create();
    lab.promote(kA);
    lab.kill(kC);
    lab.advance(seconds(2));
    lab.write(kA);
    EXPECT_TRUE(lab.ok(kA, lab.admin(kA, AdminOp::secondary)));
    EXPECT_EQ(lab.node(kA).tenure().members, (SeatSet{kA, kB}));
    EXPECT_EQ(lab.node(kA).tenure().origin.node, kA);
    // It will not be levelled before the test is over.
    lab.hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<JoinPrepare>(letter.send.message); };
    lab.start(kC);
  }
  void begins(Seat source) { lab.inject(source, kC, ResyncBegin{stamp_of(lab.node(kC).tenure()), false}); }
  void another_source_waits() {
    lab.hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<JoinReady>(letter.send.message); };
    lab.cut(kA, kB);
    lab.connect(kC, kW);
    lab.connect(kA, kC);
    lab.run();
    lab.connect(kB, kC);
    for (int second = 0; second < 12; ++second) {
      lab.advance(seconds(1));
      // What A copies takes long, and goes on.
      const OpId op{(uint64_t{1} << 62) + static_cast<uint64_t>(1000 + second)};  // of a resync
      lab.inject(kA, kC, ResyncWrite{stamp_of(lab.node(kA).tenure()), op, OpKind::write, {0, 4096}}, lab.fresh_payload());
    }
    EXPECT_TRUE(lab.linked(kB, kC));
    EXPECT_TRUE(lab.node(kB).closed.empty());
    EXPECT_EQ(maps_sent(lab, kB), 0);
  }
  Lab lab;
};

TEST_F(TargetOfTwo, StaysWithTheAuthorOfTheTenure) {
  lab.connect(kA, kC);
  lab.connect(kB, kC);
  lab.run();
  ASSERT_EQ(maps_sent(lab, kA), 1);
  begins(kB);
  EXPECT_EQ(maps_sent(lab, kB), 0);
}

TEST_F(TargetOfTwo, LeavesASourceThatHasBeenSilent) {
  lab.connect(kA, kC);
  lab.connect(kB, kC);
  lab.run();
  ASSERT_EQ(maps_sent(lab, kA), 1);
  lab.lose_mail = [](const Lab::Mail& letter) { return letter.from == kA && letter.send.to == kC; };
  lab.advance(milliseconds(2100));
  begins(kB);
  EXPECT_EQ(maps_sent(lab, kB), 1);
}

TEST_F(TargetOfTwo, LeavesASourceThatIsGone) {
  lab.connect(kA, kC);
  lab.connect(kB, kC);
  lab.run();
  lab.cut(kA, kC);
  begins(kB);
  EXPECT_GE(maps_sent(lab, kB), 1);
}

// Its own link to C was away for a while, and another one began.
TEST_F(TargetOfTwo, GoesOverToTheAuthorAtOnce) {
  lab.connect(kB, kC);
  lab.run();
  begins(kB);
  ASSERT_EQ(maps_sent(lab, kB), 1);
  lab.connect(kA, kC);
  lab.run();
  EXPECT_EQ(maps_sent(lab, kA), 1);
}

// A and B do not see each other: to each of them it looks as if it had to copy.
TEST_F(TargetOfTwo, AnotherSourceIsToldToWait) { another_source_waits(); }

TEST_F(TargetOfTwo, TheOneThatWaitedGoesOnOnceTheFirstIsGone) {
  another_source_waits();
  lab.hold_mail = [](const Lab::Mail&) { return false; };
  lab.cut(kA, kC);
  lab.advance(seconds(6));
  EXPECT_TRUE(lab.node(kB).tenure().members.contains(kC));
}

// B has begun to copy to C too, as A takes it in. What B has against C is history then, and its own resync has nothing to add (seed 1172).
TEST_F(TargetOfTwo, TheOneThatWasNotFirstLearnsThatTheCopyIsLevelled) {
  lab.advance(seconds(4));  // C votes again
  lab.promote(kA);
  lab.write(kA);
  ASSERT_TRUE(lab.ok(kA, lab.admin(kA, AdminOp::secondary)));
  lab.cut(kA, kB);
  lab.connect(kC, kW);
  lab.connect(kA, kC);
  lab.run();
  lab.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<ResyncDeclined>(letter.send.message); };
  lab.connect(kB, kC);
  lab.run();
  ASSERT_EQ(lab.show(kB).peers.at(1).replication, ReplicationState::sync_source);
  ASSERT_GT(lab.show(kB).hot_extents, 0u);
  lab.hold_mail = [](const Lab::Mail&) { return false; };
  lab.run();
  lab.advance(milliseconds(300));
  ASSERT_TRUE(lab.node(kB).tenure().members.contains(kC));
  EXPECT_EQ(lab.show(kB).dirty_blocks[kC.value], 0u);
}

// The lowest member may be one that has just joined; it would copy to the third anew what another one is copying already (seed 501619).
TEST(Target, WithoutAPrimaryTheAuthorOfTheTenureIsItsSource) {
  Lab lab(three_data_nodes());
  lab.create();
  lab.promote(kB);
  lab.kill(kC);
  lab.advance(seconds(2));
  lab.write(kB);
  ASSERT_TRUE(lab.ok(kB, lab.admin(kB, AdminOp::secondary)));
  ASSERT_EQ(lab.node(kA).tenure().members, (SeatSet{kA, kB}));
  lab.hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<JoinPrepare>(letter.send.message); };
  lab.start(kC);
  lab.connect_all();
  EXPECT_EQ(maps_sent(lab, kB), 1);
  EXPECT_EQ(maps_sent(lab, kA), 0);
}

// Over one link: the run was given up and begun again. What it had sent lands first, or it would land on newer writes.
TEST(Target, BeginsOnlyWhenTheChunksOfTheRunBeforeHaveLanded) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.cut(kA, kB);
  lab.write(kA);
  lab.advance(milliseconds(100));
  lab.node(kB).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::write; };
  lab.connect(kA, kB);
  lab.run();
  ASSERT_FALSE(lab.node(kB).disk.empty());
  ASSERT_EQ(maps_sent(lab, kA), 1);
  lab.inject(kA, kB, ResyncBegin{stamp_of(lab.node(kB).tenure()), false});
  EXPECT_EQ(maps_sent(lab, kA), 1);
  lab.node(kB).hold_disk = [](const DiskIo&) { return false; };
  lab.run();
  EXPECT_EQ(maps_sent(lab, kA), 2);
}

// It is told that by its source, which has nothing to send from then on.
TEST(ResyncTarget, EndsWithTheDiskOfItsSource) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.cut(kA, kB);
  lab.write(kA);
  lab.advance(seconds(2));
  lab.node(kA).disk_status = [](const DiskIo& io) { return io.kind == OpKind::read ? IoStatus::io_error : IoStatus::ok; };
  lab.node(kA).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::read; };
  lab.connect(kA, kB);
  lab.advance(milliseconds(100));
  ASSERT_EQ(lab.show(kB).peers[0].replication, ReplicationState::sync_target);
  lab.node(kA).disk_status = [](const DiskIo&) { return IoStatus::io_error; };
  lab.write(kA, {kExtentBytes, 4096});
  lab.advance(milliseconds(100));
  ASSERT_EQ(lab.show(kA).disk, DiskState::failed);
  EXPECT_EQ(lab.show(kB).peers[0].replication, ReplicationState::established);
}

// Its source gave the resync up as it was about to be taken in, and said nothing; then it begins another one, which has to wait (seed
// 397936144023). What it was about before holds nothing up.
TEST(HeldTarget, IsFreeOfASourceThatBeganAnew) {
  Lab lab({.configure = [](CoreConfig& config) { config.hold_resync = true; }});
  lab.create();
  lab.promote(kA);
  lab.cut(kA, kB);
  lab.write(kA);
  lab.advance(seconds(2));
  lab.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<JoinReady>(letter.send.message); };
  lab.connect(kA, kB);
  lab.advance(milliseconds(100));
  lab.admin(kB, AdminOp::resume_sync);
  lab.advance(milliseconds(100));
  ASSERT_EQ(maps_sent(lab, kA), 1);
  ASSERT_EQ(lab.show(kB).disk, DiskState::outdated) << "levelled, and not taken in";
  lab.inject(kA, kB, ResyncBegin{stamp_of(lab.node(kB).tenure()), false});
  EXPECT_TRUE(lab.show(kB).peers[0].held_here);
  lab.advance(seconds(1));
  const auto& notes = lab.node(kB).notes;
  EXPECT_EQ(std::count_if(notes.begin(), notes.end(), [](const Note& note) { return note.notice == Notice::resync_wanted; }), 2);
}

}  // namespace
}  // namespace lockstep
