#include "core/volumes.h"

#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

constexpr uint64_t kBlock = kBlockBytes;
constexpr uint64_t kExtent = kExtentBytes;

// The first ends within an extent, the second with one.
VolumeShapes three() {
  VolumeShapes volumes;
  volumes.push_back({0, 2 * kExtent + kBlock});
  volumes.push_back({3, kExtent});
  volumes.push_back({4, 5 * kBlock});
  return volumes;
}

TEST(Volumes, EachBeginsWithAnExtent) {
  const VolumeShapes volumes = three();
  EXPECT_EQ(volume_base(volumes, 0), 0u);
  EXPECT_EQ(volume_base(volumes, 1), 3 * kExtent);
  EXPECT_EQ(volume_base(volumes, 2), 4 * kExtent);
  EXPECT_EQ(volume_base(volumes, 3), 5 * kExtent);
  EXPECT_EQ(span_of(volumes), 4 * kExtent + 5 * kBlock);
  EXPECT_EQ(span_of(VolumeShapes{}), 0u);
  VolumeShapes one;
  one.push_back({0, 77 * kBlock});
  EXPECT_EQ(span_of(one), 77 * kBlock) << "one volume is the address space";
}

TEST(Volumes, APlaceIsInOneVolumeOrInNone) {
  const VolumeShapes volumes = three();
  const auto place = [&volumes](uint64_t address) {
    const auto found = place_of(volumes, address);
    return found ? std::pair{static_cast<int>(found->index), found->offset} : std::pair{-1, uint64_t{0}};
  };
  EXPECT_EQ(place(0), std::pair(0, uint64_t{0}));
  EXPECT_EQ(place(2 * kExtent + kBlock - 1), std::pair(0, 2 * kExtent + kBlock - 1));
  EXPECT_EQ(place(2 * kExtent + kBlock).first, -1);
  EXPECT_EQ(place(3 * kExtent - 1).first, -1);
  EXPECT_EQ(place(3 * kExtent), std::pair(1, uint64_t{0}));
  EXPECT_EQ(place(4 * kExtent + kBlock), std::pair(2, kBlock));
  EXPECT_EQ(place(4 * kExtent + 5 * kBlock).first, -1);
  EXPECT_EQ(place(UINT64_MAX).first, -1);
}

TEST(Volumes, ARequestStaysWithinOne) {
  const VolumeShapes volumes = three();
  EXPECT_TRUE(within_a_volume(volumes, {0, 2 * kExtent + kBlock}));
  EXPECT_FALSE(within_a_volume(volumes, {0, 2 * kExtent + 2 * kBlock}));
  EXPECT_TRUE(within_a_volume(volumes, {3 * kExtent, kExtent}));
  EXPECT_FALSE(within_a_volume(volumes, {3 * kExtent, kExtent + kBlock})) << "although the next one follows at once";
  EXPECT_FALSE(within_a_volume(volumes, {4 * kExtent, 6 * kBlock}));
  EXPECT_FALSE(within_a_volume(volumes, {kBlock, UINT64_MAX}));
  EXPECT_FALSE(within_a_volume(volumes, {0, 0}));
}

TEST(Volumes, RoomIsJudgedVolumeByVolume) {
  VolumeShapes wanted = three();
  VolumeShapes room = three();
  EXPECT_TRUE(room_for(wanted, room));
  room[0].size_bytes += kBlock;
  EXPECT_TRUE(room_for(wanted, room));
  room[2].size_bytes -= kBlock;
  EXPECT_FALSE(room_for(wanted, room)) << "what one has too much is no use to another";
  room = three();
  room[1].number = 2;
  EXPECT_FALSE(room_for(wanted, room));
  EXPECT_FALSE(same_volumes(wanted, room));
}

TEST(Volumes, ARecordWithoutAListIsOneVolume) {
  NodeRecord record;
  record.size_bytes = 9 * kBlock;
  VolumeShapes one;
  one.push_back({0, 9 * kBlock});
  EXPECT_EQ(volumes_of(record), one);
  record.volumes = three();
  EXPECT_EQ(volumes_of(record), three());
}

TEST(Volumes, AListIsInOrder) {
  VolumeShapes volumes = three();
  EXPECT_TRUE(in_order(volumes));
  volumes[2].number = 3;
  EXPECT_FALSE(in_order(volumes));
  volumes = three();
  volumes[0].size_bytes = UINT64_MAX - 5;
  EXPECT_FALSE(in_order(volumes)) << "sums of sizes would wrap";
}

// --- a resource with several -----------------------------------------------------------------------------------------------

LabOptions both_with(const VolumeShapes& one, const VolumeShapes& other) {
  LabOptions options;
  options.volumes = {{kA, one}, {kB, other}};
  return options;
}

class SeveralVolumes : public testing::Test {
 protected:
  Lab lab{both_with(three(), three())};
};

TEST_F(SeveralVolumes, AreCreatedAsTheDisksHaveThem) {
  lab.create();
  ASSERT_TRUE(lab.node(kA).record.adopted);
  EXPECT_EQ(lab.node(kA).record.adopted->volumes, three());
  EXPECT_EQ(lab.show(kB).volumes, three());
}

TEST_F(SeveralVolumes, ARequestThatLeavesItsVolumeIsRefused) {
  lab.create();
  lab.promote(kA);
  EXPECT_EQ(lab.answer(kA, lab.write(kA, {3 * kExtent, kBlock})), IoStatus::ok);
  EXPECT_EQ(lab.answer(kA, lab.write(kA, {2 * kExtent, 2 * kBlock})), IoStatus::no_space);
  EXPECT_EQ(lab.answer(kA, lab.write(kA, {2 * kExtent + kBlock, kBlock})), IoStatus::no_space) << "between two volumes";
  EXPECT_EQ(lab.answer(kA, lab.read(kA, {4 * kExtent - kBlock, 2 * kBlock})), IoStatus::invalid);
}

TEST_F(SeveralVolumes, OutOfSyncIsCountedByVolume) {
  lab.create();
  lab.promote(kA);
  lab.cut(kA, kB);
  lab.advance(seconds(10));
  ASSERT_EQ(lab.answer(kA, lab.write(kA, {3 * kExtent, 2 * kBlock})), IoStatus::ok);
  ASSERT_EQ(lab.answer(kA, lab.write(kA, {4 * kExtent, kBlock})), IoStatus::ok);
  const Snapshot shown = lab.show(kA);
  VolumeCounts expected;
  for (const uint64_t blocks : {0, 2, 1}) expected.push_back(blocks);
  EXPECT_EQ(shown.peers[0].dirty_of, expected);
  EXPECT_EQ(shown.peers[0].dirty_blocks, 3u);
}

TEST_F(SeveralVolumes, DoNotGrow) {
  lab.create();
  lab.promote(kA);
  EXPECT_EQ(lab.reason(kA, lab.admin(kA, AdminOp::resize)), Reason::several_volumes);
}

TEST_F(SeveralVolumes, AreNotCreatedInASizeOfTheirOwn) {
  lab.connect_all();
  EXPECT_EQ(lab.reason(kA, lab.admin(kA, AdminOp::new_current_uuid, kNoSeat, {0, 1 << 20})), Reason::several_volumes);
  EXPECT_EQ(lab.reason(kA, lab.admin(kA, AdminOp::primary_force, kNoSeat, {0, 1 << 20})), Reason::several_volumes);
  EXPECT_FALSE(lab.node(kA).record.adopted);
}

// It adopted it through voters, say: whoever has the disks refuses to meet it.
TEST_F(SeveralVolumes, ATenureForWhichThereIsNoRoomIsNotServed) {
  lab.create();
  for (const size_t smaller : {size_t{0}, size_t{2}}) {
    lab.kill(kB);
    NodeRecord& record = lab.node(kB).record;
    record.volumes = three();
    record.volumes[smaller].size_bytes -= kBlock;
    lab.start(kB);
    lab.connect(kB, kW);
    lab.run();
    EXPECT_EQ(lab.reason(kB, lab.admin(kB, AdminOp::primary)), Reason::size_too_small);
    EXPECT_EQ(lab.reason(kB, lab.admin(kB, AdminOp::primary_force)), Reason::size_too_small);
  }
}

Reason refusal_between(const VolumeShapes& one, const VolumeShapes& other) {
  Lab lab(both_with(one, other));
  lab.connect_all();
  for (Seat seat : {kA, kB}) {
    const auto& closed = lab.node(seat).closed;
    if (!closed.empty()) return closed.back().stand_alone ? closed.back().reason : Reason::protocol_violation;
  }
  return Reason::none;
}

TEST(VolumesOfAPeer, AreTheSameOnes) {
  EXPECT_EQ(refusal_between(three(), three()), Reason::none);
  VolumeShapes other = three();
  other[1].number = 2;
  EXPECT_EQ(refusal_between(three(), other), Reason::different_volumes);
  VolumeShapes fewer;
  fewer.push_back(three()[0]);
  fewer.push_back(three()[1]);
  EXPECT_EQ(refusal_between(three(), fewer), Reason::different_volumes);
  other = three();
  other[0].size_bytes += kBlock;
  EXPECT_EQ(refusal_between(three(), other), Reason::different_size) << "never used, and not equally large";
}

}  // namespace
}  // namespace lockstep
