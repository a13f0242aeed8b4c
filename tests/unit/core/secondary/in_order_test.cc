#include "core/secondary/in_order.h"

#include <gtest/gtest.h>

#include <vector>

namespace lockstep {
namespace {

class InOrderTest : public testing::Test {
 protected:
  void add(uint64_t position, uint64_t after) {
    PendingWrite write;
    write.op = {position};
    queue_.add(position, after, write);
  }
  std::vector<uint64_t> begun() {
    std::vector<uint64_t> now;
    queue_.pump([this](const PendingWrite& write) { return write.op.value != not_ready_; },
                [&now](const PendingWrite& write) { now.push_back(write.op.value); });
    return now;
  }
  InOrder queue_;
  uint64_t not_ready_ = 0;
};

using Positions = std::vector<uint64_t>;

TEST_F(InOrderTest, WhatDependsOnNothingBeginsAtOnce) {
  add(5, 4);
  add(6, 4);
  EXPECT_EQ(begun(), (Positions{5, 6}));
  EXPECT_EQ(begun(), Positions{});
}

TEST_F(InOrderTest, AChangeWaitsForAllUpToThePositionThatItNames) {
  add(5, 0);
  add(6, 0);
  add(7, 5);
  EXPECT_EQ(begun(), (Positions{5, 6}));
  queue_.applied(6);
  EXPECT_EQ(begun(), Positions{}) << "5 is not applied";
  queue_.applied(5);
  EXPECT_EQ(begun(), (Positions{7}));
}

TEST_F(InOrderTest, OneThatIsNotReadyHoldsUpOnlyWhatDependsOnIt) {
  add(1, 0);
  add(2, 0);
  add(3, 1);
  not_ready_ = 1;
  EXPECT_EQ(begun(), (Positions{2}));
  queue_.applied(2);
  not_ready_ = 0;
  EXPECT_EQ(begun(), (Positions{1}));
  EXPECT_FALSE(queue_.reached(1));
  queue_.applied(1);
  EXPECT_TRUE(queue_.reached(2));
  EXPECT_EQ(begun(), (Positions{3}));
}

TEST_F(InOrderTest, WhatWasNotBegunIsGivenUp) {
  add(1, 0);
  add(2, 1);
  add(3, 1);
  EXPECT_EQ(begun(), (Positions{1}));
  EXPECT_EQ(queue_.waiting(), 2u);
  EXPECT_EQ(queue_.give_up().size(), 2u);
  EXPECT_EQ(queue_.waiting(), 0u);
  EXPECT_FALSE(queue_.empty());
  queue_.applied(1);
  EXPECT_TRUE(queue_.empty());
}

}  // namespace
}  // namespace lockstep
