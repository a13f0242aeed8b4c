#include "core/membership/acquaintance.h"

#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

Lineage after(int starts, uint64_t base = 1000) {
  Lineage lineage;
  for (int i = 1; i <= starts; ++i) begin_run(lineage, base + static_cast<uint64_t>(i));
  return lineage;
}
KnownRun met(const Lineage& lineage) { return latest_run(acceptor_of(kB), lineage); }
Kinship judge(const KnownRun& known, const Lineage& lineage) { return kinship(known, acceptor_of(kB), lineage); }

TEST(Acquaintance, AStartIsOneUpWithATokenOfItsOwn) {
  const Lineage lineage = after(10);
  EXPECT_EQ(lineage.start, 10u);
  for (size_t i = 0; i < kLineageRuns; ++i) EXPECT_EQ(lineage.tokens[i], 1010 - i);
}

TEST(Acquaintance, AnAcceptorThatWasNeverMetIsAStranger) {
  EXPECT_EQ(judge({}, after(3)), Kinship::stranger);
  EXPECT_EQ(judge(latest_run(acceptor_of(kC), after(9)), after(3)), Kinship::stranger) << "the disk that was there before";
}

TEST(Acquaintance, TheSameRunAndEveryLaterOneOfTheSameMemoryIsKnown) {
  for (int before = 1; before < 20; ++before) {
    EXPECT_EQ(judge(met(after(before)), after(before)), Kinship::same_run);
    for (int later = before + 1; later < 40; ++later) EXPECT_EQ(judge(met(after(before)), after(later)), Kinship::later_run);
  }
}

TEST(Acquaintance, AnOlderStateIsSuperseded) {
  // Put back as it was after 5 starts, and started again any number of times; meanwhile the true one was met at its 7th to 9th.
  for (int times = 1; times < 12; ++times) {
    Lineage older = after(5);
    for (int i = 0; i < times; ++i) begin_run(older, static_cast<uint64_t>(5000 + i));
    for (int known = 6; known < 10; ++known) {
      const bool told = older.start - static_cast<uint64_t>(known) < kLineageRuns || older.start <= static_cast<uint64_t>(known);
      if (!told) continue;
      EXPECT_EQ(judge(met(after(known)), older), Kinship::superseded) << times << " " << known;
    }
  }
}

TEST(Acquaintance, OfTwoCopiesTheOneThatWasMetFirstIsKnown) {
  Lineage one = after(5);
  Lineage two = after(5);
  begin_run(one, 1);
  begin_run(two, 2);
  EXPECT_EQ(judge(met(one), two), Kinship::superseded);
  begin_run(two, 3);
  EXPECT_EQ(judge(met(one), two), Kinship::superseded) << "a later start does not help it";
  EXPECT_TRUE(shows_superseded(met(one), acceptor_of(kB), two));
  EXPECT_FALSE(shows_superseded(met(one), acceptor_of(kC), two));
  EXPECT_FALSE(shows_superseded(met(one), acceptor_of(kB), one));
}

TEST(Acquaintance, WithoutTokensTheCounterDecides) {
  EXPECT_EQ(judge({acceptor_of(kB), 4, 0}, Lineage{5, {77}}), Kinship::later_run);
  EXPECT_EQ(judge({acceptor_of(kB), 6, 0}, Lineage{5, {77}}), Kinship::superseded);
}

// --- in a replica --------------------------------------------------------------------------------------------------------

struct Image {
  explicit Image(const LabNode& node) : record(node.record), intent(node.intent), bitmaps(node.bitmaps) {}
  void put_back(LabNode& node) const {
    node.record = record;
    node.intent = intent;
    node.bitmaps = bitmaps;
  }
  NodeRecord record;
  decltype(LabNode::intent) intent;
  decltype(LabNode::bitmaps) bitmaps;
};

TEST(Superseded, ADiskThatWasSetBackIsShutOutAndKnowsWhy) {
  Lab lab;
  lab.create();
  const Image image(lab.node(kB));
  lab.kill(kB);
  lab.start(kB);
  lab.connect_all();
  lab.run();
  lab.promote(kA);
  lab.kill(kB);
  image.put_back(lab.node(kB));
  lab.start(kB);
  lab.connect_all();
  lab.run();
  EXPECT_TRUE(lab.node(kB).noted(Notice::superseded));
  EXPECT_TRUE(lab.node(kB).record.memory.superseded) << "and durably";
  EXPECT_EQ(lab.show(kA).peers.at(0).refused, Reason::peer_older_state);
  EXPECT_FALSE(lab.linked(kA, kB));
  EXPECT_FALSE(lab.linked(kB, kW));
  EXPECT_EQ(lab.reason(kB, lab.admin(kB, AdminOp::primary)), Reason::older_state);
  // Nor does it vote when those who know are away.
  lab.kill(kA);
  lab.kill(kB);
  lab.start(kB);
  lab.run();
  EXPECT_EQ(lab.reason(kB, lab.admin(kB, AdminOp::primary)), Reason::older_state);
  // The other copy goes on.
  lab.start(kA);
  lab.connect(kA, kW);
  lab.run();
  lab.advance(seconds(5));  // the lease of its own run before
  lab.promote(kA);
  EXPECT_TRUE(lab.node(kA).primary);
}

TEST(Superseded, AClaimThatProvesNothingEndsTheLink) {
  Lab lab;
  lab.create();
  lab.inject(kB, kA, Superseded{{acceptor_of(kA), 1, 1}});
  EXPECT_FALSE(lab.node(kA).record.memory.superseded);
  EXPECT_EQ(lab.node(kA).closed.back().reason, Reason::protocol_violation);
}

TEST(Superseded, APrimaryThatIsToldServesNoMore) {
  Lab lab;
  lab.create();
  lab.promote(kA);
  KnownRun later = latest_run(acceptor_of(kA), lab.node(kA).record.memory.lineage);
  ++later.start;
  lab.inject(kW, kA, Superseded{later});
  EXPECT_FALSE(lab.node(kA).primary);
  EXPECT_EQ(lab.show(kA).reason, Reason::older_state);
}

TEST(Introduction, ANewRunIsRememberedBeforeAnythingOfItCounts) {
  Lab lab;
  lab.create();
  lab.kill(kB);
  lab.start(kB);
  lab.node(kA).hold_meta = true;
  lab.connect(kA, kB);
  lab.run();
  EXPECT_FALSE(lab.show(kA).peers.at(0).connected);
  lab.node(kA).hold_meta = false;
  lab.run();
  EXPECT_TRUE(lab.show(kA).peers.at(0).connected);
  EXPECT_EQ(lab.node(kA).record.memory.known[kB.value][0], latest_run(acceptor_of(kB), lab.node(kB).record.memory.lineage));
}

TEST(Introduction, ARunThatIsKnownNeedsNoWrite) {
  Lab lab;
  lab.create();
  lab.cut(kA, kB);
  lab.node(kA).hold_meta = true;
  lab.connect(kA, kB);
  lab.run();
  EXPECT_TRUE(lab.show(kA).peers.at(0).connected);
}

// The link breaks while the run is being recorded: in memory it is known by then, and a crash would forget it.
TEST(Introduction, ARunThatIsStillBeingRecordedIsNotKnownOnTheNextLinkEither) {
  Lab lab;
  lab.create();
  lab.kill(kB);
  lab.start(kB);
  lab.node(kA).hold_meta = true;
  lab.connect(kA, kB);
  lab.run();
  lab.cut(kA, kB);
  lab.connect(kA, kB);
  lab.run();
  EXPECT_FALSE(lab.show(kA).peers.at(0).connected);
  lab.node(kA).hold_meta = false;
  lab.run();
  EXPECT_TRUE(lab.show(kA).peers.at(0).connected);
}

TEST(Introduction, TwoIntroductionsOverOneLinkBreakTheProtocol) {
  Lab lab;
  lab.create();
  lab.inject(kB, kA, VoterHello{acceptor_of(kB), boot_of(kB), lab.node(kB).record.memory.lineage});
  EXPECT_EQ(lab.node(kA).closed.back().reason, Reason::protocol_violation);
}

}  // namespace
}  // namespace lockstep
