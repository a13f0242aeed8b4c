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

// That very run of the node is the Primary of a history's newest tenure.
bool RegisterOracle::primary_of(const Ballot& ballot) const {
  return std::any_of(newest_.begin(), newest_.end(), [&ballot](const auto& entry) {
    const auto& primary = entry.second.tenure.primary;
    return primary && primary->node == ballot.node && primary->start == ballot.start;
  });
}

// Half of an even number of voters; that of the proposer, who knew as the round began that one of the others had ended, or as Primary that it
// stands aside.
bool RegisterOracle::half_and_fence(const Ballot& ballot, const Tenure& electorate, const Voted& accepted) const {
  SeatSet gone;
  if (const auto fenced = fenced_.find(ballot); fenced != fenced_.end()) gone = gone | fenced->second;
  if (const auto aside = aside_.find(ballot); aside != aside_.end()) gone = gone | aside->second;
  if (gone.empty()) return false;
  SeatSet voted, silent;
  for (const Voter& voter : electorate.voters)
    (accepted.count({voter.seat, voter.acceptor}) != 0 ? voted : silent).insert(voter.seat);
  return voted.contains(ballot.node) && !(silent & gone).empty() && voted.size() == silent.size();
}

std::optional<Tenure> RegisterOracle::older_electorate(const Tenure& value) const {
  const auto before = newest(value.history);
  return before && before->voter_set < value.voter_set ? before : std::nullopt;
}

// By a majority or by a half of each electorate: of the older one, too, where a half decides that the voters are others
// (seed 326919997432).
bool RegisterOracle::may_be_decided(const Ballot& ballot, const Proposal& proposal) const {
  const auto agrees = [&](const Tenure& electorate) {
    return majority(electorate, proposal.accepted) || half_and_fence(ballot, electorate, proposal.accepted);
  };
  const auto older = older_electorate(proposal.value);
  return agrees(proposal.value) && (!older || agrees(*older));
}

void RegisterOracle::fence_completed(Seat by, Seat fenced, const Boot& boot) {
  // One that counts goes on counting: the handler of an earlier run may end now, and that run is told no more.
  fences_[{by, fenced}].boot = boot;
}

void RegisterOracle::fence_told(Seat by, Seat fenced) {
  const auto found = fences_.find({by, fenced});
  if (found != fences_.end()) found->second.counts = true;
}

void RegisterOracle::stood_aside(Seat by, Seat peer) { asides_.insert({by, peer}); }

void RegisterOracle::met(Seat node, Seat peer, const Boot& boot) {
  asides_.erase({node, peer});
  const auto found = fences_.find({node, peer});
  if (found == fences_.end()) return;
  found->second.counts = false;
  if (found->second.boot != boot) fences_.erase(found);
}

void RegisterOracle::started(Seat node) {
  std::erase_if(fences_, [node](const auto& fence) { return fence.first.first == node; });
  std::erase_if(asides_, [node](const auto& aside) { return aside.first == node; });
}

void RegisterOracle::round_started(const Ballot& ballot) {
  for (const auto& [who, fence] : fences_)
    if (who.first == ballot.node && fence.counts) fenced_[ballot].insert(who.second);
  for (const auto& [by, peer] : asides_)
    if (by == ballot.node && primary_of(ballot)) aside_[ballot].insert(peer);
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
  const auto older = older_electorate(proposal.value);
  if (majority(proposal.value, proposal.accepted) && (!older || majority(*older, proposal.accepted)))
    return decide(proposal.value);
  proposal.by_half = proposal.by_half || may_be_decided(found->first, proposal);
  return {};
}

Verdict RegisterOracle::decide(const Tenure& tenure) {
  const auto [found, fresh] = chain_.try_emplace({tenure.history, tenure.number}, tenure);
  if (!fresh) {
    if (found->second == tenure) return {};
    return {"P2", fmt::format("two tenures of one number are decided: {} and {}", describe(found->second), describe(tenure))};
  }
  const auto before = newest(tenure.history);
  if (before && tenure.number < before->number)
    return {"P2", fmt::format("{} is decided after {}", describe(tenure), describe(*before))};
  // One node may have given up a history that others are still in (seed 782191215272).
  const auto earlier = chain_.lower_bound({tenure.history, 0});
  const bool goes_on = earlier->first < std::pair{tenure.history, tenure.number};
  if (!before && !goes_on && !newest_.empty() && (!tenure.primary || !force_asked_.contains(tenure.primary->node)))
    return {"P8", "a second history begins without an operator's word: " + describe(tenure)};
  if (tenure.members.empty()) return {"P1", "a tenure without members is decided: " + describe(tenure)};
  const Verdict legal = check_promotion(tenure);
  if (!before) given_up_unused(tenure);
  newest_[tenure.history] = {tenure, ++decisions_};
  latest_ = tenure;
  return legal;
}

std::optional<Tenure> RegisterOracle::newest(const Uuid& history) const {
  const auto found = newest_.find(history);
  return found == newest_.end() ? std::nullopt : std::optional(found->second.tenure);
}

// An operator's force that found no answer is begun again with another history: where the node is its own only voter, the first one was
// decided for whoever looks at the disk, and is gone as its acceptor takes the second (seed 827963971387).
void RegisterOracle::given_up_unused(const Tenure& next) {
  std::erase_if(newest_, [&](const auto& entry) {
    const Tenure& tenure = entry.second.tenure;
    const bool own = tenure.primary && next.primary && tenure.primary->node == next.primary->node;
    return own && tenure.parent == next.parent && !adopted_.contains(entry.first);
  });
}

void RegisterOracle::abandoned(const Uuid& history) {
  newest_.erase(history);
  if (!latest_ || latest_->history != history || newest_.empty()) return;
  latest_ = std::max_element(newest_.begin(), newest_.end(), [](const auto& a, const auto& b) {
              return a.second.order < b.second.order;
            })->second.tenure;
}

// Who takes over is in the set that was decided before, and so is every member that it keeps.
Verdict RegisterOracle::check_promotion(const Tenure& next) {
  const auto before = newest(next.history);
  if (!before || next.number != before->number + 1) return {};
  if (!next.primary || next.primary == before->primary) return {};
  ++(before->clean ? promotions_.after_clean : promotions_.after_unclean);
  if (before->members.contains(next.primary->node) && (next.members - before->members).empty()) return {};
  return {"P8", fmt::format("{} follows {}", describe(next), describe(*before))};
}

SeatSet RegisterOracle::members_owed() const { return latest_ ? members_owed(latest_->history) : SeatSet{}; }

SeatSet RegisterOracle::members_owed(const Uuid& history) const {
  const auto newest_there = newest(history);
  if (!newest_there) return {};
  for (const auto& [ballot, proposal] : proposals_) {
    const bool successor = proposal.value.history == history && proposal.value.number == newest_there->number + 1;
    if (successor && proposal.by_half) return proposal.value.members & newest_there->members;
  }
  return newest_there->members;
}

Verdict RegisterOracle::adopted(Seat node, const Tenure& tenure) {
  adopted_.insert(tenure.history);
  const auto found = chain_.find({tenure.history, tenure.number});
  if (found != chain_.end()) {
    if (found->second == tenure) return {};
    return {"P8", fmt::format("{} adopted {}, decided was {}", describe(node), describe(tenure), describe(found->second))};
  }
  for (const auto& [ballot, proposal] : proposals_) {
    if (proposal.value != tenure || !proposal.by_half) continue;
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
