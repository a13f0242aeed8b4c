#include "shell/digests/digest_table.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace lockstep {

namespace {

constexpr size_t kLearnedAtOnce = 8;  // pages; a comparison goes through them in order
constexpr size_t kLooksForRoom = 16;
constexpr uint64_t kFewBlocks = 16;

uint64_t first_touched(const Range& range) { return range.offset / kBlockBytes; }
uint64_t end_touched(const Range& range) { return (range.end() + kBlockBytes - 1) / kBlockBytes; }
uint64_t first_whole(const Range& range) { return (range.offset + kBlockBytes - 1) / kBlockBytes; }
uint64_t end_whole(const Range& range) { return range.end() / kBlockBytes; }

BitVector pages_of(const BitVector& extents) {
  BitVector pages(extents.size() * kDigestPagesPerExtent);
  for (uint64_t extent = extents.next_set(0); extent < extents.size(); extent = extents.next_set(extent + 1))
    pages.set_range(extent * kDigestPagesPerExtent, kDigestPagesPerExtent);
  return pages;
}

}  // namespace

DigestTable::DigestTable(Pages& pages, uint64_t blocks, const BitVector& in_doubt, size_t most_pages)
    : pages_(pages),
      blocks_(blocks),
      most_pages_(most_pages),
      in_doubt_(pages_of(in_doubt)),
      self_(std::make_shared<DigestTable*>(this)) {
  CHECK(in_doubt.size() * kBlocksPerExtent >= blocks);
}

// Calls each(page, first, end) for the blocks of each page, by number.
template <class Each>
void DigestTable::for_each_page(uint64_t first, uint64_t count, Each each) {
  const uint64_t end = first + count;
  CHECK(end <= blocks_);
  while (first < end) {
    const uint64_t in_extent = first % kBlocksPerExtent;
    const uint64_t page_end = std::min(first - in_extent + (in_extent / kDigestsPerPage + 1) * kDigestsPerPage,
                                       (first / kBlocksPerExtent + 1) * kBlocksPerExtent);
    each(digest_page_of(first), first, std::min(end, page_end));
    first = page_end;
  }
}

DigestTable::Entry& DigestTable::entry(uint64_t page) {
  const auto [at, fresh] = entries_.try_emplace(page);
  Entry& found = at->second;
  if (fresh) {
    found.age = ages_.insert(ages_.begin(), page);
    found.loaded = in_doubt_.test(page);
  } else {
    ages_.splice(ages_.begin(), ages_, found.age);
  }
  return found;
}

// --- changes ----------------------------------------------------------------------------------------------------------------

void DigestTable::change_begins(const Range& range) {
  const uint64_t first = first_touched(range);
  for_each_page(first, end_touched(range) - first, [this](uint64_t page, uint64_t from, uint64_t end) {
    Entry& at = entry(page);
    ++at.changes;
    at.dirty = true;
    for (uint64_t block = from; block < end; ++block) {
      const uint64_t i = place_in_digest_page(block);
      if (at.busy[i]++ > 0) at.mixed.set(i);
      at.digests[i] = kNoDigest;
      at.fresh.set(i);
    }
    leave_unjudged(at, from, end);
    // A seal will want the rest of the page, and had better not wait for it then.
    if (end - from < kFewBlocks) load(page, at);
  });
}

void DigestTable::leave_unjudged(Entry& at, uint64_t from, uint64_t end) {
  for (uint64_t id : at.readers) {
    Reading& reading = reads_.at(id);
    const uint64_t last = std::min(end, reading.first + reading.count);
    for (uint64_t block = std::max(from, reading.first); block < last; ++block) reading.unjudged[block - reading.first] = true;
  }
}

void DigestTable::change_ends(const Range& range, std::span<const BlockDigest> digests) {
  const uint64_t first = first_whole(range);
  end_change(range, [&](uint64_t block) { return block - first < digests.size() ? &digests[block - first] : nullptr; });
}

void DigestTable::change_ends_alike(const Range& range, const BlockDigest& digest) {
  end_change(range, [&](uint64_t) { return &digest; });
}

void DigestTable::end_change(const Range& range, const std::function<const BlockDigest*(uint64_t)>& digest_of) {
  const uint64_t first = first_touched(range);
  for_each_page(first, end_touched(range) - first, [&](uint64_t page, uint64_t from, uint64_t end) {
    Entry& at = entry(page);
    at.dirty = true;  // it may have been written since the change began
    for (uint64_t block = from; block < end; ++block) {
      const uint64_t i = place_in_digest_page(block);
      CHECK(at.busy[i] > 0);
      if (--at.busy[i] > 0) continue;
      const bool mixed = at.mixed.test(i);
      at.mixed.reset(i);
      const bool whole = block >= first_whole(range) && block < end_whole(range);
      const BlockDigest* digest = whole && !mixed ? digest_of(block) : nullptr;
      if (digest != nullptr) at.digests[i] = *digest;
    }
    if (--at.changes == 0 && !at.in_next_write.empty()) write(page, at);
  });
  make_room();
}

// --- reads ------------------------------------------------------------------------------------------------------------------

DigestTable::ReadId DigestTable::read_begins(const Range& range) {
  CHECK(range.offset % kBlockBytes == 0 && range.length % kBlockBytes == 0);
  const ReadId id{++last_read_};
  Reading& reading = reads_[id.value];
  reading.first = range.offset / kBlockBytes;
  reading.count = range.length / kBlockBytes;
  reading.unjudged.resize(reading.count);
  for_each_page(reading.first, reading.count, [&](uint64_t page, uint64_t from, uint64_t end) {
    Entry& at = entry(page);
    at.readers.push_back(id.value);
    for (uint64_t block = from; block < end; ++block)
      reading.unjudged[block - reading.first] = at.busy[place_in_digest_page(block)] > 0;
    if (at.loaded) return;
    ++reading.pages_missing;
    load(page, at);
  });
  return id;
}

void DigestTable::read_ends(ReadId id, std::vector<BlockDigest> digests, BlockMask learn,
                            std::function<void(const Verdict&)> done) {
  Reading& reading = reads_.at(id.value);
  CHECK(digests.size() == reading.count);
  reading.digests = std::move(digests);
  reading.learn = learn;
  reading.done = std::move(done);
  if (reading.pages_missing == 0) end_read(reads_.find(id.value));
}

void DigestTable::read_failed(ReadId id) {
  const auto at = reads_.find(id.value);
  CHECK(at != reads_.end());
  const Reading reading = std::move(at->second);
  reads_.erase(at);
  release(id.value, reading);
}

void DigestTable::end_read(std::map<uint64_t, Reading>::iterator at) {
  const uint64_t id = at->first;
  const Reading reading = std::move(at->second);
  reads_.erase(at);
  const Verdict verdict = judge(reading);
  release(id, reading);
  reading.done(verdict);
}

// A verdict may end other reads, or begin some.
void DigestTable::page_came(const std::vector<uint64_t>& readers) {
  for (uint64_t id : readers) {
    const auto at = reads_.find(id);
    if (at == reads_.end()) continue;
    if (--at->second.pages_missing == 0 && at->second.done) end_read(at);
  }
}

DigestTable::Verdict DigestTable::judge(const Reading& reading) {
  Verdict verdict;
  for (uint64_t i = 0; i < reading.count; ++i) {
    if (reading.unjudged[i]) continue;
    const uint64_t block = reading.first + i;
    const BlockDigest& known = entries_.at(digest_page_of(block)).digests[place_in_digest_page(block)];
    if (known == kNoDigest) {
      if (i < kLookBlocks && ((reading.learn >> i) & 1) != 0) learn(block, reading.digests[i]);
    } else if (known != reading.digests[i] && verdict.wrong++ == 0) {
      verdict.first = block;
    }
  }
  wrong_ += verdict.wrong;
  return verdict;
}

// The page need not be durable for this: what it says is true whatever becomes of the extent's bit.
void DigestTable::learn(uint64_t block, const BlockDigest& digest) {
  if (failed_ != 0) return;
  const uint64_t page = digest_page_of(block);
  Entry& at = entries_.at(page);
  const uint64_t i = place_in_digest_page(block);
  at.digests[i] = digest;
  at.fresh.set(i);
  at.dirty = true;
  if (std::find(learned_.begin(), learned_.end(), page) != learned_.end()) return;
  learned_.push_back(page);
  if (learned_.size() > kLearnedAtOnce) write_oldest_learned();
}

void DigestTable::write_oldest_learned() {
  const auto oldest = entries_.find(learned_.front());
  learned_.pop_front();
  if (oldest != entries_.end() && oldest->second.dirty) write(oldest->first, oldest->second);
}

void DigestTable::write_learned() {
  while (!learned_.empty()) write_oldest_learned();
}

void DigestTable::release(uint64_t id, const Reading& reading) {
  for_each_page(reading.first, reading.count, [this, id](uint64_t page, uint64_t, uint64_t) {
    auto& readers = entries_.at(page).readers;
    readers.erase(std::find(readers.begin(), readers.end(), id));
  });
  make_room();
}

// --- pages ------------------------------------------------------------------------------------------------------------------

void DigestTable::load(uint64_t page, Entry& at) {
  if (at.loaded || at.loading) return;
  at.loading = true;
  pages_.read(page, [gone = std::weak_ptr<DigestTable*>(self_), page](const DigestPage* found) {
    if (const auto self = gone.lock()) (*self)->loaded(page, found);
  });
}

void DigestTable::loaded(uint64_t page, const DigestPage* found) {
  Entry& at = entries_.at(page);
  at.loading = false;
  at.loaded = true;
  for (size_t i = 0; found != nullptr && i < kDigestsPerPage; ++i) {
    if (!at.fresh.test(i)) at.digests[i] = (*found)[i];
  }
  const std::vector<uint64_t> waiting = at.readers;  // all of them: whoever comes from here on finds it
  if (std::exchange(at.write_wanted, false)) write(page, at);
  page_came(waiting);
  make_room();
}

// What was asked for before it is in it. For a seal, once nothing changes the page any more: what is changed under a bit that goes would leave
// a digest of something that is not flushed.
void DigestTable::write(uint64_t page, Entry& at) {
  if (at.writing || at.write_wanted) return;  // another one follows, if it has to
  if (at.changes > 0 && !at.in_next_write.empty()) return;
  if (at.loaded) return begin_write(page, at);
  at.write_wanted = true;
  load(page, at);
}

void DigestTable::begin_write(uint64_t page, Entry& at) {
  at.writing = true;
  at.dirty = false;
  at.in_this_write.swap(at.in_next_write);
  const DigestPage content = at.digests;  // the answer may come at once
  pages_.write(page, content, [gone = std::weak_ptr<DigestTable*>(self_), page](int error) {
    if (const auto self = gone.lock()) (*self)->written(page, error);
  });
}

void DigestTable::written(uint64_t page, int error) {
  Entry& at = entries_.at(page);
  at.writing = false;
  if (error == 0) in_doubt_.clear(page);
  if (error != 0) at.dirty = true;  // what is on disk now is anything: this page stays
  if (error != 0 && failed_ == 0) failed_ = error;
  std::vector<std::shared_ptr<Seal>> sealed;
  sealed.swap(at.in_this_write);
  if (!at.in_next_write.empty()) write(page, at);
  for (const auto& seal : sealed) one_page_done(seal, error);
  make_room();
}

void DigestTable::seal(uint64_t extent, std::function<void(int error)> done) {
  const auto seal = std::make_shared<Seal>(Seal{1, failed_, std::move(done)});
  const uint64_t first = extent * kDigestPagesPerExtent;
  for (uint64_t page = first; page < first + kDigestPagesPerExtent && failed_ == 0; ++page) {
    const auto known = entries_.find(page);
    const bool doubtful = in_doubt_.test(page);
    if (!doubtful && (known == entries_.end() || (!known->second.dirty && !known->second.writing))) continue;
    Entry& at = entry(page);
    ++seal->pages_left;
    if (at.writing && !at.dirty) {
      at.in_this_write.push_back(seal);
    } else {
      at.in_next_write.push_back(seal);
      write(page, at);
    }
  }
  one_page_done(seal, 0);
}

void DigestTable::one_page_done(const std::shared_ptr<Seal>& seal, int error) {
  if (seal->error == 0) seal->error = error;
  if (--seal->pages_left == 0) seal->done(seal->error);
}

void DigestTable::when_roomy(std::function<void()> then) {
  if (entries_.size() <= 2 * most_pages_ || failed_ != 0) return then();
  crowded_out_.push_back(std::move(then));
  make_room();
}

// The least recently used go. One that says more than the disk is written first, and goes the next time: its end makes room. True if one is
// being written for that.
bool DigestTable::drop_oldest() {
  size_t looks = 0;
  for (auto at = ages_.end(); entries_.size() > most_pages_ && looks < kLooksForRoom && at != ages_.begin(); ++looks) {
    --at;
    const auto oldest = entries_.find(*at);
    if (!oldest->second.idle() || (oldest->second.dirty && failed_ != 0)) continue;
    if (oldest->second.dirty) {
      write(oldest->first, oldest->second);  // iterators may be gone
      return true;
    }
    learned_.remove(*at);
    at = ages_.erase(at);
    entries_.erase(oldest);
  }
  return false;
}

void DigestTable::make_room() {
  while (drop_oldest() && !crowded_out_.empty()) {
  }
  while (!crowded_out_.empty() && (entries_.size() <= 2 * most_pages_ || failed_ != 0)) {
    const std::function<void()> next = std::move(crowded_out_.front());
    crowded_out_.pop_front();
    next();
  }
}

}  // namespace lockstep
