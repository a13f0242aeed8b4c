// Prefix order (protocols A and B): a whole copy outside the set is what the volume was at some earlier moment, with some of what was under way
// just then. So: if it has a write, it has all that was answered before that one was asked for.
#include <algorithm>

#include <fmt/format.h>

#include "flight/describe.h"
#include "sim/oracle.h"

namespace lockstep::sim {

void Oracle::look_at_order(Seat node, const NodeRecord& record, bool levelled) {
  Order& order = order_[node];
  if (levelled) order.lost = false;
  const bool outside = record.adopted && !record.adopted->members.contains(node) && !record.inconsistent;
  const bool before = std::exchange(order.kept, outside && !order.lost);
  if (!order.kept || (before && !levelled)) return;
  const std::vector<uint64_t>& data = disks_.at(node)->data();
  order.until = kLongAgo;
  for (uint64_t block = 0; block < data.size(); ++block) {
    const auto writer = history_.writer_of(block, data[block]);
    if (writer.known && !writer.torn && writer.op) order.until = std::max(order.until, history_.op(*writer.op).invoked);
  }
  check_order(node, kLongAgo);
}

void Oracle::applied_in_order(Seat node, uint64_t block, uint64_t value) {
  const auto found = order_.find(node);
  if (found == order_.end() || !found->second.kept) return;
  const auto writer = history_.writer_of(block, value);
  if (!writer.known || writer.torn || !writer.op) return;
  Order& order = found->second;
  const Instant from = order.until;
  order.until = std::max(from, history_.op(*writer.op).invoked);
  ++coverage_.followed;
  check_order_of(node, block);
  if (order.until > from) check_order(node, from);
}

// Against all that was answered from then on, and before what the copy has was asked for.
void Oracle::check_order(Seat node, Instant from) {
  const Instant until = order_[node].until;
  const auto earlier = [this](uint64_t op, Instant when) { return history_.op(op).answered < when; };
  for (auto at = std::lower_bound(changes_.begin(), changes_.end(), from, earlier); at != changes_.end(); ++at) {
    const ClientOp& op = history_.op(*at);
    if (op.answered >= until) return;
    for (uint64_t block = op.range.offset / kBlockBytes; block < op.range.end() / kBlockBytes; ++block) {
      if (!in_order(node, *at, block)) return;
    }
  }
}

void Oracle::check_order_of(Seat node, uint64_t block) {
  const Instant until = order_[node].until;
  for (const uint64_t op : changes_of_[block]) {
    if (history_.op(op).answered >= until || !in_order(node, op, block)) return;
  }
}

bool Oracle::in_order(Seat node, uint64_t op, uint64_t block) {
  // An older image of a disk says of its cache what the disk had then, and is shut out as what it is (seed 819486).
  if (disks_.at(node)->set_back()) return true;
  const uint64_t value = disks_.at(node)->read_block(block);
  const auto there = history_.writer_of(block, value);
  if (!there.known || there.torn || !history_.certainly_before(there, {true, op})) return true;
  if (history_.may_be_lost(op) || history_.may_be_given_up(op)) return true;  // seed 1483, with resyncs by age
  // A current copy that does not have it either has lost it by an allowed way, or is told so elsewhere.
  for (Seat member : tenures_.members_owed()) {
    const auto theirs = history_.writer_of(block, disks_.at(member)->read_block(block));
    if (member != node && theirs.known && !theirs.torn && history_.certainly_before(theirs, {true, op})) return true;
  }
  fail("order",
       fmt::format("{} has what was asked for until {} ns, and {} in block {} in place of write {}, which was answered before",
                   describe(node), order_[node].until.ns, value, block, op));
  return false;
}

void Oracle::note_change(uint64_t op) {
  changes_.push_back(op);
  const Range& range = history_.op(op).range;
  for (uint64_t block = range.offset / kBlockBytes; block < range.end() / kBlockBytes; ++block) changes_of_[block].push_back(op);
}

}  // namespace lockstep::sim
