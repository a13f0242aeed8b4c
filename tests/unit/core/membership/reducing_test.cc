#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

bool is_flush(const DiskIo& io) { return io.kind == OpKind::flush; }
bool nothing(const DiskIo&) { return false; }
SeatSet accepted_by_the_witness(Lab& lab) { return lab.witness().record().tenure->members; }

TEST(Reducing, ThePrimaryFlushesBeforeItProposesTheSmallerSet) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.node(kA).hold_disk = is_flush;
  lab.cut(kA, kB);
  const ClientIo io = lab.write(kA);
  lab.advance(milliseconds(500));
  EXPECT_EQ(accepted_by_the_witness(lab), (SeatSet{kA, kB}));
  EXPECT_FALSE(lab.answer(kA, io));
  lab.node(kA).hold_disk = nothing;
  lab.run();
  lab.advance(milliseconds(100));
  EXPECT_EQ(accepted_by_the_witness(lab), SeatSet{kA});
  EXPECT_EQ(lab.answer(kA, io), IoStatus::ok);
}

TEST(Reducing, ACandidateFlushesBeforeItProposesItself) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.write(kA);
  lab.kill(kA);
  lab.node(kB).hold_disk = is_flush;
  const AdminId id = lab.admin(kB, AdminOp::primary);
  lab.advance(seconds(6));
  EXPECT_EQ(accepted_by_the_witness(lab), (SeatSet{kA, kB}));
  EXPECT_FALSE(lab.result(kB, id));
  lab.node(kB).hold_disk = nothing;
  lab.run();
  lab.advance(milliseconds(500));
  EXPECT_TRUE(lab.ok(kB, id));
  EXPECT_EQ(lab.node(kB).tenure().members, SeatSet{kB});
}

// Both copies have the write. But if this one loses its cache before the smaller set is known, the other one alone has it, outside the set.
TEST(Reducing, AChangeThatCompletesAfterTheFlushIsAnsweredWhenTheOutcomeIsKnown) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.node(kA).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::write; };
  const ClientIo io = lab.write(kA);
  lab.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<Accepted>(letter.send.message); };
  lab.cut(kA, kB);
  lab.advance(milliseconds(300));
  ASSERT_EQ(accepted_by_the_witness(lab), SeatSet{kA}) << "accepted, and the proposer does not know";
  lab.node(kA).hold_disk = nothing;
  lab.run();
  lab.advance(milliseconds(300));
  EXPECT_FALSE(lab.answer(kA, io));
  lab.lose_mail = [](const Lab::Mail&) { return false; };
  lab.advance(seconds(2));
  EXPECT_EQ(lab.answer(kA, io), IoStatus::ok);
}

// What was acknowledged by all three may be in the caches of A and B alone from here on.
TEST(Reducing, EveryMemberThatStaysFlushes) {
  Lab lab(three_data_nodes());
  lab.create();
  lab.promote(kA);
  lab.node(kB).hold_disk = is_flush;
  lab.cut(kA, kC);
  const ClientIo io = lab.write(kA);
  lab.advance(milliseconds(500));
  EXPECT_EQ(accepted_by_the_witness(lab), (SeatSet{kA, kB, kC}));
  EXPECT_FALSE(lab.answer(kA, io));
  lab.node(kB).hold_disk = nothing;
  lab.run();
  lab.advance(milliseconds(100));
  EXPECT_EQ(accepted_by_the_witness(lab), (SeatSet{kA, kB}));
  EXPECT_EQ(lab.answer(kA, io), IoStatus::ok);
}

TEST(Reducing, AMemberThatIsLostWhileItFlushesLeavesToo) {
  Lab lab(three_data_nodes());
  lab.create();
  lab.promote(kA);
  lab.node(kB).hold_disk = is_flush;
  lab.cut(kA, kC);
  lab.advance(milliseconds(500));
  ASSERT_EQ(accepted_by_the_witness(lab), (SeatSet{kA, kB, kC}));
  lab.node(kB).disk_status = [](const DiskIo&) { return IoStatus::io_error; };
  lab.node(kB).hold_disk = nothing;
  lab.run();
  lab.advance(milliseconds(500));
  EXPECT_EQ(accepted_by_the_witness(lab), SeatSet{kA});
}

TEST(Reducing, SoDoesTheOneThatStaysWhereThePrimaryHasNoDiskItself) {
  Lab lab(three_data_nodes());
  lab.create();
  lab.promote(kA);
  lab.node(kA).disk_status = [](const DiskIo&) { return IoStatus::io_error; };
  lab.write(kA);
  lab.advance(milliseconds(500));
  ASSERT_EQ(accepted_by_the_witness(lab), (SeatSet{kB, kC}));
  lab.node(kB).hold_disk = is_flush;
  lab.cut(kA, kC);
  lab.advance(milliseconds(500));
  EXPECT_EQ(accepted_by_the_witness(lab), (SeatSet{kB, kC}));
  lab.node(kB).hold_disk = nothing;
  lab.run();
  lab.advance(milliseconds(300));
  EXPECT_EQ(accepted_by_the_witness(lab), SeatSet{kB});
}

TEST(Reducing, AMemberThatDoesNotFlushInTimeLeavesToo) {
  LabOptions options = three_data_nodes();
  options.witnesses = {kW, witness_seat(1)};
  Lab lab(options);
  lab.create();
  lab.promote(kA);
  lab.node(kB).hold_disk = is_flush;
  lab.cut(kA, kC);
  lab.advance(seconds(8));
  EXPECT_EQ(accepted_by_the_witness(lab), SeatSet{kA});
  EXPECT_TRUE(lab.node(kA).primary);
}

TEST(Reducing, ReadsGoOnMeanwhile) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.node(kA).hold_disk = is_flush;
  lab.cut(kA, kB);
  lab.advance(milliseconds(300));
  const ClientIo io = lab.read(kA);
  EXPECT_EQ(lab.answer(kA, io), IoStatus::ok);
}

TEST(Reducing, AFlushThatTakesLongerThanARoundIsWaitedFor) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.node(kA).hold_disk = is_flush;
  lab.node(kA).notes.clear();
  lab.cut(kA, kB);
  const ClientIo io = lab.write(kA);
  lab.advance(seconds(4));
  lab.node(kA).hold_disk = nothing;
  lab.run();
  EXPECT_EQ(lab.answer(kA, io), IoStatus::ok);
  const auto& notes = lab.node(kA).notes;
  EXPECT_EQ(std::count_if(notes.begin(), notes.end(), [](const Note& note) { return note.notice == Notice::round_started; }), 1);
}

TEST(Reducing, ADiskThatRefusesTheFlushDoesNotBecomeTheOnlyCopy) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.write(kA);
  lab.kill(kA);
  lab.node(kB).disk_status = [](const DiskIo& io) { return is_flush(io) ? IoStatus::io_error : IoStatus::ok; };
  const AdminId id = lab.admin(kB, AdminOp::primary);
  lab.advance(seconds(6));
  EXPECT_EQ(lab.reason(kB, id), Reason::no_disk);
  EXPECT_EQ(accepted_by_the_witness(lab), (SeatSet{kA, kB}));
}

}  // namespace
}  // namespace lockstep
