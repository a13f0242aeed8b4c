// Scenarios on the simulated cluster, without chance in what happens: what an administrator would try first.
#include "sim/world.h"

#include <gtest/gtest.h>

#include "sim/mutants.h"
#include "sim/shrink.h"

namespace lockstep::sim {
namespace {

class ClusterTest : public testing::Test {
 protected:
  void build(int witnesses, int clients = 0) {
    Plan plan = quiet_plan(42, witnesses);
    plan.workload.clients = clients;
    plan.workload.readers = clients / 2;
    if (witnesses == 0) plan.core.fence_handler = false;
    world_.emplace(plan, getenv("LOCKSTEP_SIM_TRACE") != nullptr ? TraceDetail::all : TraceDetail::none);
    world_->boot();
    ASSERT_TRUE(world_->run_until(seconds(20), [this] { return world_->manager().primary() != nullptr; }));
  }
  SimNode& primary() { return *world_->manager().primary(); }
  SimNode& secondary() { return world_->node(primary().seat() == Seat{0} ? 1 : 0); }
  uint64_t write(SimNode& node, uint64_t block, uint64_t count = 1) {
    ClientOp op;
    op.kind = OpKind::write;
    op.range = {block * kBlockBytes, count * kBlockBytes};
    return world_->workload().issue(node.seat(), op);
  }
  uint64_t read(SimNode& node, uint64_t block) {
    ClientOp op;
    op.range = {block * kBlockBytes, kBlockBytes};
    return world_->workload().issue(node.seat(), op);
  }
  const ClientOp& op(uint64_t index) { return world_->oracle().history().op(index); }
  bool answered(uint64_t index, Duration within) {
    return world_->run_until(within, [&] { return op(index).acknowledged; });
  }
  // Everything is back, identical, and all that was acknowledged is there.
  void expect_whole() {
    EXPECT_TRUE(world_->run_until(seconds(60), [this] { return world_->settled(); }));
    world_->prove();
    expect_no_violation();
  }
  void expect_no_violation() {
    for (const Violation& v : world_->oracle().violations()) ADD_FAILURE() << v.promise << ": " << v.what;
  }
  std::optional<World> world_;
};

TEST_F(ClusterTest, WriteAndReadBack) {
  build(1);
  const uint64_t w = write(primary(), 5, 3);
  ASSERT_TRUE(answered(w, seconds(1)));
  EXPECT_EQ(secondary().disk().read_block(6), History::version_of(w));
  const uint64_t r = read(primary(), 6);
  ASSERT_TRUE(answered(r, seconds(1)));
  EXPECT_EQ(op(r).seen->at(0), History::version_of(w));
  expect_whole();
}

TEST_F(ClusterTest, TheSurvivorIsPromotedWithEveryAcknowledgedWrite) {
  build(1);
  std::vector<uint64_t> writes;
  for (uint64_t b = 0; b < 50; ++b) writes.push_back(write(primary(), b * 7));
  ASSERT_TRUE(answered(writes.back(), seconds(2)));
  world_->run_for(milliseconds(200));
  SimNode& dead = primary();
  dead.kill();
  ASSERT_TRUE(world_->run_until(seconds(20), [this] { return world_->manager().primary() != nullptr; }));
  EXPECT_NE(&primary(), &dead);
  const uint64_t r = read(primary(), 7 * 7);
  ASSERT_TRUE(answered(r, seconds(5)));
  EXPECT_EQ(op(r).seen->at(0), History::version_of(writes[7]));
  const uint64_t alone = write(primary(), 1000);
  ASSERT_TRUE(answered(alone, seconds(5)));
  dead.start();
  expect_whole();
  EXPECT_EQ(dead.disk().read_block(1000), History::version_of(alone));
}

TEST_F(ClusterTest, ASecondaryThatComesBackIsResynced) {
  build(1);
  SimNode& gone = secondary();
  gone.power_off();
  const uint64_t w = write(primary(), 2000, 8);
  ASSERT_TRUE(answered(w, seconds(12)));
  gone.power_on();
  gone.start();
  expect_whole();
  EXPECT_EQ(gone.disk().read_block(2007), History::version_of(w));
  EXPECT_GT(world_->coverage().notices[static_cast<size_t>(Notice::peer_joined)], 0U);
}

TEST_F(ClusterTest, LosingTheWitnessHurtsNobody) {
  build(1);
  world_->witness(0).kill();
  world_->run_for(seconds(10));
  const uint64_t w = write(primary(), 3);
  EXPECT_TRUE(answered(w, seconds(1)));
  world_->witness(0).start();
  expect_whole();
}

TEST_F(ClusterTest, WithoutQuorumIoFreezesAndGoesOnLater) {
  build(1);
  world_->witness(0).kill();
  secondary().kill();
  world_->run_for(seconds(8));
  SimNode& lonely = world_->node(world_->node(0).primary() ? 0 : 1);
  const uint64_t w = write(lonely, 3);
  EXPECT_FALSE(answered(w, seconds(10)));
  EXPECT_TRUE(lonely.inspect().suspended);
  EXPECT_NE(lonely.inspect().reason, Reason::none);
  world_->witness(0).start();
  EXPECT_TRUE(answered(w, seconds(20)));
  world_->node(0).start();
  world_->node(1).start();
  expect_whole();
}

TEST_F(ClusterTest, ALoneNodeIsNotPromoted) {
  build(0);
  SimNode& survivor = secondary();
  primary().kill();
  EXPECT_FALSE(world_->run_until(seconds(30), [&] { return survivor.primary(); }));
  EXPECT_GT(world_->coverage().promotion_refused[static_cast<size_t>(Reason::no_quorum)], 0U);
  world_->node(0).start();
  world_->node(1).start();
  expect_whole();
}

TEST_F(ClusterTest, SwitchOverUnderLoad) {
  build(1, 4);
  world_->run_for(seconds(2));
  const Seat before = primary().seat();
  world_->manager().request_switch_over();
  EXPECT_TRUE(
      world_->run_until(seconds(15), [&] { return world_->manager().primary() != nullptr && primary().seat() != before; }));
  world_->run_for(seconds(2));
  expect_whole();
}

TEST_F(ClusterTest, ADeposedPrimaryThatWasFrozenAnswersNothingOld) {
  build(1, 4);
  world_->run_for(seconds(1));
  SimNode& frozen = primary();
  frozen.pause();
  EXPECT_TRUE(world_->run_until(
      seconds(30), [&] { return world_->manager().primary() != nullptr && world_->manager().primary() != &frozen; }));
  world_->run_for(seconds(1));
  frozen.resume();
  expect_whole();
}

TEST_F(ClusterTest, TwoRunsAreTheSame) {
  uint64_t hashes[2];
  for (uint64_t& hash : hashes) {
    build(1, 3);
    world_->run_for(seconds(5));
    hash = world_->trace().hash();
  }
  EXPECT_EQ(hashes[0], hashes[1]);
}

// A seed that fails with a rule broken still fails in the same way when all that it does not need is taken away, and with it nothing
// that it does need.
TEST(Shrink, KeepsWhatAFailureNeeds) {
  active_mutant = Mutant::promoted_outside_set;
  constexpr std::string_view kPromise = "P8";
  std::optional<Shrunk> least;
  for (uint64_t seed = 1; seed < 200 && !least; ++seed) {
    const SeedResult result = run_seed(seed, TraceDetail::none);
    if (!result.violations.empty() && result.violations.front().promise == kPromise)
      least = shrink(plan_for(seed), std::string(kPromise));
  }
  ASSERT_TRUE(least);
  EXPECT_LT(least->plan.only.size(), least->faults_before);
  EXPECT_FALSE(least->plan.only.empty()) << "this rule shows only when something goes wrong";
  EXPECT_FALSE(run_plan(least->plan, TraceDetail::none).violations.empty());
  for (uint32_t index : least->plan.only) {
    Plan without = least->plan;
    std::erase(without.only, index);
    const auto violations = run_plan(without, TraceDetail::none).violations;
    EXPECT_TRUE(std::none_of(violations.begin(), violations.end(), [&](const Violation& v) { return v.promise == kPromise; }))
        << index;
  }
  active_mutant = Mutant::none;
}

TEST(Shrink, ATrueRunBreaksNothing) {
  Plan plan = plan_for(7);
  EXPECT_FALSE(shrink_and_tell(plan, TraceDetail::none));
}

}  // namespace
}  // namespace lockstep::sim
