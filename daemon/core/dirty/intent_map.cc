#include "core/dirty/intent_map.h"

#include <algorithm>
#include <utility>

#include "base/mutation.h"

namespace lockstep {

namespace {
constexpr size_t kMostSeals = 32;  // under way; beyond it only for a write that waits for room
}  // namespace

IntentMap::IntentMap(Context& context, BitVector loaded, const std::array<uint64_t, 8>& sequences)
    : ctx_(context), wanted_(loaded), certain_(loaded.size()), extents_(wanted_.size()), pages_(wanted_.pages()) {
  for (size_t i = 0; i < pages_.size() && i < sequences.size(); ++i) pages_[i].sequence = sequences[i];
  // A set bit may stand for a page that could not be read: all of it is written once before it is relied upon.
  for (uint64_t i = wanted_.next_set(0); i < wanted_.size(); i = wanted_.next_set((i / kBitsPerPage + 1) * kBitsPerPage))
    pages_[i / kBitsPerPage].dirty = true;
  pin_all();
}

bool IntentMap::hold(const Range& range, uint64_t position) {
  const uint64_t first = first_of(range);
  for (uint64_t i = first; i < first + count_of(range); ++i) {
    Extent& extent = extents_[i];
    ++extent.in_flight;
    extent.position = std::max(extent.position, position);
    extent.touched = ctx_.now;
    if (!MUTANT(sealed_before_the_write)) extent.sealed = false;
    if (!MUTANT(sealed_before_the_write)) extent.seal = {};  // it comes too early, whatever it says
    if (wanted_.set(i)) pages_[i / kBitsPerPage].dirty = true;
  }
  return durable(range);
}

void IntentMap::let_go(const Range& range) {
  const uint64_t first = first_of(range);
  for (uint64_t i = first; i < first + count_of(range); ++i) {
    CHECK(extents_[i].in_flight > 0);
    --extents_[i].in_flight;
  }
}

bool IntentMap::durable(const Range& range) const {
  const uint64_t first = first_of(range);
  for (uint64_t i = first; i < first + count_of(range); ++i) {
    if (!certain_.test(i)) return false;
  }
  return true;
}

uint64_t IntentMap::missing(const Range& range) const {
  uint64_t n = 0;
  const uint64_t first = first_of(range);
  for (uint64_t i = first; i < first + count_of(range); ++i) n += wanted_.test(i) ? 0 : 1;
  return n;
}

bool IntentMap::may_clear(uint64_t i, uint64_t position, const std::function<bool(uint64_t)>& covered) const {
  const Extent& extent = extents_[i];
  return extent.in_flight == 0 && !extent.pinned && extent.position <= position && covered(i);
}

void IntentMap::clear_or_seal(uint64_t i) {
  Extent& extent = extents_[i];
  if (ctx_.config.digests_at_rest && !extent.sealed && !MUTANT(unsealed_extent_cleared)) {
    if (extent.seal.value != 0 || failed_) return;
    extent.seal = {ctx_.fresh_id()};
    seals_.emplace(extent.seal, i);
    return ctx_.emit(SealExtent{extent.seal, i});
  }
  extent.sealed = false;
  wanted_.clear(i);
  pages_[i / kBitsPerPage].dirty = true;
}

// A large resync leaves hundreds of thousands of extents that may go at once.
bool IntentMap::seals_enough() const { return ctx_.config.digests_at_rest && seals_.size() >= kMostSeals; }

bool IntentMap::wants_cooling() const { return seals_.size() <= kMostSeals / 2; }

void IntentMap::cool(uint64_t position, Instant idle_before, uint64_t room, const std::function<bool(uint64_t)>& covered) {
  std::vector<uint64_t> young;
  uint64_t cleared = 0;
  const auto look = [&](uint64_t from, uint64_t end) {
    for (uint64_t i = wanted_.next_set(from, end); i < end; i = wanted_.next_set(i + 1, end)) {
      if (room == 0 && seals_enough()) return next_to_cool_ = i, false;
      if (!may_clear(i, position, covered)) continue;
      if (extents_[i].touched > idle_before) {
        young.push_back(i);
        continue;
      }
      clear_or_seal(i);
      ++cleared;
    }
    return true;
  };
  const uint64_t first = std::exchange(next_to_cool_, 0);
  if (!look(first, wanted_.size()) || !look(0, first) || cleared >= room) return;
  std::sort(young.begin(), young.end(), [this](uint64_t a, uint64_t b) { return extents_[a].touched < extents_[b].touched; });
  for (size_t k = 0; k < young.size() && cleared < room; ++k, ++cleared) clear_or_seal(young[k]);
}

void IntentMap::settle_all() {
  for (Extent& extent : extents_) {
    extent.pinned = false;
    if (extent.in_flight == 0) extent.position = 0;
  }
}

void IntentMap::levelled_at(uint64_t position) {
  for (Extent& extent : extents_) {
    if (std::exchange(extent.pinned, false)) extent.position = std::max(extent.position, position);
  }
}

void IntentMap::pin_all() {
  for (uint64_t i = wanted_.next_set(0); i < wanted_.size(); i = wanted_.next_set(i + 1)) {
    extents_[i].pinned = true;
    extents_[i].position = 0;  // of an older numbering
  }
}

void IntentMap::unpin_all() {
  for (Extent& extent : extents_) extent.pinned = false;
}

bool IntentMap::any_pinned() const {
  for (uint64_t i = wanted_.next_set(0); i < wanted_.size(); i = wanted_.next_set(i + 1)) {
    if (extents_[i].pinned) return true;
  }
  return false;
}

std::vector<uint64_t> IntentMap::unsettled() const {
  std::vector<uint64_t> found;
  for (uint64_t i = wanted_.next_set(0); i < wanted_.size(); i = wanted_.next_set(i + 1)) {
    if (extents_[i].pinned || extents_[i].in_flight > 0 || extents_[i].position > 0) found.push_back(i);
  }
  return found;
}

void IntentMap::rebase(uint64_t position) {
  for (Extent& extent : extents_) {
    extent.pinned = false;
    extent.position = position;
  }
}

void IntentMap::pin(const Range& range) {
  const uint64_t first = first_of(range);
  for (uint64_t i = first; i < first + count_of(range); ++i) extents_[i].pinned = true;
}

void IntentMap::expect(const Range& range, uint64_t ahead) {
  uint64_t i = first_of(range) + 1;
  for (; ahead != 0 && i < wanted_.size(); ahead >>= 1, ++i) {
    if ((ahead & 1) == 0) continue;
    extents_[i].pinned = true;
    extents_[i].touched = ctx_.now;
    if (wanted_.set(i)) pages_[i / kBitsPerPage].dirty = true;
  }
}

void IntentMap::pump() {
  if (failed_) return;
  for (uint32_t index = 0; index < pages_.size(); ++index) {
    Page& page = pages_[index];
    if (!page.dirty || page.writing) continue;
    page.dirty = false;
    page.writing = true;
    page.content = wanted_.page(index);
    page.token = {ctx_.fresh_id()};
    ++page.sequence;
    // A bit that this version clears is no longer certain from here on; one that it sets is certain when it is done.
    for (uint64_t i = index * kBitsPerPage; i < std::min<uint64_t>(wanted_.size(), (index + 1) * kBitsPerPage); ++i) {
      if (!wanted_.test(i)) certain_.clear(i);
    }
    ctx_.emit(WriteIntentPage{page.token, index, page.sequence, std::make_shared<const BitPage>(page.content)});
  }
}

bool IntentMap::done(MetaToken token, bool ok) {
  for (uint32_t index = 0; index < pages_.size(); ++index) {
    Page& page = pages_[index];
    if (!page.writing || page.token != token) continue;
    page.writing = false;
    if (!ok) {
      failed_ = true;
      return true;
    }
    for (uint64_t i = index * kBitsPerPage; i < std::min<uint64_t>(wanted_.size(), (index + 1) * kBitsPerPage); ++i) {
      const uint64_t in_page = i - index * kBitsPerPage;
      if ((page.content[in_page / 64] >> (in_page % 64)) & 1) certain_.set(i);
    }
    return true;
  }
  return false;
}

bool IntentMap::sealed(MetaToken token, bool ok) {
  const auto at = seals_.find(token);
  if (at == seals_.end()) return false;
  Extent& extent = extents_[at->second];
  seals_.erase(at);
  if (!ok) failed_ = true;
  if (extent.seal != token) return true;  // written to since
  extent.seal = {};
  extent.sealed = ok;
  return true;
}

bool IntentMap::idle() const {
  if (!seals_.empty()) return false;
  for (const Page& page : pages_) {
    if (page.dirty || page.writing) return false;
  }
  return true;
}

}  // namespace lockstep
