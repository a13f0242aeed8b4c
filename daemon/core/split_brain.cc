#include "core/split_brain.h"

#include <algorithm>

#include "core/replica_impl.h"
#include "core/resync/block_runs.h"

namespace lockstep {

namespace {

void mark(BitVector& extents, const BlockRun& run) {
  const uint64_t first = run.first / kBlocksPerExtent;
  if (run.count == 0 || first >= extents.size()) return;
  const uint64_t last = std::min((run.first + (run.count - 1)) / kBlocksPerExtent, extents.size() - 1);
  extents.set_range(first, last - first + 1);
}

// Bits count only against the very disk that they were kept for.
bool common_ground(const ReplicaImpl& r, Seat peer) {
  const Uuid& remembered = r.ctx.record.peers[peer.value].disk;
  const PeerHello& hello = *r.peer(peer).hello;
  return !remembered.is_nil() && remembered == hello.disk && hello.remembered_disk == r.ctx.record.disk;
}

}  // namespace

bool SplitBrain::left_behind() const {
  const auto& mine = r_.membership.adopted();
  return mine && std::any_of(met_.begin(), met_.end(), [&](const Met& met) { return met.parent == mine->history; });
}

void SplitBrain::begin(Seat peer) {
  const auto& theirs = r_.peer(peer).hello->tenure;
  if (theirs) met_[peer.value] = {theirs->history, theirs->parent};
  // One of them has given up the history of the other: nothing is to be compared.
  if (!theirs || !r_.membership.adopted()) return r_.close_link(peer, Reason::different_history, true);
  meetings_[peer.value].begun = true;
  // Whole extents: a map with a hole in every second block would make a list without end.
  BitVector& mine = meetings_[peer.value].mine = r_.intents.bits();
  if (!common_ground(r_, peer)) mine.set_range(0, mine.size());
  for_each_run(r_.dirty.of(peer), mine, r_.dirty.covered(), [&mine](const BlockRun& run) { mark(mine, run); });
  Differences said;
  for_each_run(BitVector(r_.dirty.of(peer).size()), mine, r_.dirty.covered(), [&](const BlockRun& run) {
    if (said.runs.full()) {
      r_.send(peer, said);
      said.runs.clear();
    }
    said.runs.push_back(run);
  });
  said.last = true;
  r_.send(peer, said);
  close_when_done(peer);
}

// They may come before this node has recorded who it met, and may judge.
void SplitBrain::differences(Seat from, const Differences& theirs) {
  Meeting& meeting = meetings_[from.value];
  if (meeting.heard_all) return r_.close_link(from, Reason::protocol_violation);
  if (meeting.theirs.size() == 0) meeting.theirs = BitVector(r_.intents.bits().size());
  for (const BlockRun& run : theirs.runs) mark(meeting.theirs, run);
  meeting.heard_all = theirs.last;
  close_when_done(from);
}

void SplitBrain::close_when_done(Seat peer) {
  const Meeting& meeting = meetings_[peer.value];
  if (!meeting.begun || !meeting.heard_all) return;
  BitVector& extents = extents_[peer.value].emplace(meeting.mine);
  for (uint64_t i = meeting.theirs.next_set(0); i < extents.size(); i = meeting.theirs.next_set(i + 1)) extents.set_range(i, 1);
  r_.close_link(peer, Reason::different_history, true);
}

std::vector<Range> SplitBrain::listed(Seat peer) const {
  std::vector<Range> ranges;
  const auto& extents = extents_[peer.value];
  if (!extents) return ranges;
  for (uint64_t first = extents->next_set(0); first < extents->size();) {
    const uint64_t end = extents->next_clear(first);
    const uint64_t bytes = std::min(end * kExtentBytes, r_.ctx.record.size_bytes);
    ranges.push_back({first * kExtentBytes, bytes - first * kExtentBytes});
    first = extents->next_set(end);
  }
  return ranges;
}

}  // namespace lockstep
