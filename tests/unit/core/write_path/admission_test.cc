#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

// The witness first: a Primary that hears it would go on without the peer.
void cut_off(Lab& lab, Seat seat) {
  for (Seat other : {kW, kA, kB}) {
    if (other != seat && lab.linked(seat, other)) lab.cut(seat, other);
  }
}

TEST(Admission, OnlyAPrimaryServes) {
  Lab lab;
  lab.create();
  EXPECT_EQ(lab.answer(kA, lab.read(kA)), IoStatus::shut_down);
  const ClientIo io = lab.write(kA);
  EXPECT_EQ(lab.answer(kA, io), IoStatus::shut_down);
  EXPECT_EQ(lab.node(kA).released.size(), 1u) << "the payload is given back";
}

TEST(Admission, ARequestBeyondTheVolumeIsRefused) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  EXPECT_EQ(lab.answer(kA, lab.write(kA, {kLabBytes, 4096})), IoStatus::no_space);
  EXPECT_EQ(lab.answer(kA, lab.read(kA, {kLabBytes - 4096, 8192})), IoStatus::invalid);
  EXPECT_EQ(lab.answer(kA, lab.read(kA, {0, 0})), IoStatus::invalid);
}

TEST(Admission, EveryKindOfRequestIsAnswered) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  for (OpKind kind : {OpKind::write, OpKind::write_zeroes, OpKind::trim, OpKind::read, OpKind::flush})
    EXPECT_EQ(lab.answer(kA, lab.request(kA, kind)), IoStatus::ok);
  EXPECT_EQ(lab.answer(kA, lab.request(kA, OpKind::write, {0, 4096}, true)), IoStatus::ok);
}

TEST(Admission, OverlappingWritesRunOneAfterAnotherOnBothCopies) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.node(kA).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::write; };
  const ClientIo first = lab.write(kA, {0, 8192});
  const ClientIo second = lab.write(kA, {4096, 8192});
  EXPECT_EQ(lab.node(kA).disk.size(), 1u);
  lab.node(kA).hold_disk = [](const DiskIo&) { return false; };
  lab.run();
  EXPECT_EQ(lab.answer(kA, first), IoStatus::ok);
  EXPECT_EQ(lab.answer(kA, second), IoStatus::ok);
}

TEST(Admission, ALostLeaseHoldsRequestsAndAConfirmingRoundLetsThemGo) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  cut_off(lab, kA);
  lab.advance(seconds(4));
  EXPECT_EQ(lab.show(kA).reason, Reason::lease_lost);
  EXPECT_TRUE(lab.show(kA).suspended);
  const ClientIo write = lab.write(kA);
  const ClientIo read = lab.read(kA, {kExtentBytes, 4096});
  EXPECT_FALSE(lab.answer(kA, write));
  EXPECT_FALSE(lab.answer(kA, read));
  lab.connect_all();
  lab.advance(seconds(3));
  EXPECT_EQ(lab.answer(kA, write), IoStatus::ok);
  EXPECT_EQ(lab.answer(kA, read), IoStatus::ok);
  EXPECT_FALSE(lab.show(kA).suspended);
  EXPECT_TRUE(lab.node(kA).noted(Notice::thawed));
}

TEST(Admission, ALateGrantDoesNotReviveALeaseThatWasLost) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.lose_mail = [](const Lab::Mail& letter) {
    return std::holds_alternative<Prepare>(letter.send.message) || std::holds_alternative<LeaseRequest>(letter.send.message);
  };
  lab.advance(seconds(4));
  ASSERT_TRUE(lab.show(kA).suspended);
  lab.lose_mail = [](const Lab::Mail& letter) { return std::holds_alternative<Prepare>(letter.send.message); };
  lab.advance(seconds(3));
  EXPECT_GT(lab.show(kA).lease_left, Duration{});
  EXPECT_TRUE(lab.show(kA).suspended) << "until a round finds our tenure decided";
  lab.lose_mail = [](const Lab::Mail&) { return false; };
  lab.advance(seconds(1));
  EXPECT_FALSE(lab.show(kA).suspended);
}

TEST(Admission, WithIoErrorOnNoQuorumNothingWaits) {
  Lab lab({.configure = [](CoreConfig& config) { config.fail_on_no_quorum = true; }});
  lab.create();
  lab.promote(kA);
  lab.node(kA).hold_disk = [](const DiskIo& io) { return is_change(io.kind) || io.kind == OpKind::flush; };
  const ClientIo before = lab.write(kA);
  const ClientIo flush = lab.request(kA, OpKind::flush, {});
  cut_off(lab, kA);
  lab.advance(seconds(4));
  EXPECT_EQ(lab.answer(kA, before), IoStatus::io_error);
  EXPECT_EQ(lab.answer(kA, flush), IoStatus::io_error);
  EXPECT_EQ(lab.answer(kA, lab.read(kA, {kExtentBytes, 4096})), IoStatus::io_error);
  EXPECT_EQ(lab.show(kA).client_ops, 0u);
}

TEST(Admission, ADeposedPrimaryAnswersThatItIsShutDown) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  cut_off(lab, kA);
  lab.node(kA).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::write; };
  const ClientIo running = lab.write(kA);
  const ClientIo behind = lab.write(kA);
  lab.advance(seconds(4));
  const ClientIo held = lab.write(kA, {kExtentBytes, 4096});
  lab.promote(kB);
  lab.write(kB);
  lab.connect_all();
  lab.advance(milliseconds(10));
  EXPECT_FALSE(lab.node(kA).primary);
  EXPECT_TRUE(lab.node(kA).noted(Notice::deposed));
  for (ClientIo io : {running, behind, held}) EXPECT_EQ(lab.answer(kA, io), IoStatus::shut_down);
  EXPECT_EQ(lab.answer(kA, lab.read(kA)), IoStatus::shut_down);
  lab.node(kA).hold_disk = [](const DiskIo&) { return false; };
  lab.advance(seconds(3));
  EXPECT_EQ(lab.node(kA).tenure().members, (SeatSet{kA, kB})) << "it is brought up to date";
}

TEST(Admission, ACompletionIsHeldWhenTheLeaseLapsedMeanwhile) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.node(kA).hold_disk = [](const DiskIo& io) { return io.kind != OpKind::flush; };
  const ClientIo write = lab.write(kA);
  const ClientIo read = lab.read(kA, {kExtentBytes, 4096});
  lab.lose_mail = [](const Lab::Mail& letter) {
    return letter.send.to == kW || letter.from == kW || std::holds_alternative<LeaseGranted>(letter.send.message) ||
           std::holds_alternative<Promise>(letter.send.message);
  };
  lab.advance(seconds(4));
  lab.node(kA).hold_disk = [](const DiskIo&) { return false; };
  lab.run();
  EXPECT_FALSE(lab.answer(kA, write));
  EXPECT_FALSE(lab.answer(kA, read));
  lab.lose_mail = [](const Lab::Mail&) { return false; };
  lab.advance(seconds(2));
  EXPECT_EQ(lab.answer(kA, write), IoStatus::ok);
  EXPECT_EQ(lab.answer(kA, read), IoStatus::ok);
}

// The client has heard that it failed; it may still land.
TEST(Admission, ARequestThatFailedKeepsItsRangeUntilItIsOver) {
  Lab lab({.configure = [](CoreConfig& config) { config.fail_on_no_quorum = true; }});
  lab.create();
  lab.promote(kA);
  lab.node(kA).hold_disk = [](const DiskIo& io) { return io.kind == OpKind::write; };
  const ClientIo before = lab.write(kA);
  cut_off(lab, kA);
  lab.advance(seconds(4));
  ASSERT_EQ(lab.answer(kA, before), IoStatus::io_error);
  lab.connect_all();
  lab.advance(seconds(2));
  ASSERT_FALSE(lab.show(kA).suspended);
  const ClientIo after = lab.read(kA);
  lab.advance(milliseconds(100));
  EXPECT_FALSE(lab.answer(kA, after));
  lab.node(kA).hold_disk = [](const DiskIo&) { return false; };
  lab.run();
  EXPECT_EQ(lab.answer(kA, after), IoStatus::ok);
}

// By then the tenure that says that everything is settled may be decided.
TEST(Admission, ARequestThatComesDuringAHandOverIsNotCarriedOut) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  lab.hold_mail = [](const Lab::Mail& letter) { return std::holds_alternative<Accept>(letter.send.message); };
  const AdminId id = lab.admin(kA, AdminOp::secondary);
  lab.delivered.clear();
  const ClientIo io = lab.write(kA);
  EXPECT_FALSE(lab.answer(kA, io));
  for (const Lab::Mail& letter : lab.delivered) EXPECT_FALSE(std::holds_alternative<WriteRequest>(letter.send.message));
  lab.hold_mail = [](const Lab::Mail&) { return false; };
  lab.run();
  EXPECT_TRUE(lab.ok(kA, id));
  EXPECT_EQ(lab.answer(kA, io), IoStatus::shut_down);
}

}  // namespace
}  // namespace lockstep
