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
  for (uint64_t block = 0; block < data.size(); ++block) check_order(node, block, kLongAgo);
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
  check_order(node, block, kLongAgo);
  if (order.until > from) check_order(node, kEveryBlock, from);
}

// Against all that was answered from then on, and before what the copy has was asked for.
void Oracle::check_order(Seat node, uint64_t wanted, Instant from) {
  const SimDisk& disk = *disks_.at(node);
  const Instant until = order_[node].until;
  for (uint64_t index = 0; index < history_.size(); ++index) {
    const ClientOp& op = history_.op(index);
    if (!op.acknowledged || !is_change(op.kind) || op.answered < from || op.answered >= until) continue;
    if (history_.may_be_lost(index)) continue;
    for (uint64_t block = op.range.offset / kBlockBytes; block < op.range.end() / kBlockBytes; ++block) {
      if (wanted != kEveryBlock && wanted != block) continue;
      const auto there = history_.writer_of(block, disk.read_block(block));
      if (!there.known || there.torn || !history_.certainly_before(there, {true, index})) continue;
      return fail("order",
                  fmt::format("{} has writes that were asked for until {} ns, and {} in block {} in place of write {}, which was "
                              "answered before",
                              describe(node), until.ns, disk.read_block(block), block, index));
    }
  }
}

}  // namespace lockstep::sim
