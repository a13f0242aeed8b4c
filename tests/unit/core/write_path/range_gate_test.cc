#include "core/write_path/range_gate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace lockstep {
namespace {

using Mode = RangeGate::Mode;

TEST(RangeGate, ReadsOfOneRangeShareAndAChangeWaitsForThem) {
  RangeGate gate;
  EXPECT_TRUE(gate.enter({1}, {0, 8}, Mode::shared));
  EXPECT_TRUE(gate.enter({2}, {4, 8}, Mode::shared));
  EXPECT_FALSE(gate.enter({3}, {6, 1}, Mode::exclusive));
  std::vector<OpId> runnable;
  gate.leave({1}, runnable);
  EXPECT_TRUE(runnable.empty());
  gate.leave({2}, runnable);
  EXPECT_EQ(runnable, std::vector<OpId>{{3}});
  EXPECT_EQ(gate.size(), 1u);
}

TEST(RangeGate, AReadBehindAWaitingChangeDoesNotOvertakeIt) {
  RangeGate gate;
  EXPECT_TRUE(gate.enter({1}, {0, 8}, Mode::shared));
  EXPECT_FALSE(gate.enter({2}, {0, 8}, Mode::exclusive));
  EXPECT_FALSE(gate.enter({3}, {0, 8}, Mode::shared));
  std::vector<OpId> runnable;
  gate.leave({1}, runnable);
  gate.leave({2}, runnable);
  EXPECT_EQ(runnable, (std::vector<OpId>{{2}, {3}}));
}

TEST(RangeGate, NeighboursDoNotMeet) {
  RangeGate gate;
  EXPECT_TRUE(gate.enter({1}, {0, 8}, Mode::exclusive));
  EXPECT_TRUE(gate.enter({2}, {8, 8}, Mode::exclusive));
}

TEST(RangeGate, AnOperationMayGiveUpWaiting) {
  RangeGate gate;
  EXPECT_TRUE(gate.enter({1}, {0, 8}, Mode::exclusive));
  EXPECT_FALSE(gate.enter({2}, {0, 8}, Mode::exclusive));
  EXPECT_FALSE(gate.enter({3}, {0, 8}, Mode::exclusive));
  std::vector<OpId> runnable;
  gate.leave({2}, runnable);
  EXPECT_TRUE(runnable.empty());
  gate.leave({1}, runnable);
  EXPECT_EQ(runnable, std::vector<OpId>{{3}});
}

// An operation runs exactly when no earlier one that is still there conflicts with it.
class NaiveGate {
 public:
  struct Entry {
    OpId op;
    Range range;
    Mode mode;
  };
  void enter(const Entry& entry) { entries_.push_back(entry); }
  void leave(OpId op) {
    std::erase_if(entries_, [op](const Entry& entry) { return entry.op == op; });
  }
  std::set<OpId> running() const {
    std::set<OpId> found;
    for (size_t i = 0; i < entries_.size(); ++i) {
      const auto blocks = [&](const Entry& earlier) {
        return earlier.range.overlaps(entries_[i].range) &&
               (earlier.mode == Mode::exclusive || entries_[i].mode == Mode::exclusive);
      };
      if (std::none_of(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(i), blocks)) found.insert(entries_[i].op);
    }
    return found;
  }
  OpId at(size_t i) const { return entries_[i].op; }
  size_t size() const { return entries_.size(); }

 private:
  std::vector<Entry> entries_;
};

TEST(RangeGate, RunsWhatANaiveModelRuns) {
  std::mt19937_64 random(1);
  RangeGate gate;
  NaiveGate naive;
  std::set<OpId> running;
  for (uint64_t step = 1; step <= 20000; ++step) {
    if (naive.size() == 0 || (naive.size() < 12 && random() % 2 == 0)) {
      const NaiveGate::Entry entry{{step}, {random() % 32, 1 + random() % 8}, random() % 2 == 0 ? Mode::shared : Mode::exclusive};
      naive.enter(entry);
      if (gate.enter(entry.op, entry.range, entry.mode)) running.insert(entry.op);
    } else {
      const OpId op = naive.at(random() % naive.size());
      naive.leave(op);
      running.erase(op);
      std::vector<OpId> runnable;
      gate.leave(op, runnable);
      ASSERT_TRUE(std::is_sorted(runnable.begin(), runnable.end())) << "oldest first";
      for (OpId next : runnable) ASSERT_TRUE(running.insert(next).second) << "runs once";
    }
    ASSERT_EQ(running, naive.running()) << step;
    ASSERT_EQ(gate.size(), naive.size());
  }
}

}  // namespace
}  // namespace lockstep
