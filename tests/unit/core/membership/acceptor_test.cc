#include "core/membership/acceptor.h"

#include <gtest/gtest.h>

#include "tests/unit/core/core_samples.h"

namespace lockstep {
namespace {

constexpr Instant kStart{1'000'000'000'000};
constexpr Instant kNow = kStart + seconds(100);
constexpr Duration kLease = seconds(3);

class AcceptorTest : public testing::Test {
 protected:
  AcceptorTest() : acceptor_(fresh(), boot_of(kW), 50, kStart) {}

  static AcceptorRecord fresh() {
    AcceptorRecord record;
    record.acceptor = acceptor_of(kW);
    return record;
  }
  static Tenure held_by(Seat seat, uint64_t counter) {
    Tenure tenure = tenure_of({kA, kB}, {kA, kB, kW});
    tenure.origin = ballot(counter, seat);
    tenure.primary = holder_of(seat);
    return tenure;
  }
  static Prepare prepare(uint64_t counter, Seat from, uint32_t voter_set = 1) {
    return {ballot(counter, from), holder_of(from), voter_set, {}, false};
  }
  static LeaseRequest lease_for(const Tenure& tenure, Duration length = kLease) {
    return {7, *tenure.primary, stamp_of(tenure), tenure.origin, length};
  }
  // `seat` holds the tenure that was accepted under its ballot, and a lease for it.
  Tenure grant_to(Seat seat, uint64_t counter = 1) {
    const Tenure tenure = held_by(seat, counter);
    EXPECT_TRUE(took(acceptor_.prepare(kNow, prepare(counter, seat))));
    EXPECT_TRUE(took(acceptor_.accept(kNow, {ballot(counter, seat), holder_of(seat), tenure})));
    EXPECT_TRUE(granted(acceptor_.lease(kNow, lease_for(tenure))));
    return tenure;
  }
  static bool took(const VoterAnswer& answer) {
    return std::holds_alternative<Promise>(answer.message) || std::holds_alternative<Accepted>(answer.message);
  }
  static bool granted(const VoterAnswer& answer) { return std::holds_alternative<LeaseGranted>(answer.message); }
  static VoteRefused no(const VoterAnswer& answer) {
    EXPECT_FALSE(answer.durable_first);
    EXPECT_TRUE(std::holds_alternative<VoteRefused>(answer.message));
    return std::get<VoteRefused>(answer.message);
  }
  static LeaseRefused no_lease(const VoterAnswer& answer) {
    EXPECT_FALSE(answer.durable_first);
    EXPECT_TRUE(std::holds_alternative<LeaseRefused>(answer.message));
    return std::get<LeaseRefused>(answer.message);
  }
  static Instant end_of_lease() { return kNow + kLease + kLease * 50 / 1000 + milliseconds(1); }

  Acceptor acceptor_;
};

TEST_F(AcceptorTest, PromisesAHigherBallotAndSaysWhatItAccepted) {
  const VoterAnswer first = acceptor_.prepare(kNow, prepare(1, kA));
  EXPECT_TRUE(first.durable_first);
  const auto& promise = std::get<Promise>(first.message);
  EXPECT_EQ(promise.ballot, ballot(1, kA));
  EXPECT_EQ(promise.who, (VoterIdentity{acceptor_of(kW), boot_of(kW)}));
  EXPECT_TRUE(promise.accepted.none());
  EXPECT_FALSE(promise.tenure);

  const Tenure tenure = held_by(kA, 1);
  const VoterAnswer accepted = acceptor_.accept(kNow, {ballot(1, kA), holder_of(kA), tenure});
  EXPECT_TRUE(accepted.durable_first);
  EXPECT_EQ(std::get<Accepted>(accepted.message).ballot, ballot(1, kA));

  const VoterAnswer second = acceptor_.prepare(kNow, prepare(2, kB));
  EXPECT_EQ(std::get<Promise>(second.message).accepted, ballot(1, kA));
  EXPECT_EQ(std::get<Promise>(second.message).tenure, tenure);
  EXPECT_EQ(acceptor_.record().promised, ballot(2, kB));
}

TEST_F(AcceptorTest, RefusesToPromiseTheSameOrALowerBallot) {
  ASSERT_TRUE(took(acceptor_.prepare(kNow, prepare(5, kB))));
  for (const Prepare& request : {prepare(5, kB), prepare(4, kB), prepare(5, kA)}) {
    const VoteRefused refusal = no(acceptor_.prepare(kNow, request));
    EXPECT_EQ(refusal.why, VoteRefusal::lower_ballot);
    EXPECT_EQ(refusal.ballot, request.ballot);
    EXPECT_EQ(refusal.promised, ballot(5, kB));
  }
}

TEST_F(AcceptorTest, RefusesToAcceptUnderALowerBallotThanItPromised) {
  ASSERT_TRUE(took(acceptor_.prepare(kNow, prepare(5, kB))));
  const VoteRefused refusal = no(acceptor_.accept(kNow, {ballot(4, kA), holder_of(kA), held_by(kA, 4)}));
  EXPECT_EQ(refusal.why, VoteRefusal::lower_ballot);
  EXPECT_TRUE(acceptor_.record().accepted.none());
  EXPECT_FALSE(acceptor_.record().tenure);
}

TEST_F(AcceptorTest, AcceptsUnderAHigherBallotThatItNeverPromised) {
  ASSERT_TRUE(took(acceptor_.accept(kNow, {ballot(9, kA), holder_of(kA), held_by(kA, 9)})));
  EXPECT_EQ(acceptor_.record().promised, ballot(9, kA));
  EXPECT_EQ(acceptor_.record().accepted, ballot(9, kA));
}

TEST_F(AcceptorTest, TellsAnAskerWithAnOlderVoterSetTheLaterOneAndPromisesNothing) {
  Tenure tenure = held_by(kA, 1);
  tenure.voter_set = 3;
  ASSERT_TRUE(took(acceptor_.accept(kNow, {ballot(1, kA), holder_of(kA), tenure})));
  const VoteRefused refusal = no(acceptor_.prepare(kNow, prepare(2, kB, 2)));
  EXPECT_EQ(refusal.why, VoteRefusal::later_voter_set);
  EXPECT_EQ(refusal.tenure, tenure);
  EXPECT_EQ(acceptor_.record().promised, ballot(1, kA));
  EXPECT_TRUE(took(acceptor_.prepare(kNow, prepare(2, kB, 3))));
}

// --- histories ---

class AcceptorOfAHistory : public AcceptorTest {
 protected:
  void SetUp() override { ASSERT_TRUE(took(acceptor_.accept(kNow, {ballot(1, kA), holder_of(kA), old_, false}))); }
  static Prepare in(const Uuid& history, bool moves) {
    Prepare request = prepare(5, kB);
    request.history = history;
    request.moves = moves;
    return request;
  }
  Tenure forced() const {
    Tenure next = held_by(kB, 5);
    next.parent = old_.history;
    next.history = uuid(77);
    return next;
  }
  const Tenure old_ = held_by(kA, 1);
};

TEST_F(AcceptorOfAHistory, VotesInThatOneOnly) {
  const VoteRefused refusal = no(acceptor_.prepare(kNow, in(uuid(77), false)));
  EXPECT_EQ(refusal.why, VoteRefusal::other_history);
  EXPECT_EQ(refusal.tenure, old_);
  EXPECT_EQ(no(acceptor_.accept(kNow, {ballot(5, kB), holder_of(kB), forced(), false})).why, VoteRefusal::other_history);
  EXPECT_EQ(acceptor_.record().tenure, old_);
  EXPECT_TRUE(took(acceptor_.prepare(kNow, in(old_.history, false))));
}

TEST_F(AcceptorOfAHistory, FollowsAForceAndVotesInTheParentNoMore) {
  ASSERT_TRUE(took(acceptor_.prepare(kNow, in(old_.history, true))));
  ASSERT_TRUE(took(acceptor_.accept(kNow, {ballot(5, kB), holder_of(kB), forced(), true})));
  Prepare later = prepare(9, kA);
  later.history = old_.history;
  EXPECT_EQ(no(acceptor_.prepare(kNow, later)).why, VoteRefusal::other_history);
  Tenure next = held_by(kA, 9);
  EXPECT_EQ(no(acceptor_.accept(kNow, {ballot(9, kA), holder_of(kA), next, false})).why, VoteRefusal::other_history);
  EXPECT_EQ(no_lease(acceptor_.lease(kNow, lease_for(old_))).why, VoteRefusal::not_my_tenure);
}

TEST_F(AcceptorOfAHistory, KeepsItsWordToTheHolderOfALeaseWhateverIsForced) {
  ASSERT_TRUE(std::holds_alternative<LeaseGranted>(acceptor_.lease(kNow, lease_for(old_)).message));
  EXPECT_EQ(no(acceptor_.prepare(kNow, in(old_.history, true))).why, VoteRefusal::lease_running);
  EXPECT_EQ(no(acceptor_.accept(kNow, {ballot(5, kB), holder_of(kB), forced(), true})).why, VoteRefusal::lease_running);
}

TEST_F(AcceptorOfAHistory, IsTakenBackByAnAcceptanceAndByNoPromise) {
  ASSERT_TRUE(took(acceptor_.accept(kNow, {ballot(5, kB), holder_of(kB), forced(), true})));
  Prepare back = prepare(9, kA);
  back.history = old_.history;
  EXPECT_EQ(no(acceptor_.prepare(kNow, back)).why, VoteRefusal::other_history);
  const Tenure next = held_by(kA, 9);
  EXPECT_TRUE(took(acceptor_.accept(kNow, {ballot(9, kA), holder_of(kA), next, true})));
  EXPECT_EQ(acceptor_.record().tenure, next);
}

TEST_F(AcceptorOfAHistory, LetsAForceLeaveWithALaterSetOfVoters) {
  Tenure later = held_by(kA, 3);
  later.voter_set = 9;
  ASSERT_TRUE(took(acceptor_.accept(kNow, {ballot(3, kA), holder_of(kA), later, false})));
  EXPECT_EQ(no(acceptor_.prepare(kNow, in(old_.history, false))).why, VoteRefusal::later_voter_set);
  EXPECT_TRUE(took(acceptor_.prepare(kNow, in(old_.history, true))));
}

TEST_F(AcceptorTest, GrantsALeaseOnlyForTheVeryTenureThatItAccepted) {
  const Tenure tenure = held_by(kA, 1);
  EXPECT_EQ(no_lease(acceptor_.lease(kNow, lease_for(tenure))).why, VoteRefusal::not_my_tenure);
  ASSERT_TRUE(took(acceptor_.accept(kNow, {ballot(1, kA), holder_of(kA), tenure})));

  LeaseRequest other = lease_for(tenure);
  other.tenure.number = 2;
  EXPECT_EQ(no_lease(acceptor_.lease(kNow, other)).why, VoteRefusal::not_my_tenure);
  other = lease_for(tenure);
  other.tenure.history = uuid(9);
  EXPECT_EQ(no_lease(acceptor_.lease(kNow, other)).why, VoteRefusal::not_my_tenure);
  other = lease_for(tenure);
  other.origin = ballot(2, kA);
  EXPECT_EQ(no_lease(acceptor_.lease(kNow, other)).why, VoteRefusal::not_my_tenure);
  other = lease_for(tenure);
  other.holder.start = 6;
  EXPECT_EQ(no_lease(acceptor_.lease(kNow, other)).why, VoteRefusal::not_my_tenure);
  EXPECT_FALSE(acceptor_.lease_holder(kNow));

  EXPECT_TRUE(granted(acceptor_.lease(kNow, lease_for(tenure))));
  EXPECT_EQ(acceptor_.lease_holder(kNow), holder_of(kA));
}

TEST_F(AcceptorTest, GrantsNoLeaseOnceItPromisedAHigherBallotToAnother) {
  const Tenure tenure = held_by(kA, 1);
  ASSERT_TRUE(took(acceptor_.accept(kNow, {ballot(1, kA), holder_of(kA), tenure})));
  ASSERT_TRUE(took(acceptor_.prepare(kNow, prepare(2, kB))));
  const LeaseRefused refusal = no_lease(acceptor_.lease(kNow, lease_for(tenure)));
  EXPECT_EQ(refusal.why, VoteRefusal::lower_ballot);
  EXPECT_EQ(refusal.promised, ballot(2, kB));
  EXPECT_EQ(refusal.sequence, 7u);
}

TEST_F(AcceptorTest, GrantsNoLeaseOnceItPromisedALaterStartOfTheSameNode) {
  const Tenure tenure = held_by(kA, 1);
  ASSERT_TRUE(took(acceptor_.accept(kNow, {ballot(1, kA), holder_of(kA), tenure})));
  ASSERT_TRUE(took(acceptor_.prepare(kNow, {Ballot{2, kA, 6}, Holder{kA, boot_of(kA), 6}, 1, {}, false})));
  EXPECT_EQ(no_lease(acceptor_.lease(kNow, lease_for(tenure))).why, VoteRefusal::lower_ballot);
}

TEST_F(AcceptorTest, GrantsOnWhileTheHolderItselfPrepares) {
  const Tenure tenure = grant_to(kA);
  ASSERT_TRUE(took(acceptor_.prepare(kNow, prepare(2, kA))));
  EXPECT_TRUE(granted(acceptor_.lease(kNow, lease_for(tenure))));
}

TEST_F(AcceptorTest, MakesAnyoneElseWaitWhileALeaseRuns) {
  grant_to(kA);
  const Duration left = end_of_lease() - kNow;
  const VoteRefused promise = no(acceptor_.prepare(kNow, prepare(9, kB)));
  EXPECT_EQ(promise.why, VoteRefusal::lease_running);
  EXPECT_EQ(promise.holder, kA);
  EXPECT_EQ(promise.wait, left);
  // A ballot that was prepared elsewhere before the lease is bound by it all the same.
  const VoteRefused accept = no(acceptor_.accept(kNow, {ballot(9, kB), holder_of(kB), held_by(kB, 9)}));
  EXPECT_EQ(accept.why, VoteRefusal::lease_running);
  const LeaseRefused lease = no_lease(acceptor_.lease(kNow, lease_for(held_by(kB, 9))));
  EXPECT_EQ(lease.why, VoteRefusal::lease_running);
  EXPECT_EQ(lease.wait, left);
}

TEST_F(AcceptorTest, BindsALaterStartOfTheHoldersNodeToo) {
  grant_to(kA);
  EXPECT_EQ(no(acceptor_.prepare(kNow, {Ballot{9, kA, 6}, Holder{kA, boot_of(kA), 6}, 1, {}, false})).why,
            VoteRefusal::lease_running);
}

TEST_F(AcceptorTest, KeepsItsWordForTheLengthAndTheDriftFromReceipt) {
  grant_to(kA);
  const Instant last = end_of_lease() - Duration{1};
  EXPECT_EQ(acceptor_.lease_holder(last), holder_of(kA));
  EXPECT_FALSE(took(acceptor_.prepare(last, prepare(2, kB))));
  EXPECT_FALSE(acceptor_.lease_holder(end_of_lease()));
  EXPECT_TRUE(took(acceptor_.prepare(end_of_lease(), prepare(2, kB))));
}

TEST_F(AcceptorTest, AShorterRenewalDoesNotShortenTheLease) {
  const Tenure tenure = grant_to(kA);
  ASSERT_TRUE(granted(acceptor_.lease(kNow, lease_for(tenure, milliseconds(10)))));
  EXPECT_EQ(acceptor_.lease_holder(end_of_lease() - Duration{1}), holder_of(kA));
}

TEST_F(AcceptorTest, MakesALongerLeaseDurableFirstAndGrantsAnEqualOneAtOnce) {
  const Tenure tenure = held_by(kA, 1);
  ASSERT_TRUE(took(acceptor_.accept(kNow, {ballot(1, kA), holder_of(kA), tenure})));
  EXPECT_TRUE(acceptor_.lease(kNow, lease_for(tenure)).durable_first);
  EXPECT_EQ(acceptor_.record().longest_lease, kLease);
  Acceptor again(acceptor_.record(), boot_of(kW), 50, kNow);
  EXPECT_FALSE(again.lease(end_of_lease(), lease_for(tenure)).durable_first);
  EXPECT_FALSE(again.lease(end_of_lease(), lease_for(tenure, seconds(1))).durable_first);
  EXPECT_EQ(again.record().longest_lease, kLease);
  EXPECT_TRUE(again.lease(end_of_lease(), lease_for(tenure, seconds(4))).durable_first);
}

TEST_F(AcceptorTest, IsSilentAfterAStartForTheLongestLeaseThatItGranted) {
  grant_to(kA);
  Acceptor again(acceptor_.record(), boot_of(kW), 50, kNow);
  EXPECT_EQ(again.silent_until(), end_of_lease());
  const Instant last = end_of_lease() - Duration{1};
  const VoteRefused refusal = no(again.prepare(last, prepare(2, kB)));
  EXPECT_EQ(refusal.why, VoteRefusal::just_started);
  EXPECT_EQ(refusal.wait, Duration{1});
  EXPECT_EQ(refusal.holder, kNoSeat);
  EXPECT_EQ(no(again.accept(last, {ballot(1, kA), holder_of(kA), held_by(kA, 1)})).why, VoteRefusal::just_started);
  EXPECT_EQ(no_lease(again.lease(last, lease_for(held_by(kA, 1)))).why, VoteRefusal::just_started);
  EXPECT_TRUE(took(again.prepare(end_of_lease(), prepare(2, kB))));
}

TEST_F(AcceptorTest, OneThatNeverGrantedAnswersAtOnce) {
  EXPECT_EQ(acceptor_.silent_until(), kStart);
  EXPECT_TRUE(took(acceptor_.prepare(kStart, prepare(1, kA))));
}

TEST_F(AcceptorTest, ALeaseThatItsHolderGivesBackBindsNobody) {
  grant_to(kA);
  acceptor_.released({holder_of(kB)});
  EXPECT_EQ(acceptor_.lease_holder(kNow), holder_of(kA));
  acceptor_.released({Holder{kA, boot_of(kA), 4}});
  EXPECT_EQ(acceptor_.lease_holder(kNow), holder_of(kA));
  acceptor_.released({holder_of(kA)});
  EXPECT_FALSE(acceptor_.lease_holder(kNow));
  EXPECT_TRUE(took(acceptor_.prepare(kNow, prepare(2, kB))));
}

TEST_F(AcceptorTest, TheEndOfABootEndsItsLeaseAndNoOther) {
  grant_to(kA);
  acceptor_.boot_ended({kB, boot_of(kA)});
  acceptor_.boot_ended({kA, boot_of(kB)});
  EXPECT_EQ(acceptor_.lease_holder(kNow), holder_of(kA));
  acceptor_.boot_ended({kA, boot_of(kA)});
  EXPECT_FALSE(acceptor_.lease_holder(kNow));
  acceptor_.boot_ended({kA, boot_of(kA)});  // once more changes nothing
  EXPECT_TRUE(took(acceptor_.prepare(kNow, prepare(2, kB))));
}

TEST_F(AcceptorTest, RefusesEverythingForGoodOnceItsStorageFailed) {
  const Tenure tenure = grant_to(kA);
  EXPECT_FALSE(acceptor_.failed());
  acceptor_.storage_failed();
  EXPECT_TRUE(acceptor_.failed());
  for (const Instant when : {kNow, kNow + seconds(1000)}) {
    EXPECT_EQ(no(acceptor_.prepare(when, prepare(9, kA))).why, VoteRefusal::storage_failed);
    EXPECT_EQ(no(acceptor_.accept(when, {ballot(9, kA), holder_of(kA), tenure})).why, VoteRefusal::storage_failed);
    EXPECT_EQ(no_lease(acceptor_.lease(when, lease_for(tenure))).why, VoteRefusal::storage_failed);
  }
}

}  // namespace
}  // namespace lockstep
