// Whether the copies are equal, and what says so where they are not (P4, P9).
#include <algorithm>

#include <fmt/format.h>

#include "core/volumes.h"
#include "flight/describe.h"
#include "sim/oracle.h"

namespace lockstep::sim {

void Oracle::note_difference(Seat node, uint64_t block) {
  for (Pair& pair : pairs_) {
    if (pair.a != node && pair.b != node) continue;
    if (disks_.at(pair.a)->read_block(block) == disks_.at(pair.b)->read_block(block)) {
      pair.differing.erase(block);
      continue;
    }
    pair.differing.insert(block);
    if (common_ground(pair)) check_covered(pair, block);
  }
}

void Oracle::block_lost(Seat node, uint64_t block) { note_difference(node, block); }

void Oracle::compare_copies() {
  for (Pair& pair : pairs_) compare(pair);
}

void Oracle::compare(Pair& pair) {
  ++coverage_.copies_compared;
  if (pair.differing.empty() || !common_ground(pair)) return;
  for (uint64_t block : pair.differing) check_covered(pair, block);
}

bool Oracle::common_ground(const Pair& pair) const {
  const NodeRecord& one = disks_.at(pair.a)->record();
  const NodeRecord& two = disks_.at(pair.b)->record();
  if (!one.adopted || !two.adopted) return false;
  // A disk that was set back knows nothing of what it lacks: it must be kept out, which the world waits for.
  if (disks_.at(pair.a)->set_back() || disks_.at(pair.b)->set_back()) return false;
  return one.peers[pair.b.value].disk == two.disk && two.peers[pair.a.value].disk == one.disk;
}

// What a volume has grown by may differ anywhere until then, and counts from then on as the first current copy has it. What was given up is
// nobody's.
void Oracle::volume_adopted(Seat node, const Tenure& tenure) {
  if (tenure.volumes.empty() || !tenure.members.contains(node)) return;
  const uint64_t blocks = span_of(tenure) / kBlockBytes;
  least_blocks_ = std::min(least_blocks_, blocks);
  const bool fresh = volumes_.empty();
  const Volume before = volumes_.contains(tenure.history) ? volumes_.at(tenure.history) : Volume{};
  const bool same = before.blocks > 0;
  if (same && tenure.number <= before.number) return;
  if (same && blocks < before.blocks) {
    ++coverage_.volumes_shrunk;
    if (!may_end_at_.contains(blocks)) fail("P7", fmt::format("the volume shrinks from {} to {} blocks", before.blocks, blocks));
    for (uint64_t block = blocks; block < before.blocks; ++block) history_.given_up(block, queue_.now());
  }
  if (same && !same_volumes(before.shapes, tenure.volumes)) fail("P7", "a history has other volumes than it had");
  if (same && tenure.volumes.size() > 1 && !(before.shapes == tenure.volumes)) fail("P7", "the sizes of several volumes change");
  if (same && blocks > before.blocks) {
    ++coverage_.volumes_grown;
    may_end_at_.clear();  // one command at a time: what was asked for before is over
    for (uint64_t block = before.blocks; block < blocks; ++block) {
      history_.began_with(block, disks_.at(node)->read_block(block), queue_.now());
    }
  }
  if (tenure.volumes.size() > 1 && fresh) ++coverage_.several_volumes;
  volume_ = {blocks, tenure.volumes, tenure.history, tenure.number};
  volumes_[tenure.history] = volume_;
}

// What a volume has grown by, each marks before it records that.
bool Oracle::counts_for(const SimDisk& disk, uint64_t block) {
  const auto& adopted = disk.record().adopted;
  return !adopted || adopted->volumes.empty() || block < span_of(*adopted) / kBlockBytes;
}

void Oracle::check_covered(const Pair& pair, uint64_t block) {
  const SimDisk& one = *disks_.at(pair.a);
  const SimDisk& two = *disks_.at(pair.b);
  if (!counts_for(one, block) || !counts_for(two, block)) return;
  ++coverage_.differing_covered;
  if (one.marked(pair.b, block) || two.marked(pair.a, block)) return;
  fail("P4", fmt::format("block {}: {} has {}, {} has {}, and no durable bit says so", block, describe(pair.a),
                         one.read_block(block), describe(pair.b), two.read_block(block)));
}

void Oracle::compare_identical() {
  for (auto a = disks_.begin(); a != disks_.end(); ++a) {
    for (auto b = std::next(a); b != disks_.end(); ++b) {
      const auto& one = a->second->data();
      const auto& two = b->second->data();
      const auto end = one.begin() + static_cast<ptrdiff_t>(volume_.blocks == 0 ? one.size() : volume_.blocks);
      const auto [x, y] = std::mismatch(one.begin(), end, two.begin());
      if (x == end) continue;
      fail("P9", fmt::format("after healing, block {} differs: {} has {}, {} has {}", x - one.begin(), describe(a->first), *x,
                             describe(b->first), *y));
    }
  }
}

// What a resync is about to copy is what its source knows: the marks of the target's own disk count for nothing from here on. A write that is
// under way flows to both. A source that stood still may begin with what its target said long ago: a target that has another tenure by now
// takes none of it, and goes by its own marks.
void Oracle::resync_begins(Seat source, Seat target, const BitVector& known) {
  const auto& theirs = disks_.at(target)->record().adopted;
  const auto& mine = disks_.at(source)->record().adopted;
  if (!mine || !theirs || !(stamp_of(*theirs) == stamp_of(*mine))) return;
  for (const Pair& pair : pairs_) {
    const bool these = (pair.a == source && pair.b == target) || (pair.a == target && pair.b == source);
    if (!these || !common_ground(pair)) continue;
    for (uint64_t block : pair.differing) {
      ++coverage_.differing_to_copy;
      if (!in_volume(block) || known.test(block) || being_written(source, block)) continue;
      fail("P4",
           fmt::format("block {}: {} has {}, {} has {}, and the resync that begins will not copy it", block, describe(source),
                       disks_.at(source)->read_block(block), describe(target), disks_.at(target)->read_block(block)));
    }
  }
}

// As far as anybody outside can tell: one that was answered with an error may go on. What it was asked before it was promoted is over.
bool Oracle::being_written(Seat node, uint64_t block) const {
  const auto since = promoted_.find(node);
  if (since == promoted_.end()) return false;
  for (uint64_t index = history_.size(); index-- > 0;) {
    const ClientOp& op = history_.op(index);
    if (op.invoked < since->second) break;
    const bool here = op.node == node && is_change(op.kind) && op.answered == kNever;
    if (here && op.range.offset / kBlockBytes <= block && block < op.range.end() / kBlockBytes) return true;
  }
  return false;
}

}  // namespace lockstep::sim
