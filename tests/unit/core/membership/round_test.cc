#include "core/membership/round.h"

#include <gtest/gtest.h>

#include "tests/unit/core/core_samples.h"

namespace lockstep {
namespace {

const Ballot kBallot = ballot(7, kA);

SeatSet first_seats(uint32_t n) { return SeatSet((uint32_t{1} << n) - 1); }
Voters voters_of(SeatSet seats, SeatSet empty = {}) {
  Voters voters;
  for (Seat seat : seats) voters.push_back({seat, empty.contains(seat) ? Uuid{} : acceptor_of(seat)});
  return voters;
}
Round round_of(const Voters& voters, bool creating = false) { return {kBallot, voters, creating ? 0U : 1U, creating}; }
VoterIdentity who(Seat seat) { return {acceptor_of(seat), boot_of(seat)}; }
Promise promise_of(Seat seat) { return {kBallot, who(seat), {}, {}}; }
void promise(Round& round, SeatSet seats) {
  for (Seat seat : seats) round.promised(seat, promise_of(seat));
}
Tenure value() { return tenure_of({kA, kB}, {kA, kB, kC}); }
// Whether the last of these acceptances decided.
bool accept(Round& round, SeatSet seats) {
  bool decided = false;
  for (Seat seat : seats) decided = round.accepted(seat, {kBallot, who(seat)}) || decided;
  return decided;
}

TEST(Round, NeedsAMajorityOfOneToFiveVotersWhoeverTheyAre) {
  for (uint32_t n = 1; n <= 5; ++n) {
    for (uint32_t answering = 0; answering < (1U << n); ++answering) {
      Round round = round_of(voters_of(first_seats(n)));
      promise(round, SeatSet(answering));
      EXPECT_EQ(round.ready(), 2 * SeatSet(answering).size() > static_cast<int>(n)) << n << " " << answering;
    }
  }
}

TEST(Round, AnEmptySeatCountsInTheMajorityAndNeverAnswers) {
  const Voters voters = voters_of({kA, kB, kC}, {kC});
  Round round = round_of(voters);
  promise(round, {kA, kC});
  EXPECT_FALSE(round.ready());
  promise(round, {kB});
  EXPECT_TRUE(round.ready());

  Round nameless = round_of(voters);
  nameless.promised(kA, promise_of(kA));
  nameless.promised(kC, {kBallot, {Uuid{}, boot_of(kC)}, {}, {}});
  EXPECT_FALSE(nameless.ready());
}

TEST(Round, AnotherAcceptorThanTheTenureNamesDoesNotCount) {
  Round round = round_of(voters_of({kA, kB, kC}));
  promise(round, {kA});
  round.promised(kB, {kBallot, {uuid(77), boot_of(kB)}, {}, {}});
  EXPECT_FALSE(round.ready());
  round.promised(kC, {kBallot, who(kB), {}, {}});  // the right acceptor at the wrong seat
  EXPECT_FALSE(round.ready());
  EXPECT_EQ(round.acceptor_at(kB), uuid(77));
}

TEST(Round, ACreationCountsSeatsWhateverAcceptorAnswers) {
  Round round = round_of(voters_of({kA, kB, kC}, {kA, kB, kC}), true);
  EXPECT_TRUE(round.acceptor_at(kA).is_nil());
  promise(round, {kA, kB});
  EXPECT_TRUE(round.ready());
}

TEST(Round, AnswersToAnotherBallotOrFromNoSeatDoNotCount) {
  Round round = round_of(voters_of({kA}));
  round.promised(kA, {ballot(6, kA), who(kA), {}, {}});
  round.promised(kNoSeat, promise_of(kA));
  EXPECT_FALSE(round.ready());
  promise(round, {kA});
  round.propose(value());
  EXPECT_FALSE(round.accepted(kA, {ballot(6, kA), who(kA)}));
  EXPECT_FALSE(round.accepted(kNoSeat, {kBallot, who(kA)}));
  EXPECT_EQ(round.phase(), Round::Phase::proposing);
}

TEST(Round, FindsTheValueAcceptedUnderTheHighestBallot) {
  Round round = round_of(voters_of({kA, kB, kC}));
  Tenure older = value();
  Tenure newer = value();
  newer.number = 2;
  round.promised(kB, {kBallot, who(kB), ballot(5, kB), newer});
  round.promised(kC, {kBallot, who(kC), ballot(4, kC), older});
  EXPECT_EQ(round.found(), newer);
  EXPECT_EQ(round.found_ballot(), ballot(5, kB));
  EXPECT_TRUE(round.ready());
}

TEST(Round, WhatAStrangerAcceptedIsNotFound) {
  Round round = round_of(voters_of({kA, kB, kC}));
  round.promised(kB, {kBallot, {uuid(77), boot_of(kB)}, ballot(6, kB), value()});
  promise(round, {kA, kC});
  EXPECT_TRUE(round.ready());
  EXPECT_FALSE(round.found());
}

TEST(Round, FindsNothingWhereNobodyAccepted) {
  Round round = round_of(voters_of({kA, kB, kC}));
  promise(round, {kA, kB, kC});
  EXPECT_FALSE(round.found());
  EXPECT_TRUE(round.found_ballot().none());
}

TEST(Round, WhileTheVoterSetChangesBothElectoratesMustAgree) {
  for (uint32_t answering = 0; answering < 16; ++answering) {
    Round round = round_of(voters_of({kA, kB, kC}));
    round.add_electorate(voters_of({kB, kC, Seat{3}}));
    round.add_electorate(voters_of({kB, kC, Seat{3}}));  // once more is the same
    promise(round, SeatSet(answering));
    const bool both =
        (SeatSet(answering) & SeatSet{kA, kB, kC}).size() >= 2 && (SeatSet(answering) & SeatSet{kB, kC, Seat{3}}).size() >= 2;
    EXPECT_EQ(round.ready(), both) << answering;
  }
}

TEST(Round, AFoundValueWithLaterVotersAddsItsElectorate) {
  Round round = round_of(voters_of({kA, kB, kC}));
  Tenure other = tenure_of({kA, kB}, {kC, Seat{3}, Seat{4}});
  other.voter_set = 2;
  round.promised(kA, promise_of(kA));
  round.promised(kC, {kBallot, who(kC), ballot(5, kC), other});
  EXPECT_FALSE(round.ready());
  promise(round, {Seat{4}});
  EXPECT_TRUE(round.ready());
}

TEST(Round, AFoundValueWithOlderVotersNeedsNoAgreementOfTheirs) {
  Round round = round_of(voters_of({kA, kB, kC}));
  const Tenure older = tenure_of({kA, kB}, {kC, Seat{3}, Seat{4}});
  round.promised(kA, promise_of(kA));
  round.promised(kC, {kBallot, who(kC), ballot(5, kC), older});
  EXPECT_TRUE(round.ready());
  EXPECT_EQ(round.found(), older);
}

TEST(Round, MoreElectoratesThanCanHonestlyMeetDecideNothing) {
  Round round = round_of(voters_of({kA}));
  promise(round, {kA});
  for (uint8_t i = 0; i < 7; ++i)
    round.add_electorate({Voter{kA, acceptor_of(kA)}, Voter{witness_seat(i), {}}, Voter{kB, acceptor_of(kB)}});
  promise(round, {kB});
  EXPECT_TRUE(round.ready());
  round.add_electorate(voters_of({kA, kB}));
  EXPECT_FALSE(round.ready());
}

TEST(Round, AProposalWithOtherVotersIsDecidedByBothSets) {
  Round round = round_of(voters_of({kA, kB, kC}));
  promise(round, {kA, kB});
  round.propose(tenure_of({kA, kB}, {kC, Seat{3}, Seat{4}}));
  EXPECT_FALSE(accept(round, {kA, kB}));
  EXPECT_FALSE(accept(round, {Seat{3}}));
  EXPECT_FALSE(round.real_majority());
  EXPECT_TRUE(accept(round, {Seat{4}}));
  EXPECT_TRUE(round.real_majority());
  EXPECT_EQ(round.phase(), Round::Phase::decided);
}

TEST(Round, DecidesOnceAndOnlyInItsSecondPhase) {
  Round round = round_of(voters_of({kA, kB, kC}));
  EXPECT_FALSE(accept(round, {kA, kB, kC}));
  promise(round, {kA, kB});
  round.propose(value());
  EXPECT_EQ(round.proposed(), value());
  EXPECT_FALSE(round.ready());
  round.promised(kC, {kBallot, who(kC), ballot(6, kC), value()});  // too late to be heard
  EXPECT_FALSE(round.found());
  EXPECT_FALSE(accept(round, {kA}));
  EXPECT_TRUE(accept(round, {kC}));
  EXPECT_EQ(round.accepted_by(kC), who(kC));
  EXPECT_FALSE(accept(round, {kB}));
}

TEST(Round, HalfOfAnEvenNumberDecidesOnlyWhereATieIsBroken) {
  Round without = round_of(voters_of({kA, kB}));
  promise(without, {kA});
  EXPECT_FALSE(without.ready());

  Round with = round_of(voters_of({kA, kB}));
  with.allow_half({kA});
  EXPECT_FALSE(with.ready());
  promise(with, {kA});
  EXPECT_TRUE(with.ready());
  with.propose(tenure_of({kA}, {kA, kB}));
  EXPECT_TRUE(accept(with, {kA}));
  EXPECT_FALSE(with.real_majority());
}

TEST(Round, ABrokenTieHelpsNoOtherHalfAndNoOddNumber) {
  Round other = round_of(voters_of({kA, kB}));
  other.allow_half({kB});
  promise(other, {kA});
  EXPECT_FALSE(other.ready());

  Round odd = round_of(voters_of({kA, kB, kC}));
  odd.allow_half({kA});
  promise(odd, {kA});
  EXPECT_FALSE(odd.ready());

  Round mixed = round_of(voters_of(first_seats(4)));
  mixed.allow_half({kA, kB});
  promise(mixed, {kA, kC});
  EXPECT_FALSE(mixed.ready());
  Round whole = round_of(voters_of(first_seats(4)));
  whole.allow_half({kA, kB});
  promise(whole, {kA, kB});
  EXPECT_TRUE(whole.ready());
}

}  // namespace
}  // namespace lockstep
