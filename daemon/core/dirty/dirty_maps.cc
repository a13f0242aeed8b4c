#include "core/dirty/dirty_maps.h"

#include <algorithm>

#include "base/mutation.h"

namespace lockstep {

namespace {

uint64_t first_block(const Range& range) { return range.offset / kBlockBytes; }
// Blocks that the range touches, in whole or in part.
uint64_t touched_blocks(const Range& range) {
  return range.empty() ? 0 : (range.end() - 1) / kBlockBytes - first_block(range) + 1;
}

}  // namespace

DirtyMaps::DirtyMaps(Context& context, std::array<BitVector, kMaxDataNodes> loaded, uint64_t blocks)
    : ctx_(context), blocks_(blocks), covered_(blocks) {
  for (Seat peer : ctx_.config.data_nodes) {
    if (peer == ctx_.config.self) continue;
    Map& map = maps_[peer.value];
    BitVector& found = loaded[peer.value];
    map.bits = found.size() == blocks ? std::move(found) : BitVector(blocks, true);
    make(map);
    // Set bits may stand for pages that could not be read.
    for (uint64_t i = map.bits.next_set(0); i < blocks; i = map.bits.next_set((i / kBitsPerPage + 1) * kBitsPerPage))
      map.pages[i / kBitsPerPage].dirty = true;
  }
}

void DirtyMaps::cover(uint64_t blocks, SeatSet same_there) {
  const uint64_t before = covered_;
  covered_ = std::min(blocks, blocks_);
  for (Seat peer : ctx_.config.data_nodes) {
    Map& map = maps_[peer.value];
    if (map.bits.size() == 0) continue;
    if (map.bits.clear_range(covered_, blocks_ - covered_) != 0) touch(map, covered_, blocks_ - covered_);
    if (before < covered_ && !same_there.contains(peer)) mark_blocks(peer, before, covered_ - before);
  }
}

void DirtyMaps::add(Seat peer) {
  Map& map = maps_[peer.value];
  map.bits = BitVector(blocks_);
  make(map);
  touch(map, 0, blocks_);
  mark_all(peer);
}

// Everything counts as marked just now.
void DirtyMaps::make(Map& map) {
  map.pages.resize(map.bits.pages());
  map.marked.assign((blocks_ + kBlocksPerExtent - 1) / kBlocksPerExtent, writes_);
  map.written.assign(map.marked.size(), kLongAgo);
}

void DirtyMaps::remove(Seat peer) {
  Map& map = maps_[peer.value];
  map.bits = {};
  for (Page& page : map.pages) page.dirty = false;  // those that are being written stay, until they are
}

void DirtyMaps::touch(Map& map, uint64_t first, uint64_t count) {
  if (count == 0) return;
  const uint64_t last = std::min(blocks_, first + count) - 1;
  for (uint64_t page = first / kBitsPerPage; page <= last / kBitsPerPage; ++page) map.pages[page].dirty = true;
}

void DirtyMaps::mark_blocks(Seat peer, uint64_t first, uint64_t count) {
  Map& map = maps_[peer.value];
  if (first >= covered_ || map.bits.size() == 0) return;
  count = std::min(count, covered_ - first);
  if (map.bits.set_range(first, count) == 0) return;
  touch(map, first, count);
  const uint64_t last = first + count - 1;
  for (uint64_t extent = first / kBlocksPerExtent; extent <= last / kBlocksPerExtent; ++extent) map.marked[extent] = writes_;
}

void DirtyMaps::mark(Seat peer, const Range& range) {
  mark_blocks(peer, first_block(range), touched_blocks(range));
  std::vector<Instant>& written = maps_[peer.value].written;
  const uint64_t end = std::min<uint64_t>(written.size(), (range.end() + kExtentBytes - 1) / kExtentBytes);
  for (uint64_t extent = range.offset / kExtentBytes; extent < end && !range.empty(); ++extent) written[extent] = ctx_.now;
}
void DirtyMaps::mark_all(Seat peer) { mark_blocks(peer, 0, covered_); }

void DirtyMaps::mark_extents(Seat peer, const BitVector& extents) {
  for (uint64_t i = extents.next_set(0); i < extents.size(); i = extents.next_set(i + 1))
    mark_blocks(peer, i * kBlocksPerExtent, kBlocksPerExtent);
}

void DirtyMaps::clear(Seat peer, const Range& range) {
  // Only blocks that lie in the range as a whole: a block that was copied in part is still in doubt.
  const uint64_t first = (range.offset + kBlockBytes - 1) / kBlockBytes;
  const bool to_the_end = (range.end() + kBlockBytes - 1) / kBlockBytes >= blocks_;
  const uint64_t end = to_the_end ? blocks_ : range.end() / kBlockBytes;
  Map& map = maps_[peer.value];
  if (first >= end || map.bits.size() == 0) return;
  if (map.bits.clear_range(first, end - first) != 0) touch(map, first, end - first);
}

void DirtyMaps::clear_all(Seat peer) { clear(peer, {0, blocks_ * kBlockBytes}); }

bool DirtyMaps::durable(Seat peer, uint64_t extent) const {
  const Map& map = maps_[peer.value];
  if (map.bits.size() == 0) return true;
  const uint64_t first = extent * kBlocksPerExtent;
  const uint64_t last = std::min(blocks_, first + kBlocksPerExtent) - 1;
  for (uint64_t index = first / kBitsPerPage; index <= last / kBitsPerPage; ++index) {
    const Page& page = map.pages[index];
    if ((page.dirty || page.writing) && page.stored <= map.marked[extent] && !MUTANT(marks_taken_for_stored)) return false;
  }
  return true;
}

bool DirtyMaps::durable(Seat peer, const Range& range) const {
  const uint64_t end = std::min(blocks_ * kBlockBytes, range.end());
  for (uint64_t extent = range.offset / kExtentBytes; extent * kExtentBytes < end; ++extent) {
    if (!durable(peer, extent)) return false;
  }
  return true;
}

void DirtyMaps::pump() {
  if (failed_) return;
  for (Seat peer : ctx_.config.data_nodes) {
    Map& map = maps_[peer.value];
    for (uint32_t index = 0; index < map.pages.size(); ++index) {
      Page& page = map.pages[index];
      if (!page.dirty || page.writing) continue;
      page.dirty = false;
      page.writing = true;
      page.token = {ctx_.fresh_id()};
      page.begun = ++writes_;
      ctx_.emit(WriteBitmapPage{page.token, peer, index, std::make_shared<const BitPage>(map.bits.page(index))});
    }
  }
}

bool DirtyMaps::done(MetaToken token, bool ok) {
  for (Map& map : maps_) {
    for (Page& page : map.pages) {
      if (!page.writing || page.token != token) continue;
      page.writing = false;
      if (ok)
        page.stored = page.begun;
      else
        failed_ = true;
      return true;
    }
  }
  return false;
}

bool DirtyMaps::idle() const {
  for (const Map& map : maps_) {
    for (const Page& page : map.pages) {
      if (page.dirty || page.writing) return false;
    }
  }
  return true;
}

}  // namespace lockstep
