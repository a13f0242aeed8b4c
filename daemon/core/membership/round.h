// One round of the tenure register, seen from its proposer: collect promises, propose one value, count acceptances.
//
// A voter is (seat, acceptor). An answer counts only from the acceptor that the electorate names at that seat; an empty seat
// counts in the majority and never answers. While the voter set changes, both the old and the new one must agree.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/inplace_vector.h"
#include "core/ballot.h"
#include "core/message.h"
#include "core/tenure.h"

namespace lockstep {

using Voters = InplaceVector<Voter, kMaxVoters>;

class Round {
 public:
  enum class Phase : uint8_t { preparing, proposing, decided };

  // `creating`: the resource has no tenure yet, so seats are counted whatever acceptor answers there. `history`: what was accepted in
  // another one means nothing here; nil: the creation.
  // `voter_set`: the number of `voters`, which are decided; what an older set accepted needs no agreement of that set any more.
  Round(Ballot ballot, const Voters& voters, uint32_t voter_set, bool creating, const Uuid& history = {});

  const Ballot& ballot() const { return ballot_; }
  Phase phase() const { return phase_; }
  // With exactly half of an even number of voters: those of `half` suffice. See Membership::tie_broken().
  void allow_half(SeatSet half) { half_ = half; }
  // A tenure with another voter set may have been decided: its electorate must agree too.
  void add_electorate(const Voters& voters);

  void promised(Seat seat, const Promise& answer);
  // The voters named are all that is asked (a forced history): what they say of others is no matter.
  void ask_only_them() { only_them_ = true; }
  // Every voter of every electorate has promised.
  bool unanimous() const;
  // A majority of every electorate has promised: a value may be proposed.
  bool ready() const { return phase_ == Phase::preparing && agreed(acceptors_); }
  void propose(const Tenure& value);
  // True when this answer decided the value.
  bool accepted(Seat seat, const Accepted& answer);

  // A majority of every electorate accepted, counted without a broken tie.
  bool real_majority() const;
  // The acceptor and boot that accepted at a seat.
  const VoterIdentity& accepted_by(Seat seat) const { return voices_[seat.value]; }

  // What the promises showed: the value accepted under the highest ballot, if any.
  const std::optional<Tenure>& found() const { return found_; }
  const Ballot& found_ballot() const { return found_ballot_; }
  const std::optional<Tenure>& proposed() const { return proposed_; }
  // The acceptor that answered at a seat in the first phase; nil if none did.
  const Uuid& acceptor_at(Seat seat) const { return acceptors_[seat.value]; }

 private:
  using Answers = std::array<Uuid, kMaxSeats>;
  bool majority(const Voters& voters, const Answers& answers, bool with_half) const;
  bool agreed(const Answers& answers) const;
  bool named(Seat seat, const Uuid& acceptor) const;

  Ballot ballot_;
  uint32_t voter_set_;
  Uuid history_;
  SeatSet half_;
  bool creating_;
  bool only_them_ = false;
  Phase phase_ = Phase::preparing;
  InplaceVector<Voters, 8> electorates_;
  bool too_many_ = false;  // electorates: more than can honestly meet in one round, so it decides nothing
  Answers acceptors_{};    // who promised
  Answers accepted_{};     // who accepted
  std::array<VoterIdentity, kMaxSeats> voices_{};
  Ballot found_ballot_;
  std::optional<Tenure> found_;
  std::optional<Tenure> proposed_;
};

}  // namespace lockstep
