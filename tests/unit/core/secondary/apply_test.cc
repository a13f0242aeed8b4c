#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

class ApplyTest : public testing::Test {
 protected:
  void SetUp() override {
    lab_.create();
    lab_.promote(kA);
  }
  Stamp stamp(int64_t later = 0) {
    Stamp now = stamp_of(lab_.node(kB).tenure());
    now.number += static_cast<uint64_t>(later);
    return now;
  }
  WriteRequest write(const Stamp& stamp, Range range = {0, 4096}, OpKind kind = OpKind::write) {
    return {stamp, OpId{7}, 1000, kind, range, false};
  }
  template <class T>
  std::optional<T> told() {
    for (auto at = lab_.delivered.rbegin(); at != lab_.delivered.rend(); ++at) {
      if (const auto* found = std::get_if<T>(&at->send.message); found != nullptr && at->from == kB) return *found;
    }
    return std::nullopt;
  }
  // A disk that ends nothing shows what was taken: otherwise a frame that was refused and one that was carried out look the same.
  void hold_disk(Seat seat) {
    lab_.node(seat).hold_disk = [](const DiskIo&) { return true; };
  }
  bool closed(Reason reason) { return !lab_.node(kB).closed.empty() && lab_.node(kB).closed.back().reason == reason; }
  Lab lab_;
};

TEST_F(ApplyTest, AFrameOfALaterTenureThanItWasToldBreaksTheProtocol) {
  lab_.inject(kA, kB, write(stamp(1)));
  EXPECT_TRUE(closed(Reason::protocol_violation));
}

TEST_F(ApplyTest, AFrameOfAnOlderTenureIsRefusedInSilence) {
  hold_disk(kB);
  const size_t released = lab_.node(kB).released.size();
  lab_.inject(kA, kB, write(stamp(-1)), lab_.fresh_payload());
  lab_.inject(kA, kB, FlushRequest{stamp(-1), OpId{7}});
  lab_.inject(kA, kB, Settled{stamp(-1), 1000});
  EXPECT_TRUE(lab_.node(kB).disk.empty());
  EXPECT_EQ(lab_.node(kB).released.size(), released + 1);
  EXPECT_TRUE(lab_.node(kB).closed.empty());
}

// Of three: the tenure is the same for both Secondaries, and so is its stamp.
TEST_F(ApplyTest, AWriteFromWhoIsNotPrimaryIsRefused) {
  Lab lab(three_data_nodes());
  lab.create();
  lab.promote(kA);
  lab.node(kB).hold_disk = [](const DiskIo&) { return true; };
  const size_t released = lab.node(kB).released.size();
  lab.inject(kC, kB, write(stamp_of(lab.node(kB).tenure())), lab.fresh_payload());
  EXPECT_TRUE(lab.node(kB).disk.empty());
  EXPECT_EQ(lab.node(kB).released.size(), released + 1);
}

TEST_F(ApplyTest, AWriteOutsideTheVolumeBreaksTheProtocol) {
  lab_.inject(kA, kB, write(stamp(), {kLabBytes, 4096}));
  EXPECT_TRUE(closed(Reason::protocol_violation));
}

TEST_F(ApplyTest, AWriteThatIsNoChangeBreaksTheProtocol) {
  lab_.inject(kA, kB, write(stamp(), {0, 4096}, OpKind::read));
  EXPECT_TRUE(closed(Reason::protocol_violation));
}

TEST_F(ApplyTest, AnAcknowledgementCountsOnlyOnTheLinkThatCarriedTheWrite) {
  lab_.node(kB).hold_disk = [](const DiskIo&) { return true; };
  lab_.write(kA);
  lab_.cut(kA, kB);
  lab_.delivered.clear();
  lab_.connect(kA, kB);
  lab_.run();
  EXPECT_FALSE(told<PeerHello>()) << "not while writes of the old link are in flight";
  lab_.node(kB).hold_disk = [](const DiskIo&) { return false; };
  lab_.run();
  EXPECT_TRUE(told<PeerHello>());
  lab_.advance(seconds(1));
  EXPECT_EQ(lab_.node(kA).tenure().members, (SeatSet{kA, kB}));
}

TEST_F(ApplyTest, ADiskThatFailedRefusesWritesFlushesAndReads) {
  lab_.hold_mail = [](const Lab::Mail& letter) { return letter.from == kB && lane_of(letter.send.message) == Lane::data; };
  lab_.node(kB).disk_status = [](const DiskIo&) { return IoStatus::io_error; };
  lab_.inject(kA, kB, write(stamp()));
  lab_.delivered.clear();
  lab_.inject(kA, kB, write(stamp()));
  lab_.inject(kA, kB, FlushRequest{stamp(), OpId{8}});
  lab_.inject(kA, kB, ReadRequest{stamp(), OpId{9}, {0, 4096}});
  lab_.hold_mail = [](const Lab::Mail&) { return false; };
  lab_.run();
  ASSERT_TRUE(told<WriteReply>() && told<FlushReply>() && told<ReadReply>() && told<DiskCondition>());
  EXPECT_EQ(told<WriteReply>()->status, IoStatus::io_error);
  EXPECT_EQ(told<FlushReply>()->status, IoStatus::io_error);
  EXPECT_EQ(told<ReadReply>()->status, IoStatus::io_error);
  EXPECT_FALSE(told<DiskCondition>()->usable);
}

TEST_F(ApplyTest, AMetadataFailureFailsWhatWaitsForItsIntent) {
  lab_.node(kB).hold_meta = true;
  lab_.write(kA, {5 * kExtentBytes, 4096});
  lab_.node(kB).meta_ok = false;
  lab_.node(kB).hold_meta = false;
  lab_.run();
  ASSERT_TRUE(told<WriteReply>());
  EXPECT_EQ(told<WriteReply>()->status, IoStatus::io_error);
}

TEST_F(ApplyTest, AReadOutsideTheVolumeIsAnError) {
  lab_.inject(kA, kB, ReadRequest{stamp(), OpId{9}, {kLabBytes, 4096}});
  EXPECT_EQ(told<ReadReply>()->status, IoStatus::io_error);
}

TEST_F(ApplyTest, ResyncFramesToAMemberChangeNothing) {
  hold_disk(kB);
  const size_t released = lab_.node(kB).released.size();
  lab_.inject(kA, kB, ResyncBegin{stamp(), true});
  EXPECT_FALSE(lab_.node(kB).replica->record().inconsistent);
  lab_.inject(kA, kB, ResyncWrite{stamp(), OpId{7}, OpKind::write, {0, 4096}}, lab_.fresh_payload());
  EXPECT_EQ(lab_.node(kB).released.size(), released + 1);
  lab_.inject(kA, kB, JoinPrepare{stamp(), OpId{7}});
  EXPECT_TRUE(lab_.node(kB).disk.empty());
}

// The Primary does the same; but it may be gone for good, and then this copy alone knows what the third one lacks.
TEST_F(ApplyTest, ExtentsStayHotForAnAbsentThirdNodeUntilItsBitsAreDurable) {
  Lab lab(three_data_nodes());
  lab.create();
  lab.promote(kA);
  lab.kill(kC);
  lab.advance(milliseconds(100));
  ASSERT_EQ(lab.node(kB).tenure().members, (SeatSet{kA, kB}));
  lab.node(kB).hold_meta_of = [](LabNode::Meta of) { return of == LabNode::Meta::bitmap; };
  lab.write(kA);
  lab.advance(seconds(10));
  ASSERT_EQ(lab.show(kA).hot_extents, 0u) << "settled";
  EXPECT_EQ(lab.show(kB).hot_extents, 1u);
  EXPECT_TRUE(lab.node(kB).intent.test(0));
  lab.node(kB).hold_meta_of = [](LabNode::Meta) { return false; };
  lab.advance(seconds(2));
  EXPECT_EQ(lab.show(kB).hot_extents, 0u);
  EXPECT_GT(lab.node(kB).bitmaps[kC.value].count(), 0u);
}

}  // namespace
}  // namespace lockstep
