#include "sim/oracle.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "flight/describe.h"

namespace lockstep::sim {

void Oracle::fail(std::string promise, std::string what) {
  constexpr size_t kEnough = 4;
  if (violations_.size() < kEnough) violations_.push_back({std::move(promise), queue_.now(), std::move(what)});
}

uint64_t Oracle::invoked(const ClientOp& op) {
  ++coverage_.client_ops;
  return history_.invoke(op);
}

void Oracle::answered(uint64_t op, Seat node, uint64_t start, const std::optional<Tenure>& tenure, IoStatus status,
                      Payload seen) {
  if (seen && std::any_of(seen->begin(), seen->end(), is_torn)) ++coverage_.parts_read;
  history_.answer(op, status, std::move(seen), queue_.now());
  if (status != IoStatus::ok) {
    ++coverage_.client_failed;
    return;
  }
  ++coverage_.client_acked;
  check_server(node, start, tenure);
  if (history_.op(op).kind == OpKind::flush) flushed_until_ = std::max(flushed_until_, history_.op(op).invoked);
  if (!is_change(history_.op(op).kind)) return;
  if (followers_) note_change(op);
  owed_.resize(std::max<size_t>(owed_.size(), op + 1));
  if (!tenure) return;
  owed_[op] = tenures_.members_owed(tenure->history);
  check_members_have(op, tenure->history);
}

// P5: a copy that joins the decided set has nothing that is certainly older than what a member has.
void Oracle::check_join(const std::optional<Tenure>& before) {
  const auto& now = tenures_.latest();
  if (before && now && now->parent == before->history) operator_chose();
  if (!before || !now || before->history != now->history || before->number == now->number) return;
  if (now->clean) flushed_until_ = queue_.now();
  reduced(*now);
  const SeatSet joined = now->members - before->members;
  // A member is given up by the Primary that was there: what it had counts no more, even if that is known only when the Primary lost power.
  const bool dropped = !(before->members - now->members).empty() && now->primary == before->primary;
  // A Primary that has no disk leaves the set itself: what its copy had counts no more, and nothing was flushed on the others for that.
  if (dropped && !now->members.contains(now->origin.node)) {
    for (uint64_t op = 0; op < history_.size(); ++op) at_risk_[op] = at_risk_[op] | (before->members - now->members);
  }
  if (dropped) lost_where_not_safe(true);
  for (const Pair& pair : pairs_) {
    for (const auto& [joiner, member] : {std::pair{pair.a, pair.b}, std::pair{pair.b, pair.a}}) {
      if (!joined.contains(joiner) || !before->members.contains(member)) continue;
      // A replaced disk can inherit a join that was proposed for the one before. It says so itself: never used, or Inconsistent, it is no
      // source and no candidate. So can an older image (seed 1503822): everybody else knows that it is one, and it is shut out.
      const SimDisk& disk = *disks_.at(joiner);
      if (disk.record().inconsistent || !disk.record().adopted || disk.set_back()) continue;
      for (uint64_t block : pair.differing) check_not_older(joiner, member, block);
    }
  }
}

void Oracle::check_not_older(Seat joiner, Seat member, uint64_t block) {
  const uint64_t theirs = disks_.at(joiner)->read_block(block);
  const uint64_t ours = disks_.at(member)->read_block(block);
  const auto newer = history_.writer_of(block, ours);
  const auto older = history_.writer_of(block, theirs);
  if (newer.torn) return;  // what it is a part of is not kept by anybody's word
  if (!newer.known || !newer.op || !history_.op(*newer.op).acknowledged) return;
  if (history_.may_be_lost(*newer.op)) return;  // that one copy happens to have it still obliges no other
  const bool in_part = older.torn && older.op == newer.op;
  if (older.known && !in_part && !history_.certainly_before(older, newer)) return;
  // It had it when it said that it was ready, and lost power since: it is doubtful when it comes back.
  const auto risk = at_risk_.find(*newer.op);
  if (risk != at_risk_.end() && risk->second.contains(joiner)) return;
  fail("P5", fmt::format("{} joins with {} in block {}, where {} has the newer {}", describe(joiner), theirs, block,
                         describe(member), ours));
}

// P2: once somebody has answered under a later tenure, the holder of an earlier one answers nothing any more.
void Oracle::check_server(Seat node, uint64_t start, const std::optional<Tenure>& tenure) {
  if (!tenure || !tenure->primary || tenure->primary->node != node || tenure->primary->start != start) {
    fail("P2", fmt::format("{} answers a client under {}", describe(node), tenure ? describe(*tenure) : "no tenure"));
    return;
  }
  const auto latest = tenures_.newest(tenure->history);
  if (latest && latest->number > tenure->number && latest->primary != tenure->primary) {
    fail("P2", fmt::format("{} answers under #{} when {} is decided", describe(node), tenure->number, describe(*latest)));
    return;
  }
  if (server_ && server_->history == tenure->history) {
    const bool same = server_->node == node && server_->start == start;
    if (!same && tenure->number <= server_->number) {
      fail("P2", fmt::format("{} answers under #{} after {} answered under #{}", describe(node), tenure->number,
                             describe(server_->node), server_->number));
    }
    if (tenure->number < server_->number) return;
  }
  server_ = Server{tenure->history, tenure->number, node, start};
}

// P1 and P3: what is acknowledged is on every member of the newest decided set, or something at least as new
// is.
void Oracle::check_members_have(uint64_t index, const Uuid& history) {
  const auto latest = tenures_.newest(history);
  if (!latest) return;
  const ClientOp& op = history_.op(index);
  const uint64_t mine = op.kind == OpKind::write ? History::version_of(index) : kZeroVersion;
  for (Seat member : tenures_.members_owed(history)) {
    const auto disk = disks_.find(member);
    if (disk == disks_.end()) continue;
    // Its copy was there, as the node that answers now has heard before; then the disk was replaced.
    const auto replaced = replaced_.find(member);
    if (replaced != replaced_.end() && index < replaced->second) continue;
    // It had the write, and lost it again before the answer came back.
    const auto lost_cache = cache_lost_.find(member);
    if (lost_cache != cache_lost_.end() && lost_cache->second > op.invoked) continue;
    for (uint64_t b = op.range.offset / kBlockBytes; b < op.range.end() / kBlockBytes; ++b) {
      const uint64_t there = disk->second->read_block(b);
      if (there == mine) continue;
      const auto writer = history_.writer_of(b, there);
      const bool in_part = writer.torn && writer.op == index;
      if (writer.known && !in_part && !history_.certainly_before(writer, {true, index})) continue;
      // A member that is there was not waited for (P1); one that is lost was not seen out of the set (P3).
      const bool lost = op.node != member && connected_ && !connected_(op.node, member);
      fail(lost ? "P3" : "P1", fmt::format("write {} of block {} is acknowledged, but member {} of {} has {} there", mine, b,
                                           describe(member), describe(*latest), there));
      return;
    }
  }
}

// P5: on a member of the decided set nothing acknowledged gives way to something certainly older.
void Oracle::block_written(Seat node, uint64_t block, uint64_t before, uint64_t after) {
  if (before == after) return;
  note_difference(node, block);
  applied_in_order(node, block, after);
  const auto& latest = tenures_.latest();
  if (!latest || !latest->members.contains(node)) return;
  const auto old_writer = history_.writer_of(block, before);
  const auto new_writer = history_.writer_of(block, after);
  if (!new_writer.known) {
    fail("P5", fmt::format("{} writes {} into block {}, which no client wrote", describe(node), after, block));
    return;
  }
  if (!old_writer.op || !history_.op(*old_writer.op).acknowledged) return;
  const bool in_part = new_writer.torn && !old_writer.torn && new_writer.op == old_writer.op;
  if (in_part || history_.certainly_before(new_writer, old_writer)) {
    fail("P5", fmt::format("member {} replaces {} in block {} by the older {}", describe(node), before, block, after));
  }
}

// From here on what was written before may be there or not.
void Oracle::operator_chose() {
  history_.forced(queue_.now());
  at_risk_.clear();
  unanswered_.clear();
}

void Oracle::record_durable(Seat node, const NodeRecord& record) {
  Uuid& there = histories_[node];
  const auto& adopted = record.adopted;
  const bool forced = adopted && !there.is_nil() && adopted->parent == there && adopted->history != there && adopted->primary &&
                      adopted->primary->node == node;
  if (!there.is_nil() && !record.adopted) {
    tenures_.abandoned(there);
    operator_chose();
  }
  there = record.adopted ? record.adopted->history : Uuid{};
  // An operator took a doubtful copy as it was, though a better one may come back.
  const bool settled_by_force = std::exchange(doubtful_[node], record.doubtful) && !record.doubtful && record.adopted &&
                                record.adopted->primary && record.adopted->primary->node == node &&
                                tenures_.was_force_asked(node);
  if (settled_by_force) operator_chose();
  acceptor_durable(node, record.acceptor);
  // The target of a resync has flushed before it records that its copy is whole.
  const bool levelled = std::exchange(inconsistent_[node], record.inconsistent) && !record.inconsistent;
  if (levelled) {
    for (auto* risks : {&at_risk_, &unanswered_}) {
      for (auto& [op, lost] : *risks) lost.erase(node);
    }
  }
  if (followers_) look_at_order(node, record, levelled);
  if (record.adopted) volume_adopted(node, *record.adopted);
  const std::optional<Tenure> before = tenures_.latest();
  if (record.adopted) report(tenures_.adopted(node, *record.adopted));
  check_join(before);
  if (forced) history_.chose(disks_.at(node)->data(), least_blocks_);
  compare_copies();
}

// Whoever proposes that members leave has made those that stay flush by then: what was answered before hangs on the others no more.
void Oracle::proposed(const std::optional<Tenure>& tenure) {
  const auto& latest = tenures_.latest();
  if (!tenure || !latest || tenure->history != latest->history || tenure->number != latest->number + 1) return;
  if ((latest->members - tenure->members).empty()) return;
  reductions_.emplace(tenure->origin, queue_.now());
}

// Until it is decided nobody relies on that flush: with every cache lost, a copy that was not flushed may be the one that is taken.
void Oracle::reduced(const Tenure& tenure) {
  const auto found = reductions_.find(tenure.origin);
  if (found == reductions_.end()) return;
  for (Seat node : tenure.members) {
    own_flush_[node] = found->second;
    for (auto& [op, lost] : at_risk_) {
      if (flushed_on(node, history_.op(op))) lost.erase(node);
    }
  }
}

void Oracle::acceptor_durable(Seat seat, const AcceptorRecord& record) {
  proposed(record.tenure);
  const std::optional<Tenure> before = tenures_.latest();
  report(tenures_.acceptor_durable(seat, record));
  check_join(before);
}

void Oracle::promoted(Seat node, uint64_t start, const std::optional<Tenure>& tenure) {
  promoted_[node] = queue_.now();
  report(tenures_.promoted(node, start, tenure));
}

void Oracle::refused(Seat node, std::string_view what, Reason reason) {
  if (reason == Reason::none) fail("P12", fmt::format("{}: {} refused without a reason", describe(node), what));
}

void Oracle::add_disk(Seat node, const SimDisk* disk) {
  for (const auto& [other, there] : disks_) pairs_.push_back({other, node, {}});
  disks_[node] = disk;
}

void Oracle::disk_replaced(Seat node) {
  histories_.erase(node);
  replaced_[node] = history_.size();
  order_[node] = {false, true, kLongAgo};
  if (volatile_caches_) {
    for (uint64_t index = 0; index < history_.size(); ++index) at_risk_[index].insert(node);
  }
  for (Pair& pair : pairs_) {
    if (pair.a != node && pair.b != node) continue;
    const auto& one = disks_.at(pair.a)->data();
    const auto& two = disks_.at(pair.b)->data();
    pair.differing.clear();
    for (uint64_t block = 0; block < one.size(); ++block) {
      if (one[block] != two[block]) pair.differing.insert(block);
    }
  }
}

void Oracle::metadata_misread(Seat node, const std::string& what) { fail("codec", fmt::format("{}: {}", describe(node), what)); }

// P1: what is acknowledged survives unless every member lost power before it was known to be flushed everywhere. From then on anything
// that was not flushed may be gone: a copy that happens to have it cannot be told from one that has not.
void Oracle::cache_at_risk(Seat node, const BitVector& extents) {
  cache_lost_[node] = queue_.now();
  order_[node].lost = true;
  order_[node].kept = false;
  // Behind a clean hand-over everything is flushed, whatever extents are still set.
  const auto& tenure = disks_.at(node)->record().adopted;
  if (tenure && tenure->clean && tenure->members.contains(node)) return;
  for (uint64_t index = 0; index < history_.size(); ++index) {
    const ClientOp& op = history_.op(index);
    if (!is_change(op.kind) || flushed(op) || flushed_on(node, op)) continue;
    const uint64_t last = (op.range.end() - 1) / kExtentBytes;
    if (extents.next_set(op.range.offset / kExtentBytes) > last) continue;
    at_risk_[index].insert(node);
    if (!op.acknowledged && has(node, index)) unanswered_[index].insert(node);
  }
  lost_where_not_safe(server_ && server_->node != node);
}

bool Oracle::flushed(const ClientOp& op) const { return op.acknowledged && (op.fua || op.answered < flushed_until_); }

bool Oracle::flushed_on(Seat node, const ClientOp& op) const {
  const auto found = own_flush_.find(node);
  return found != own_flush_.end() && op.acknowledged && op.answered < found->second;
}

void Oracle::lost_where_not_safe(bool served_on) {
  const SeatSet owed = tenures_.members_owed();
  const auto nobody_has_it = [&](const auto& entry) {
    const ClientOp& op = history_.op(entry.first);
    return is_change(op.kind) && op.acknowledged && !flushed(op) && ((owed | owed_.at(entry.first)) - entry.second).empty();
  };
  // The answer may be on its way, or a read may have seen it (seed 827963950638).
  const auto nobody_will = [&](const auto& entry) {
    return !history_.op(entry.first).acknowledged && (owed - entry.second).empty();
  };
  if (owed.empty() || std::erase_if(at_risk_, nobody_has_it) + std::erase_if(unanswered_, nobody_will) == 0) return;
  // What some member still has may go with that one's cache (seed 7300001592).
  history_.all_lost_unflushed(queue_.now(), served_on);
  ++coverage_.everywhere_lost;
}

bool Oracle::has(Seat node, uint64_t index) const {
  const ClientOp& op = history_.op(index);
  const uint64_t mine = op.kind == OpKind::write ? History::version_of(index) : kZeroVersion;
  const SimDisk& disk = *disks_.at(node);
  for (uint64_t b = op.range.offset / kBlockBytes; b < op.range.end() / kBlockBytes; ++b) {
    if (disk.read_block(b) == mine) return true;
  }
  return false;
}

void Oracle::check_history() { report(history_.check()); }

}  // namespace lockstep::sim
