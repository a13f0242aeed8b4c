#include <gtest/gtest.h>

#include "tests/unit/core/replica_harness.h"

namespace lockstep {
namespace {

constexpr int kStonithed = 7;

LabOptions two_voters(FencingPolicy policy = FencingPolicy::resource_and_stonith) {
  return {.witnesses = {}, .configure = [policy](CoreConfig& config) {
            config.fence_handler = true;
            config.fencing = policy;
          }};
}
LabOptions with_witness(FencingPolicy policy = FencingPolicy::resource_and_stonith) {
  LabOptions options = two_voters(policy);
  options.witnesses = {kW};
  return options;
}
void fence_ends(Lab& lab, Seat on, Seat peer, int status, Boot evidence) {
  lab.step(on, FenceDone{peer, evidence, status});
  lab.run();
  lab.advance(seconds(1));
}

TEST(Fencing, ACompletedFenceBreaksTheTieOfTwoVoters) {
  Lab lab(two_voters());
  lab.create();
  lab.promote(kA);
  lab.kill(kB);
  const ClientIo io = lab.write(kA);
  ASSERT_EQ(lab.node(kA).fences.size(), 1u);
  EXPECT_EQ(lab.node(kA).fences[0].peer, kB);
  EXPECT_EQ(lab.node(kA).fences[0].evidence, boot_of(kB));
  lab.advance(seconds(4));
  EXPECT_FALSE(lab.answer(kA, io));
  EXPECT_FALSE(lab.show(kA).quorum);
  fence_ends(lab, kA, kB, kStonithed, boot_of(kB));
  EXPECT_EQ(lab.answer(kA, io), IoStatus::ok);
  EXPECT_EQ(lab.node(kA).tenure().members, SeatSet{kA});
  EXPECT_TRUE(lab.show(kA).quorum);
}

TEST(Fencing, ACandidateTakesOverByACompletedFence) {
  Lab lab(two_voters());
  lab.create();
  lab.promote(kA);
  lab.kill(kA);
  const AdminId id = lab.admin(kB, AdminOp::primary);
  lab.advance(seconds(5));
  EXPECT_FALSE(lab.result(kB, id)) << "it waits for the handler";
  fence_ends(lab, kB, kA, kStonithed, boot_of(kA));
  EXPECT_TRUE(lab.ok(kB, id));
  EXPECT_EQ(lab.node(kB).tenure().members, SeatSet{kB});
}

TEST(Fencing, APromotionGoesOnHoweverLongTheHandlerTook) {
  Lab lab(two_voters());
  lab.create();
  lab.promote(kA);
  lab.kill(kA);
  const AdminId id = lab.admin(kB, AdminOp::primary);
  lab.advance(seconds(20));
  fence_ends(lab, kB, kA, kStonithed, boot_of(kA));
  EXPECT_TRUE(lab.ok(kB, id)) << code_of(lab.reason(kB, id));
}

TEST(Fencing, AVoterThatIsNotSeasonedInThisBootDecidesNothingAlone) {
  Lab lab(two_voters());
  lab.create();
  lab.promote(kA);
  lab.kill(kB);
  lab.start(kB);
  lab.connect_all();
  lab.advance(milliseconds(500));
  lab.kill(kA);
  const AdminId id = lab.admin(kB, AdminOp::primary);
  ASSERT_EQ(lab.node(kB).fences.size(), 1u);
  fence_ends(lab, kB, kA, kStonithed, boot_of(kA));
  lab.advance(seconds(10));
  EXPECT_FALSE(lab.ok(kB, id));
  EXPECT_FALSE(lab.node(kB).primary);
}

TEST(Fencing, StaleEvidenceIsIgnored) {
  Lab lab(two_voters());
  lab.create();
  lab.promote(kA);
  lab.kill(kB);
  for (const Boot& evidence : {uuid(1), Uuid{}}) {
    fence_ends(lab, kA, kB, kStonithed, evidence);
    EXPECT_TRUE(lab.node(kA).noted(Notice::fence_ignored));
    EXPECT_FALSE(lab.show(kA).quorum);
  }
}

TEST(Fencing, ALateSuccessAfterTheNodeRejoinedIsIgnored) {
  Lab lab(two_voters());
  lab.create();
  lab.promote(kA);
  lab.kill(kB);
  lab.start(kB, uuid(500));
  lab.connect_all();
  fence_ends(lab, kA, kB, kStonithed, boot_of(kB));
  EXPECT_TRUE(lab.node(kA).noted(Notice::fence_ignored));
  lab.kill(kB);
  EXPECT_FALSE(lab.show(kA).quorum);
  fence_ends(lab, kA, kB, kStonithed, boot_of(kB));  // the boot before
  EXPECT_FALSE(lab.show(kA).quorum);
}

// A's handler fences B and reports late. B boots again, and what A hears of it first is a request of its acceptor, not the hello.
TEST(Fencing, EvidenceIsVoidOnceALaterBootAskedThisVoter) {
  Lab lab(two_voters());
  lab.create();
  lab.promote(kA);
  lab.kill(kB);
  ASSERT_EQ(lab.node(kA).fences.size(), 1u);
  lab.start(kB, uuid(500));
  lab.lose_mail = [](const Lab::Mail& letter) { return letter.from == kB; };
  lab.connect_all();
  const Boot later = lab.node(kB).record.boot;
  ASSERT_NE(later, lab.node(kA).fences[0].evidence);
  Prepare request;
  request.ballot = {1, kB, lab.node(kB).record.start()};
  request.candidate = {kB, later, lab.node(kB).record.start()};
  lab.step(kA, MessageReceived{kB, lab.link(kA, kB), VoterHello{acceptor_of(kB), later, lab.node(kB).record.memory.lineage}, {}});
  lab.step(kA, MessageReceived{kB, lab.link(kA, kB), request, {}});
  lab.cut(kA, kB);
  fence_ends(lab, kA, kB, kStonithed, lab.node(kA).fences[0].evidence);
  EXPECT_TRUE(lab.node(kA).noted(Notice::fence_ignored));
  EXPECT_FALSE(lab.show(kA).quorum);
}

// 4 does too: detaching_test.cc, with `outdate`.
TEST(Fencing, OnlyExitSevenChangesAnythingAndTheHandlerRunsAgainLater) {
  Lab lab(two_voters());
  lab.create();
  lab.promote(kA);
  lab.kill(kB);
  size_t runs = 1;
  for (int status : {0, 1, 3, 5, -1}) {
    ASSERT_EQ(lab.node(kA).fences.size(), runs);
    fence_ends(lab, kA, kB, status, boot_of(kB));
    EXPECT_FALSE(lab.show(kA).quorum) << status;
    EXPECT_EQ(lab.show(kA).peers[0].fence.last_exit_status, status);
    EXPECT_FALSE(lab.show(kA).peers[0].fence.completed);
    EXPECT_EQ(lab.node(kA).fences.size(), runs) << "not at once";
    lab.advance(seconds(6));
    ++runs;
  }
}

TEST(Fencing, WhoAsksAnewGetsTheHandlerAnew) {
  Lab lab(two_voters());
  lab.create();
  lab.promote(kA);
  lab.kill(kA);
  for (size_t runs = 1; runs <= 2; ++runs) {
    const AdminId id = lab.admin(kB, AdminOp::primary);
    ASSERT_EQ(lab.node(kB).fences.size(), runs);
    fence_ends(lab, kB, kA, 5, boot_of(kA));
    lab.advance(seconds(2));
    EXPECT_EQ(lab.reason(kB, id), Reason::no_quorum);
  }
}

TEST(Fencing, AHandlerThatFindsThePeerPrimaryEndsThePromotion) {
  Lab lab(two_voters());
  lab.create();
  lab.promote(kA);
  lab.cut(kA, kB);
  const AdminId id = lab.admin(kB, AdminOp::primary);
  fence_ends(lab, kB, kA, 6, boot_of(kA));
  EXPECT_EQ(lab.reason(kB, id), Reason::peer_is_primary);
}

TEST(Fencing, ACompletedFenceEndsTheLeaseAtTheWitness) {
  Lab lab(with_witness());
  lab.create();
  lab.promote(kA);
  lab.kill(kA);
  const AdminId id = lab.admin(kB, AdminOp::primary);
  ASSERT_EQ(lab.node(kB).fences.size(), 1u);
  fence_ends(lab, kB, kA, kStonithed, boot_of(kA));
  lab.advance(milliseconds(600));
  EXPECT_TRUE(lab.ok(kB, id)) << "without waiting for the lease";
}

// C was forced while A and B were gone, and the witness got a vote in its history before it was cut off again. A and B are back in theirs, and
// C cannot decide anything: who has neither a vote nor a copy in C's tenure is not to be shot for that.
TEST(Fencing, ACandidateDoesNotFenceWhoHasNoPartInItsTenure) {
  LabOptions options = with_witness();
  options.data_nodes = {kA, kB, kC};
  Lab lab(options);
  lab.create();
  lab.promote(kA);
  lab.kill(kA);
  lab.kill(kB);
  lab.cut(kC, kW);
  lab.advance(seconds(15));
  const AdminId force = lab.admin(kC, AdminOp::primary_force);
  for (Seat gone : {kA, kB}) fence_ends(lab, kC, gone, 5, boot_of(gone));
  lab.advance(seconds(10));
  ASSERT_TRUE(lab.ok(kC, force)) << code_of(lab.reason(kC, force));
  lab.kill(kC);
  lab.node(kC).config.data_nodes = SeatSet{kC};  // and the operator wrote the others off, for a while
  lab.start(kC);
  lab.connect(kC, kW);
  lab.advance(seconds(5));
  lab.promote(kC);
  lab.advance(seconds(5));
  ASSERT_EQ(lab.node(kC).tenure().voters.size(), 2u);

  lab.kill(kC);
  lab.node(kC).config.data_nodes = SeatSet{kA, kB, kC};
  lab.start(kC);
  for (Seat back : {kA, kB}) {
    lab.start(back);
    lab.connect(back, kC);
    lab.run();
    if (lab.linked(back, kC)) lab.cut(back, kC);
  }
  lab.node(kC).fences.clear();
  const AdminId id = lab.admin(kC, AdminOp::primary);
  lab.advance(seconds(10));
  EXPECT_TRUE(lab.node(kC).fences.empty());
  EXPECT_EQ(lab.reason(kC, id), Reason::no_quorum);
}

TEST(Fencing, WithAQuorumTheMilderPolicyFencesNobody) {
  Lab lab(with_witness(FencingPolicy::resource_only));
  lab.create();
  lab.promote(kA);
  lab.kill(kB);
  lab.write(kA);
  EXPECT_TRUE(lab.node(kA).fences.empty());
  lab.cut(kA, kW);
  lab.advance(milliseconds(10));
  EXPECT_EQ(lab.node(kA).tenure().members, SeatSet{kA});
  EXPECT_TRUE(lab.node(kA).fences.empty()) << "it is out of the set already";
}

TEST(Fencing, AnOddNumberOfVotersHasNoTieToBreak) {
  Lab lab(with_witness());
  lab.create();
  lab.promote(kA);
  lab.cut(kA, kW);
  lab.kill(kB);
  fence_ends(lab, kA, kB, kStonithed, boot_of(kB));
  lab.advance(seconds(4));
  EXPECT_FALSE(lab.show(kA).quorum);
  EXPECT_TRUE(lab.show(kA).suspended);
}

// A fence that lied, or a node that was back at once: it has been met since, and the next silence is another one.
TEST(Fencing, WhoWasMetAfterItsFenceIsFencedAnew) {
  Lab lab(two_voters());
  lab.create();
  lab.promote(kA);
  lab.kill(kB);
  fence_ends(lab, kA, kB, kStonithed, boot_of(kB));
  ASSERT_TRUE(lab.show(kA).quorum);
  lab.start(kB);
  lab.connect(kA, kB);
  lab.advance(seconds(8));
  ASSERT_EQ(lab.node(kA).tenure().members, (SeatSet{kA, kB}));
  lab.cut(kA, kB);
  const ClientIo io = lab.write(kA);
  lab.advance(seconds(5));
  EXPECT_FALSE(lab.answer(kA, io));
  EXPECT_FALSE(lab.show(kA).quorum);
}

// The handler reports late: whoever it has fenced is back in the same boot, or it lied.
TEST(Fencing, AFenceOfWhoIsConnectedIsIgnored) {
  Lab lab(two_voters());
  lab.create();
  lab.promote(kA);
  fence_ends(lab, kA, kB, kStonithed, boot_of(kB));
  EXPECT_TRUE(lab.node(kA).noted(Notice::fence_ignored));
  lab.kill(kB);
  lab.advance(seconds(4));
  EXPECT_FALSE(lab.show(kA).quorum);
}

// That an earlier acceptance of it was counted says nothing of the one that it has by now.
TEST(Fencing, AVoterIsSeasonedByItsLastAcceptanceOnly) {
  Lab lab(two_voters());
  lab.create();
  lab.promote(kA);
  lab.kill(kB);
  lab.start(kB);
  lab.connect_all();
  lab.advance(milliseconds(500));
  ASSERT_NE(lab.node(kB).record.acceptor.accepted, ballot(1, kA));
  lab.inject(kA, kB, AcceptanceCounted{ballot(1, kA), lab.node(kB).record.boot});
  lab.kill(kA);
  const AdminId id = lab.admin(kB, AdminOp::primary);
  ASSERT_EQ(lab.node(kB).fences.size(), 1u);
  fence_ends(lab, kB, kA, kStonithed, boot_of(kA));
  lab.advance(seconds(10));
  EXPECT_FALSE(lab.ok(kB, id));
}

}  // namespace
}  // namespace lockstep
