#include "base/ids.h"

#include <gtest/gtest.h>

#include <vector>

namespace lockstep {
namespace {

std::vector<int> members(SeatSet set) {
  std::vector<int> out;
  for (const Seat seat : set) out.push_back(seat.value);
  return out;
}

TEST(Seat, WitnessesFollowTheDataNodes) {
  EXPECT_FALSE(Seat{kMaxDataNodes - 1}.is_witness());
  EXPECT_TRUE(witness_seat(0).is_witness());
  EXPECT_EQ(witness_seat(0).value, kMaxDataNodes);
}

TEST(SeatSet, HoldsWhatWasInsertedInOrder) {
  SeatSet set{{31}, {0}, {16}};
  EXPECT_EQ(members(set), (std::vector<int>{0, 16, 31}));
  EXPECT_EQ(set.size(), 3);
  EXPECT_EQ(set.lowest(), Seat{0});
  set.erase({0});
  set.erase({5});
  EXPECT_EQ(members(set), (std::vector<int>{16, 31}));
  EXPECT_TRUE(set.contains({16}));
  EXPECT_FALSE(set.contains({0}));
  EXPECT_EQ(SeatSet(set.bits()), set);
}

TEST(SeatSet, NoSeatIsNeverAMember) {
  SeatSet set;
  set.insert(kNoSeat);
  set.insert({kMaxSeats});
  EXPECT_TRUE(set.empty());
  EXPECT_FALSE(SeatSet(~uint32_t{0}).contains(kNoSeat));
  EXPECT_FALSE(SeatSet(~uint32_t{0}).contains({kMaxSeats}));
}

TEST(SeatSet, UnionIntersectionAndDifference) {
  const SeatSet a{{0}, {1}, {20}};
  const SeatSet b{{1}, {20}, {31}};
  EXPECT_EQ(members(a | b), (std::vector<int>{0, 1, 20, 31}));
  EXPECT_EQ(members(a & b), (std::vector<int>{1, 20}));
  EXPECT_EQ(members(a - b), (std::vector<int>{0}));
  EXPECT_EQ(members(SeatSet{}), std::vector<int>{});
}

}  // namespace
}  // namespace lockstep
