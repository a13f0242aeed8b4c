#include "sim/history.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "core/durable.h"

namespace lockstep::sim {
namespace {

double at(Instant t) { return t == kNever ? -1.0 : static_cast<double>(t.ns) / 1e9; }

}  // namespace

uint64_t History::invoke(const ClientOp& op) {
  ops_.push_back(op);
  const uint64_t index = ops_.size() - 1;
  if (op.kind == OpKind::trim || op.kind == OpKind::write_zeroes) {
    for (uint64_t b = op.range.offset / kBlockBytes; b < op.range.end() / kBlockBytes; ++b) {
      CHECK(zeroed_.emplace(b, index).second);
    }
  }
  return index;
}

void History::answer(uint64_t index, IoStatus status, Payload seen, Instant now) {
  ClientOp& op = ops_.at(index);
  CHECK(!op.acknowledged);
  op.refused = status != IoStatus::ok;
  if (op.refused) return;
  op.acknowledged = true;
  op.answered = now;
  op.seen = std::move(seen);
}

void History::all_lost_unflushed(Instant now, bool served_on) {
  losses_.push_back(now);
  if (served_on) crossed_.insert(now);
}

void History::forced(Instant now) {
  losses_.push_back(now);
  forced_.insert(now);
  crossed_.insert(now);
}

// That copy may never have got what the volume has grown by, whoever has recorded that until then: its own is what there is from now on.
void History::chose(std::vector<uint64_t> content, uint64_t grown) {
  if (losses_.empty() || !forced_.contains(losses_.back())) return;
  for (uint64_t block = grown; block < content.size(); ++block) {
    if (!writer_of(block, content[block]).known) began_with(block, content[block], losses_.back());
  }
  chosen_.emplace(losses_.back(), std::move(content));
}

bool History::initial(uint64_t block, uint64_t value) const { return began_since(block, value, kLongAgo); }

bool History::began_since(uint64_t block, uint64_t value, Instant begin) const {
  const auto found = beginnings_.find(block);
  if (found == beginnings_.end()) return value == kFirstVersion && begin == kLongAgo;
  return std::any_of(found->second.begin(), found->second.end(),
                     [&](const Beginning& one) { return one.value == value && one.when >= begin; });
}

// Before everything was lost for the first time: of the growths until then, what was written before the last one counts no more.
uint64_t History::first_initial(uint64_t block) const {
  uint64_t value = kFirstVersion;
  const auto found = beginnings_.find(block);
  if (found == beginnings_.end()) return value;
  for (const Beginning& one : found->second) {
    if (losses_.empty() || one.when < losses_.front()) value = one.value;
  }
  return value;
}

History::Writer History::writer_of(uint64_t block, uint64_t value) const {
  if (initial(block, value)) return {};
  if (is_torn(value)) {
    Writer whole = writer_of(block, torn_from(value));
    whole.torn = whole.op.has_value();
    return whole;
  }
  if (value == kZeroVersion) {
    const auto found = zeroed_.find(block);
    if (found == zeroed_.end()) return {false, std::nullopt};
    return counts(block, found->second) ? Writer{true, found->second} : Writer{};
  }
  const uint64_t index = value - version_of(0);  // garbage is far beyond
  if (index >= ops_.size() || ops_[index].kind != OpKind::write ||
      !ops_[index].range.contains({block * kBlockBytes, kBlockBytes})) {
    return {false, std::nullopt};
  }
  return counts(block, index) ? Writer{true, index} : Writer{};
}

bool History::certainly_before(const Writer& a, const Writer& b) const {
  if (!b.op) return false;
  if (!a.op) return true;
  const ClientOp& first = ops_[*a.op];
  return first.acknowledged && first.answered < ops_[*b.op].invoked;
}

bool History::may_be_lost(uint64_t index) const {
  const ClientOp& op = ops_[index];
  const auto loss = std::upper_bound(losses_.begin(), losses_.end(), op.invoked);
  return loss != losses_.end() && !flushed_before(op, *loss);
}

Verdict History::check() const {
  std::map<uint64_t, std::vector<Access>> blocks;
  std::set<std::pair<uint64_t, uint64_t>> parts;  // block and value
  for (uint64_t i = 0; i < ops_.size(); ++i) {
    const ClientOp& op = ops_[i];
    if (op.kind == OpKind::flush || (op.kind == OpKind::read && !op.acknowledged)) continue;
    const uint64_t first = op.range.offset / kBlockBytes;
    for (uint64_t k = 0; k < op.range.length / kBlockBytes; ++k) {
      if (!counts(first + k, i)) continue;
      Access access{i, version_of(i), op.kind == OpKind::read};
      if (access.read) access.value = op.seen->at(k);
      if (access.read && is_torn(access.value) && parts.emplace(first + k, access.value).second) {
        const Writer writer = writer_of(first + k, access.value);
        if (writer.op) blocks[first + k].push_back({*writer.op, access.value, false, true});
      }
      if (op.kind == OpKind::trim || op.kind == OpKind::write_zeroes) access.value = kZeroVersion;
      blocks[first + k].push_back(access);
    }
  }
  for (const auto& [block, accesses] : blocks) {
    Verdict verdict = check_block(block, accesses);
    if (!verdict.good()) return verdict;
  }
  return {};
}

Verdict History::check_block(uint64_t block, const std::vector<Access>& accesses) const {
  for (const Access& access : accesses) {
    if (!access.read) continue;
    Verdict verdict = check_read(block, access);
    if (!verdict.good()) return verdict;
  }
  if (Verdict verdict = check_parts(block, accesses); !verdict.good()) return verdict;
  for (size_t era = 0; era <= losses_.size(); ++era) {
    Verdict verdict = check_era(block, accesses, era);
    if (!verdict.good()) return verdict;
  }
  return {};
}

// What an interrupted write has left does not change by itself: within an era, whoever sees something of it sees the same.
Verdict History::check_parts(uint64_t block, const std::vector<Access>& accesses) const {
  const bool any = std::any_of(accesses.begin(), accesses.end(), [](const Access& access) { return access.torn; });
  if (!any) return {};
  std::map<std::pair<uint64_t, size_t>, uint64_t> seen;  // value, by write and era
  for (const Access& access : accesses) {
    if (!access.read) continue;
    const ClientOp& read = ops_[access.op];
    const Writer writer = writer_of(block, access.value);
    const auto next = std::upper_bound(losses_.begin(), losses_.end(), read.invoked);
    if (!writer.op || (next != losses_.end() && read.answered >= *next)) continue;
    const auto [first, fresh] = seen.try_emplace({*writer.op, static_cast<size_t>(next - losses_.begin())}, access.value);
    if (fresh || first->second == access.value) continue;
    return {"P6", fmt::format("block {}: of one write, reads saw {} and {}", block, first->second, access.value)};
  }
  return {};
}

Verdict History::check_read(uint64_t block, const Access& access) const {
  const ClientOp& read = ops_[access.op];
  const auto wrong = [&](std::string_view how) {
    return Verdict{"P6", fmt::format("block {}: the read answered at {:.6f} by n{} saw {}, {}", block, at(read.answered),
                                     read.node.value, access.value, how)};
  };
  const Writer writer = writer_of(block, access.value);
  if (!writer.known) return wrong("which nobody wrote");
  if (!writer.op) return {};
  const ClientOp& write = ops_[*writer.op];
  if (write.invoked >= read.answered) return wrong("before it was written");
  const auto loss = std::lower_bound(losses_.begin(), losses_.end(), write.invoked);
  const bool lost_between = loss != losses_.end() && *loss <= read.answered;
  if (writer.torn && write.answered < read.invoked && !lost_between) return wrong("a part of a write that was acknowledged");
  return {};
}

// An era lasts from one loss of everything unflushed to the next. An operation belongs to the era in which it
// began.
Verdict History::check_era(uint64_t block, const std::vector<Access>& accesses, size_t era) const {
  const Instant begin = era == 0 ? kLongAgo : losses_[era - 1];
  const Instant end = era == losses_.size() ? kNever : losses_[era];
  Zones zones;
  bool any_read = false;
  for (const Access& access : accesses) {
    const ClientOp& op = ops_[access.op];
    // What waited meanwhile was done on the other side of that: a write counts in both eras, a read in none.
    const Instant answered = access.torn ? kNever : op.answered;
    const bool began_before = op.invoked < begin && answered >= begin && crossed_.contains(begin);
    const bool ends_after = answered >= end && crossed_.contains(end);
    const bool within = op.invoked >= begin || (began_before && !access.read);
    if (!within || op.invoked >= end || (access.read && ends_after)) continue;
    Zone& zone = zones[access.value];
    zone.first_response = std::min(zone.first_response, ends_after ? kNever : answered);
    zone.last_invocation = std::max(zone.last_invocation, op.invoked);
    any_read = any_read || access.read;
    if (!access.read) continue;
    const Writer writer = writer_of(block, access.value);
    if (writer.op && (ops_[*writer.op].invoked >= begin || (crossed_.contains(begin) && ops_[*writer.op].answered >= begin)))
      continue;
    // It stems from before this era: as if it had been written when the era began.
    zone.first_response = std::min(zone.first_response, begin);
    const bool old = era > 0 && !began_since(block, access.value, begin);
    const std::string objection = old ? this->objection(block, access.value, accesses, begin) : "";
    if (!objection.empty())
      return {"P7", fmt::format("block {}: the read answered at {:.6f} saw {}, but {}", block, at(op.answered), access.value,
                                objection)};
  }
  if (!any_read) return {};
  // A value never read, whose write was not acknowledged, may not have taken effect at all.
  std::erase_if(zones, [](const auto& entry) { return entry.second.first_response == kNever; });
  if (era == 0) zones.emplace(first_initial(block), Zone{kLongAgo, kLongAgo});
  return {"P6", check_zones(block, zones)};
}

std::string History::check_zones(uint64_t block, const Zones& zones) {
  std::vector<std::pair<uint64_t, Zone>> forward;
  for (const auto& entry : zones) {
    if (entry.second.forward()) forward.push_back(entry);
  }
  std::sort(forward.begin(), forward.end(),
            [](const auto& a, const auto& b) { return a.second.first_response < b.second.first_response; });
  for (size_t i = 1; i < forward.size(); ++i) {
    if (forward[i].second.first_response < forward[i - 1].second.last_invocation) {
      return fmt::format(
          "block {}: version {} was seen from {:.6f} to {:.6f} and version {} from {:.6f} to {:.6f}: one of "
          "them came back after the other",
          block, forward[i - 1].first, at(forward[i - 1].second.first_response), at(forward[i - 1].second.last_invocation),
          forward[i].first, at(forward[i].second.first_response), at(forward[i].second.last_invocation));
    }
  }
  for (const auto& [value, zone] : zones) {
    if (zone.forward()) continue;
    for (const auto& [other, outer] : forward) {
      if (outer.first_response < zone.last_invocation && zone.first_response < outer.last_invocation) {
        return fmt::format(
            "block {}: version {}, written between {:.6f} and {:.6f}, was lost: version {} was current from "
            "{:.6f} to {:.6f}",
            block, value, at(zone.last_invocation), at(zone.first_response), other, at(outer.first_response),
            at(outer.last_invocation));
      }
    }
  }
  return "";
}

std::string History::objection(uint64_t block, uint64_t value, const std::vector<Access>& accesses, Instant loss) const {
  const auto chosen = chosen_.find(loss);
  if (chosen != chosen_.end() && chosen->second.at(block) != value)
    return fmt::format("the copy that was chosen at {:.6f} had {}", at(loss), chosen->second.at(block));
  if (!may_survive(block, value, accesses, loss)) return fmt::format("something newer was flushed before {:.6f}", at(loss));
  return "";
}

// After a loss of everything unflushed: a value may be there unless a certainly newer one was flushed.
bool History::may_survive(uint64_t block, uint64_t value, const std::vector<Access>& accesses, Instant loss) const {
  const Writer writer = writer_of(block, value);
  if (writer.torn && writer.op && flushed_before(ops_[*writer.op], loss)) return false;
  for (const Access& access : accesses) {
    if (access.read || access.torn || access.value == value) continue;
    if (!certainly_before(writer, {true, access.op})) continue;
    if (flushed_before(ops_[access.op], loss)) return false;
  }
  return true;
}

bool History::flushed_before(const ClientOp& write, Instant loss) const {
  if (!write.acknowledged || write.answered >= loss) return false;
  const auto force = forced_.lower_bound(write.answered);
  if (force != forced_.end() && *force <= loss) return false;
  if (write.fua) return true;
  // A flush in a later era says nothing: the write may have been lost before, even on the way of its answer.
  const auto next = std::upper_bound(losses_.begin(), losses_.end(), write.invoked);
  const Instant end = next == losses_.end() ? loss : std::min(*next, loss);
  return std::any_of(ops_.begin(), ops_.end(), [&](const ClientOp& op) {
    return op.kind == OpKind::flush && op.acknowledged && op.answered < end && op.invoked > write.answered;
  });
}

}  // namespace lockstep::sim
