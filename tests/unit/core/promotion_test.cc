// The promotion table, every row of it, against the design's words.
#include "core/promotion.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <vector>

namespace lockstep {
namespace {

using Facts = PromotionFacts;

// "Promotion is legal only if I am in the decided set; my copy is not Inconsistent or doubtful; the old Primary is none or can't be alive; no
// node becomes Primary without quorum or a completed fence; what comes of an older state never votes again." In the order in which
// a person should hear of them: what is wrong with this node for good, with its disk, with its past, then what others do, then what
// passes. Each with the one fact that has to become otherwise.
struct Rule {
  Reason reason;
  bool Facts::*fact;
  bool forbids_when;
};
const std::vector<Rule>& rules() {
  static const std::vector<Rule> all = {{Reason::older_state, &Facts::memory_is_older, true},
                                        {Reason::no_disk, &Facts::disk_usable, false},
                                        {Reason::never_used, &Facts::used, false},
                                        {Reason::size_too_small, &Facts::lacks_room, true},
                                        {Reason::peer_is_primary, &Facts::primary_is_met, true},
                                        {Reason::different_history, &Facts::was_left, true},
                                        {Reason::copy_inconsistent, &Facts::inconsistent, true},
                                        {Reason::no_current_copy, &Facts::member, false},
                                        {Reason::no_quorum, &Facts::may_decide, false},
                                        {Reason::copy_doubtful, &Facts::lost_its_cache, true}};
  return all;
}

std::vector<Facts> every_row() {
  std::vector<Facts> rows;
  for (unsigned bits = 0; bits < 1U << rules().size(); ++bits) {
    Facts facts;
    for (size_t i = 0; i < rules().size(); ++i) facts.*rules()[i].fact = ((bits >> i) & 1) != 0;
    rows.push_back(facts);
  }
  return rows;
}

bool forbidden_by(const Facts& facts, const Rule& rule) { return facts.*rule.fact == rule.forbids_when; }

TEST(PromotionTable, EveryRowNamesTheFirstObstacle) {
  static_assert(sizeof(Facts) == 10 * sizeof(bool), "a new fact needs a rule here");
  std::map<Reason, int> reached;
  for (const Facts& facts : every_row()) {
    Reason expected = Reason::none;
    for (auto rule = rules().rbegin(); rule != rules().rend(); ++rule) {
      if (forbidden_by(facts, *rule)) expected = rule->reason;
    }
    ASSERT_EQ(promotion_obstacle(facts), expected);
    ++reached[expected];
  }
  EXPECT_EQ(reached[Reason::none], 1);
  for (const Rule& rule : rules()) EXPECT_GT(reached[rule.reason], 0) << code_of(rule.reason);
  EXPECT_EQ(reached.size(), rules().size() + 1);
  std::printf("promotion table: %zu rows\n", every_row().size());
}

TEST(PromotionTable, WithoutAnObstacleThePromisesHold) {
  for (const Facts& facts : every_row()) {
    if (promotion_obstacle(facts) != Reason::none) continue;
    EXPECT_TRUE(facts.may_decide);                          // P8
    EXPECT_TRUE(facts.used && facts.member);                // P1: this copy has every acknowledged write
    EXPECT_TRUE(facts.disk_usable && !facts.inconsistent);  // P5, P6: and can serve it
    EXPECT_FALSE(facts.primary_is_met);                     // P2
    EXPECT_FALSE(facts.memory_is_older);
    EXPECT_FALSE(facts.lost_its_cache);  // P1, P7
  }
}

// P12: what would change the answer does change it.
TEST(PromotionTable, RemovingTheObstacleChangesTheAnswer) {
  for (const Facts& facts : every_row()) {
    const Reason before = promotion_obstacle(facts);
    for (const Rule& rule : rules()) {
      Facts changed = facts;
      changed.*rule.fact = !rule.forbids_when;
      const Reason after = promotion_obstacle(changed);
      if (rule.reason == before) {
        EXPECT_NE(after, before);
      } else {
        EXPECT_EQ(after, before);  // nothing behind the first obstacle shows
      }
    }
  }
}

TEST(PromotionTable, EveryObstacleHasWordsAndARemedy) {
  for (const Rule& rule : rules()) {
    EXPECT_FALSE(text_of(rule.reason).empty());
    EXPECT_FALSE(remedy_of(rule.reason).empty());
    EXPECT_NE(class_of(rule.reason).exit_status, 0);
  }
}

}  // namespace
}  // namespace lockstep
