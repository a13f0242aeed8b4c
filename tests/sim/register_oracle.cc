#include "sim/register_oracle.h"

#include <fmt/format.h>

#include <algorithm>

#include "flight/describe.h"

namespace lockstep::sim {

bool RegisterOracle::majority(const Tenure& electorate, const Voted& accepted) const {
  size_t votes = 0;
  for (const Voter& voter : electorate.voters) {
    // At the creation a seat is counted whichever acceptor answers there: nobody was named before.
    const bool any = electorate.number == 1 && voter.acceptor.is_nil();
    const bool voted = std::any_of(accepted.begin(), accepted.end(),
                                   [&](const auto& v) { return v.first == voter.seat && (any || v.second == voter.acceptor); });
    votes += voted ? 1 : 0;
  }
  return votes * 2 > electorate.voters.size();
}

// Half of an even number of voters, and a fenced node among the others.
bool RegisterOracle::half_and_fence(const Tenure& electorate, const Voted& accepted) const {
  size_t votes = 0;
  bool fenced = false;
  for (const Voter& voter : electorate.voters) {
    const bool voted = accepted.count({voter.seat, voter.acceptor}) != 0;
    votes += voted ? 1 : 0;
    fenced = fenced || (!voted && fenced_.count(voter.seat) != 0);
  }
  return fenced && votes * 2 == electorate.voters.size();
}

Verdict RegisterOracle::acceptor_durable(Seat seat, const AcceptorRecord& record) {
  if (record.accepted.none()) return {};
  if (!record.tenure) return {"P2", fmt::format("the acceptor of {} accepted a ballot without a value", describe(seat))};
  auto [found, fresh] = proposals_.try_emplace(record.accepted, Proposal{*record.tenure, {}});
  Proposal& proposal = found->second;
  if (!(proposal.value == *record.tenure)) {
    return {"P2", fmt::format("two values under one ballot: {} and {}", describe(proposal.value), describe(*record.tenure))};
  }
  if (!proposal.accepted.insert({seat, record.acceptor}).second) return {};
  if (!majority(proposal.value, proposal.accepted)) return {};
  if (latest_ && latest_->history == proposal.value.history && !majority(*latest_, proposal.accepted) &&
      latest_->voter_set < proposal.value.voter_set) {
    return {};
  }
  return decide(proposal.value);
}

Verdict RegisterOracle::decide(const Tenure& tenure) {
  const auto [found, fresh] = chain_.try_emplace({tenure.history, tenure.number}, tenure);
  if (!fresh) {
    if (found->second == tenure) return {};
    return {"P2", fmt::format("two tenures of one number are decided: {} and {}", describe(found->second), describe(tenure))};
  }
  if (latest_ && latest_->history == tenure.history && tenure.number < latest_->number)
    return {"P2", fmt::format("{} is decided after {}", describe(tenure), describe(*latest_))};
  if (tenure.members.empty()) return {"P1", "a tenure without members is decided: " + describe(tenure)};
  const Verdict legal = check_promotion(tenure);
  latest_ = tenure;
  return legal;
}

// Who takes over is in the set that was decided before, and so is every member that it keeps.
Verdict RegisterOracle::check_promotion(const Tenure& next) {
  if (!latest_ || latest_->history != next.history || next.number != latest_->number + 1) return {};
  if (!next.primary || next.primary == latest_->primary) return {};
  ++(latest_->clean ? promotions_.after_clean : promotions_.after_unclean);
  if (latest_->members.contains(next.primary->node) && (next.members - latest_->members).empty()) return {};
  return {"P8", fmt::format("{} follows {}", describe(next), describe(*latest_))};
}

SeatSet RegisterOracle::members_owed() const {
  if (!latest_) return {};
  for (const auto& [ballot, proposal] : proposals_) {
    const bool successor = proposal.value.history == latest_->history && proposal.value.number == latest_->number + 1;
    if (successor && half_and_fence(proposal.value, proposal.accepted)) return proposal.value.members & latest_->members;
  }
  return latest_->members;
}

Verdict RegisterOracle::adopted(Seat node, const Tenure& tenure) {
  const auto found = chain_.find({tenure.history, tenure.number});
  if (found != chain_.end()) {
    if (found->second == tenure) return {};
    return {"P8", fmt::format("{} adopted {}, decided was {}", describe(node), describe(tenure), describe(found->second))};
  }
  for (const auto& [ballot, proposal] : proposals_) {
    if (proposal.value != tenure || !half_and_fence(tenure, proposal.accepted)) continue;
    if (latest_ && tenure.primary && tenure.primary != latest_->primary) ++promotions_.by_half;
    return decide(tenure);
  }
  return {"P8", fmt::format("{} adopted {}, which is not decided", describe(node), describe(tenure))};
}

Verdict RegisterOracle::promoted(Seat node, uint64_t start, const std::optional<Tenure>& tenure) const {
  const auto wrong = [node](std::string_view how) {
    return Verdict{"P8", fmt::format("{} became Primary {}", describe(node), how)};
  };
  if (!tenure) return wrong("without a tenure");
  const auto found = chain_.find({tenure->history, tenure->number});
  if (found == chain_.end() || !(found->second == *tenure)) {
    return wrong(fmt::format("under {}, which is not decided", describe(*tenure)));
  }
  if (!tenure->primary || tenure->primary->node != node || tenure->primary->start != start) {
    return wrong(fmt::format("under somebody else's {}", describe(*tenure)));
  }
  if (!tenure->members.contains(node)) {
    return wrong(fmt::format("outside the set of {}", describe(*tenure)));
  }
  return {};
}

}  // namespace lockstep::sim
