// change-nodes: data nodes and witnesses come and go while the resource runs.
#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

const SeatSet kPair{kA, kB, kW};
const SeatSet kAll{kA, kB, kC, kW};

LabOptions a_third_that_only_it_knows() {
  LabOptions options = three_data_nodes();
  options.configure = [](CoreConfig& config) {
    if (config.self != kC) config.data_nodes = {kA, kB};
  };
  return options;
}

class NodeChanging : public testing::Test {
 protected:
  void SetUp() override {
    lab_.create();
    lab_.promote(kA);
    ASSERT_FALSE(lab_.linked(kA, kC)) << "who is not configured is not let in";
    ASSERT_EQ(voters(), kPair);
  }
  AdminId change(Seat seat, SeatSet nodes) {
    CoreConfig& config = lab_.node(seat).config;  // for the next start
    config.data_nodes = nodes - SeatSet{kW};
    config.witnesses = nodes & SeatSet{kW};
    const AdminId id{++last_};
    lab_.step(seat, AdminRequest{id, AdminOp::change_nodes, kNoSeat, {}, {}, 0, false, nodes});
    lab_.run();
    return id;
  }
  void connect(Seat a, Seat b) {
    if (!lab_.linked(a, b)) lab_.connect(a, b);
    lab_.advance(seconds(2));
  }
  void add_everywhere() {
    ASSERT_TRUE(lab_.ok(kA, change(kA, kAll)));
    ASSERT_TRUE(lab_.ok(kB, change(kB, kAll)));
    connect(kA, kC);
    connect(kB, kC);
    ASSERT_EQ(members(), (SeatSet{kA, kB, kC}));
    ASSERT_EQ(voters(), kAll);
  }
  SeatSet members() { return lab_.node(kA).tenure().members; }
  SeatSet voters() {
    SeatSet seats;
    for (const Voter& voter : lab_.node(kA).tenure().voters) seats.insert(voter.seat);
    return seats;
  }
  bool remembers_c() { return !lab_.node(kA).record.peers[kC.value].disk.is_nil(); }
  size_t full_resyncs_of_c() {
    size_t count = 0;
    for (const Lab::Mail& letter : lab_.delivered) {
      const auto* begin = std::get_if<ResyncBegin>(&letter.send.message);
      count += letter.send.to == kC && begin != nullptr && begin->full;
    }
    return count;
  }
  Lab lab_{a_third_that_only_it_knows()};
  uint64_t last_ = uint64_t{1} << 50;
};

TEST_F(NodeChanging, WhoComesIsCopiedAndVotesWhenEverybodyKnowsIt) {
  EXPECT_TRUE(lab_.ok(kA, change(kA, kAll)));
  EXPECT_TRUE(lab_.node(kA).noted(Notice::node_added));
  connect(kA, kC);
  EXPECT_EQ(full_resyncs_of_c(), 1u);
  EXPECT_EQ(members(), (SeatSet{kA, kB, kC}));
  EXPECT_EQ(voters(), kPair) << "beta could not ask it, and would count it";
  EXPECT_TRUE(lab_.ok(kB, change(kB, kAll)));
  connect(kB, kC);
  EXPECT_EQ(voters(), kAll);
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA)), IoStatus::ok);
}

TEST_F(NodeChanging, WritesGoOnWhileItChanges) {
  lab_.node(kB).hold_disk = [](const DiskIo&) { return true; };
  const ClientIo write = lab_.write(kA);
  EXPECT_TRUE(lab_.ok(kA, change(kA, kAll)));
  EXPECT_FALSE(lab_.answer(kA, write));
  lab_.node(kB).hold_disk = [](const DiskIo&) { return false; };
  lab_.run();
  EXPECT_EQ(lab_.answer(kA, write), IoStatus::ok);
}

TEST_F(NodeChanging, WhoGoesGivesItsCopyAndItsVoteBackFirst) {
  add_everywhere();
  EXPECT_TRUE(remembers_c());
  EXPECT_EQ(lab_.reason(kB, change(kB, kPair)), Reason::still_named);
  EXPECT_TRUE(lab_.linked(kB, kC)) << "refused, and nothing happened";
  EXPECT_TRUE(lab_.ok(kA, change(kA, kPair)));
  EXPECT_TRUE(lab_.node(kA).noted(Notice::node_removed));
  EXPECT_EQ(members(), (SeatSet{kA, kB}));
  EXPECT_EQ(voters(), kPair);
  EXPECT_FALSE(remembers_c());
  EXPECT_FALSE(lab_.linked(kA, kC));
  EXPECT_TRUE(lab_.ok(kB, change(kB, kPair)));
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA)), IoStatus::ok);
  EXPECT_FALSE(lab_.node(kC).record.inconsistent) << "its copy stays as it was";
}

TEST_F(NodeChanging, ADeadNodeIsGivenUpByTheOthers) {
  add_everywhere();
  lab_.kill(kC);
  EXPECT_TRUE(lab_.ok(kA, change(kA, kPair)));
  EXPECT_EQ(voters(), kPair);
}

TEST_F(NodeChanging, WithoutVotesNothingChanges) {
  add_everywhere();
  lab_.cut(kA, kB);
  lab_.cut(kA, kW);
  const AdminId command = change(kA, kPair);
  lab_.advance(seconds(20));
  EXPECT_EQ(lab_.reason(kA, command), Reason::no_quorum);
  EXPECT_TRUE(lab_.linked(kA, kC));
  EXPECT_TRUE(remembers_c());
}

// Of two voters that would be left one is silent, and may never come back as the same: a set that nobody could decide is not asked for.
TEST_F(NodeChanging, ANodeWhoseVoteIsNeededByThoseWhoStayIsNotTakenOut) {
  lab_.cut(kA, kW);
  lab_.cut(kB, kW);
  lab_.advance(seconds(2));
  const AdminId command = change(kA, {kA, kW});
  lab_.advance(seconds(2));
  EXPECT_EQ(voters(), kPair);
  EXPECT_EQ(lab_.node(kB).record.acceptor.tenure->voters.size(), 3u) << "beta was asked, and would never forget";
  EXPECT_EQ(members(), (SeatSet{kA, kB})) << "nor is its copy given up";
  EXPECT_FALSE(lab_.result(kA, command));
  lab_.advance(seconds(15));
  EXPECT_EQ(lab_.reason(kA, command), Reason::no_quorum);
  const AdminId again = change(kA, {kA, kW});
  lab_.connect(kA, kW);
  lab_.advance(seconds(2));
  EXPECT_TRUE(lab_.ok(kA, again)) << "its vote goes as soon as the witness is back";
  EXPECT_EQ(voters(), (SeatSet{kA, kW}));
}

TEST_F(NodeChanging, ItIsForgottenBeforeItsBitmapIsKeptNoMore) {
  add_everywhere();
  lab_.kill(kC);
  lab_.advance(seconds(1));
  lab_.node(kA).hold_meta_of = [this](LabNode::Meta of) { return of == LabNode::Meta::record && voters() == kPair; };
  const AdminId command = change(kA, kPair);
  EXPECT_FALSE(lab_.result(kA, command));
  lab_.node(kA).hold_meta_of = [](LabNode::Meta) { return false; };
  lab_.run();
  EXPECT_TRUE(lab_.ok(kA, command));
  EXPECT_FALSE(remembers_c());
}

TEST_F(NodeChanging, WhoComesBackIsCopiedInFull) {
  add_everywhere();
  const size_t before = full_resyncs_of_c();
  EXPECT_TRUE(lab_.ok(kA, change(kA, kPair)));
  EXPECT_TRUE(lab_.ok(kB, change(kB, kPair)));
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA)), IoStatus::ok);
  add_everywhere();
  EXPECT_EQ(full_resyncs_of_c(), before + 1);
}

TEST_F(NodeChanging, APrimaryThatAConfigurationLacksIsNotPutOutByASecondary) {
  add_everywhere();
  EXPECT_EQ(lab_.reason(kC, change(kC, {kB, kC, kW})), Reason::still_named);
}

TEST_F(NodeChanging, AWitnessComesAndGoes) {
  EXPECT_TRUE(lab_.ok(kA, change(kA, {kA, kB})));
  lab_.advance(seconds(2));
  EXPECT_EQ(voters(), (SeatSet{kA, kB}));
  EXPECT_FALSE(lab_.linked(kA, kW));
  EXPECT_TRUE(lab_.ok(kA, change(kA, kPair)));
  connect(kA, kW);
  EXPECT_EQ(voters(), kPair);
}

// Found by a review: its link was gone before its vote, and I/O froze.
TEST_F(NodeChanging, AWitnessThatIsNeededIsNotTakenAway) {
  lab_.kill(kB);
  lab_.advance(seconds(3));
  ASSERT_EQ(lab_.answer(kA, lab_.write(kA)), IoStatus::ok);
  const AdminId command = change(kA, {kA, kB});
  lab_.advance(seconds(20));
  EXPECT_EQ(lab_.reason(kA, command), Reason::no_quorum) << "beta is not there to do without it";
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA)), IoStatus::ok);
  EXPECT_EQ(voters(), kPair);
}

// Its vote is the affair of whoever holds the tenure.
TEST_F(NodeChanging, ASecondaryTakesAWitnessOutAtOnce) {
  EXPECT_TRUE(lab_.ok(kB, change(kB, {kA, kB})));
  EXPECT_FALSE(lab_.linked(kB, kW));
  EXPECT_EQ(voters(), kPair);
}

// Found by a review: the leader of a set without a Primary put out whom its file lacked.
TEST_F(NodeChanging, AStartWithAnotherFilePutsNobodyOut) {
  add_everywhere();
  ASSERT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::secondary)));
  lab_.advance(seconds(1));
  lab_.kill(kA);
  lab_.node(kA).config.data_nodes = {kA, kB};
  lab_.start(kA);
  for (Seat other : {kB, kW}) lab_.connect(kA, other);
  lab_.advance(seconds(5));
  EXPECT_EQ(lab_.node(kB).tenure().members, (SeatSet{kA, kB, kC}));
}

TEST(NodeChangeOfTwo, AFileThatLacksThePeerDoesNotShutItOut) {
  Lab lab;
  lab.create();
  lab.kill(kA);
  lab.node(kA).config.data_nodes = {kA};
  lab.start(kA);
  lab.connect(kA, kW);
  lab.advance(seconds(5));
  lab.kill(kA);
  lab.advance(seconds(2));
  lab.promote(kB);
  EXPECT_EQ(lab.answer(kB, lab.write(kB)), IoStatus::ok);
}

// Found by a review, by reading: the first command's record counted for the second.
TEST_F(NodeChanging, WhatAnEarlierCommandRecordedDoesNotCount) {
  add_everywhere();
  const auto forgetting = [this](LabNode::Meta of) {
    const NodeRecord& record = lab_.node(kA).replica->record();
    return of == LabNode::Meta::record && record.peers[kC.value].disk.is_nil() && !record.adopted->members.contains(kC);
  };
  lab_.node(kA).hold_meta_of = forgetting;
  const AdminId first = change(kA, kPair);
  lab_.advance(seconds(16));
  EXPECT_EQ(lab_.reason(kA, first), Reason::timed_out);
  EXPECT_TRUE(lab_.linked(kA, kC));
  lab_.node(kA).config.data_nodes = {kA, kB, kC};
  const AdminId second = change(kA, kPair);
  EXPECT_FALSE(lab_.result(kA, second));
  lab_.node(kA).hold_meta_of = [](LabNode::Meta) { return false; };
  lab_.run();
  EXPECT_TRUE(lab_.ok(kA, second));
  EXPECT_FALSE(remembers_c());
}

// It was taken out of the file while the node was down, and the tenure names it yet.
TEST_F(NodeChanging, APromotionLeavesOutWhomTheConfigurationLacks) {
  add_everywhere();
  ASSERT_TRUE(lab_.ok(kA, lab_.admin(kA, AdminOp::secondary)));
  ASSERT_EQ(members(), (SeatSet{kA, kB, kC}));
  lab_.kill(kA);
  lab_.node(kA).config.data_nodes = {kA, kB};
  lab_.start(kA);
  for (Seat other : {kB, kW}) lab_.connect(kA, other);
  lab_.advance(seconds(5));
  lab_.promote(kA);
  EXPECT_EQ(members(), (SeatSet{kA, kB}));
  lab_.advance(seconds(2));
  EXPECT_EQ(voters(), kPair);
  EXPECT_EQ(lab_.answer(kA, lab_.write(kA)), IoStatus::ok);
}

}  // namespace
}  // namespace lockstep
