// Watches what every acceptor has on stable storage and knows, before any node can, which tenures are
// decided: of one history they are a single chain (P2, P8), and a node acts on decided ones only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "core/durable.h"
#include "sim/verdict.h"

namespace lockstep::sim {

class RegisterOracle {
 public:
  Verdict acceptor_durable(Seat seat, const AcceptorRecord& record);
  // A data node's record says that it has adopted this tenure.
  Verdict adopted(Seat node, const Tenure& tenure);
  Verdict promoted(Seat node, uint64_t start, const std::optional<Tenure>& tenure) const;
  // A fence that `by` had asked for was completed: that boot is over. It counts from when `by` is told of it until it meets a later boot.
  // Mail of the same one may come late, and the report of its end after that (seeds 369888239899, 425314932740).
  void fence_completed(Seat by, Seat fenced, const Boot& boot);
  void fence_told(Seat by, Seat fenced);
  // `by` is Primary, and is told that the peer has recorded that it is Outdated: until the two meet it goes on as half, and takes over nothing.
  void stood_aside(Seat by, Seat peer);
  void met(Seat node, Seat peer, const Boot& boot);
  // Nothing that it was told before.
  void started(Seat node);
  // What counts now counts until the end of this round, in which exactly half of an even number of voters may decide (as the register's
  // model has it: what a later boot decides has to pass this node's acceptor with a higher ballot; seed 425314924654).
  void round_started(const Ballot& ballot);

  // An operator said --force there: a new history may begin with that node as its Primary.
  void force_asked(Seat node) { force_asked_.insert(node); }
  bool was_force_asked(Seat node) const { return force_asked_.contains(node); }
  // Given up for another one, with every copy that it had.
  void abandoned(const Uuid& history);

  // The newest decided tenure, of the history that decided last; of that history.
  const std::optional<Tenure>& latest() const { return latest_; }
  std::optional<Tenure> newest(const Uuid& history) const;
  // The set that must have what is acknowledged now. A successor that half of the voters and a fence may have
  // decided counts as soon as it can: whoever counted the votes may act on it before any disk shows it.
  SeatSet members_owed() const;
  SeatSet members_owed(const Uuid& history) const;
  uint64_t decided() const { return chain_.size(); }
  // By which rule a node took over.
  struct Promotions {
    uint64_t after_clean = 0;    // no Primary, clean: the set stays
    uint64_t after_unclean = 0;  // the Primary before has no lease any more: only the candidate's copy stays
    uint64_t by_half = 0;        // one of these two, decided by half of the voters and a completed fence
  };
  const Promotions& promotions() const { return promotions_; }

 private:
  using Voted = std::set<std::pair<Seat, Uuid>>;
  struct Proposal {
    Tenure value;
    Voted accepted;
    bool by_half = false;  // may have been decided by half of the voters and a fence
  };
  bool majority(const Tenure& electorate, const Voted& accepted) const;
  bool primary_of(const Ballot& ballot) const;
  bool half_and_fence(const Ballot& ballot, const Tenure& electorate, const Voted& accepted) const;
  bool may_be_decided(const Ballot& ballot, const Proposal& proposal) const;
  // The voters that were decided before, where the proposal has newer ones: those must agree, too.
  std::optional<Tenure> older_electorate(const Tenure& value) const;
  Verdict decide(const Tenure& tenure);
  Verdict check_promotion(const Tenure& next);
  void given_up_unused(const Tenure& next);

  std::map<Ballot, Proposal> proposals_;
  std::map<std::pair<Uuid, uint64_t>, Tenure> chain_;  // by history and number
  struct Newest {
    Tenure tenure;
    uint64_t order = 0;  // of its decision, among all histories
  };
  std::map<Uuid, Newest> newest_;
  std::set<Uuid> adopted_;  // histories that a data node has acted on
  uint64_t decisions_ = 0;
  std::optional<Tenure> latest_;
  std::set<Seat> force_asked_;
  struct Fence {
    Boot boot;
    bool counts = false;
  };
  std::map<std::pair<Seat, Seat>, Fence> fences_;  // by who had whom fenced
  std::map<Ballot, SeatSet> fenced_;               // by round: whose end counted as it began
  std::set<std::pair<Seat, Seat>> asides_;         // by who was told it of whom
  std::map<Ballot, SeatSet> aside_;                // by round of a Primary: whose word counted as it began
  Promotions promotions_;
};

}  // namespace lockstep::sim
