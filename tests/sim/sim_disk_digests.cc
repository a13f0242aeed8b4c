// Digests at rest, and the rot that they are for.
#include <vector>

#include "base/check.h"
#include "sim/sim_digests.h"
#include "sim/sim_disk.h"

namespace lockstep::sim {

void SimDisk::write(const WriteDigestPage& effect, MetaWritten done) { launch({MetaOp{effect, std::move(done)}, false}); }

void SimDisk::read_digest_page(uint64_t page, std::function<void(const DigestPage*)> done) {
  queue_.after(prng_.between(behaviour.fastest, behaviour.slowest), [this, page, life = life_, done = std::move(done)] {
    if (life != life_) return;
    const auto found = digest_page(page);
    done(found ? &*found : nullptr);
  });
}

std::optional<DigestPage> SimDisk::digest_page(uint64_t page) const {
  const auto at = digest_pages_.find(page);
  if (at == digest_pages_.end()) return std::nullopt;
  return decode_digest_page(page, record_.disk, SectorView(at->second));
}

void SimDisk::tear_digest_page(const WriteDigestPage& write) {
  Sector wanted;
  encode_digest_page(write.page, record_.disk, *write.digests, SectorSpan(wanted));
  Sector& there = digest_pages_[write.page];
  there = torn(there, wanted, meta_prng_);
  if (digest_page(write.page)) check_meta("a torn page of digests is taken for a whole one");
}

// What nobody can be blamed for: its digest is on the disk, in an extent that is not being written.
bool SimDisk::would_be_noticed(uint64_t block) const {
  if (durable_intent().test(block / kBlocksPerExtent)) return false;
  const auto page = digest_page(digest_page_of(block));
  return page && (*page)[place_in_digest_page(block)] == digest_of(cached_[block]);
}

bool SimDisk::rot(Prng& prng, const std::function<bool(uint64_t)>& may) {
  if (digest_pages_.empty()) return false;
  auto at = digest_pages_.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(prng.below(digest_pages_.size())));
  const uint64_t first =
      at->first / kDigestPagesPerExtent * kBlocksPerExtent + at->first % kDigestPagesPerExtent * kDigestsPerPage;
  const uint64_t end = std::min(first + kDigestsPerPage, (first / kBlocksPerExtent + 1) * kBlocksPerExtent);
  std::vector<uint64_t> candidates;
  for (uint64_t block = first; block < std::min<uint64_t>(end, cached_.size()); ++block) {
    if (!unflushed_.contains(block) && !rot_.contains(block) && may(block) && would_be_noticed(block))
      candidates.push_back(block);
  }
  if (candidates.empty()) return false;
  rot_.insert(candidates[prng.below(candidates.size())]);
  ++counters.rotten_blocks;
  return true;
}

void SimDisk::excuse_rot() {
  std::erase_if(rot_, [this](uint64_t block) { return !would_be_noticed(block); });
}

bool SimDisk::rotten(const Range& range) const {
  const auto at = rot_.lower_bound(range.offset / kBlockBytes);
  return at != rot_.end() && *at < (range.end() + kBlockBytes - 1) / kBlockBytes;
}

std::optional<uint64_t> SimDisk::wrong_digest() const {
  const BitVector intent = durable_intent();
  for (const auto& [number, sector] : digest_pages_) {
    const uint64_t extent = number / kDigestPagesPerExtent;
    const auto page = digest_page(number);
    if (!page || intent.test(extent)) continue;
    const uint64_t first = extent * kBlocksPerExtent + number % kDigestPagesPerExtent * kDigestsPerPage;
    for (uint64_t i = 0; i < kDigestsPerPage && first + i < cached_.size(); ++i) {
      if ((*page)[i] != kNoDigest && (*page)[i] != digest_of(cached_[first + i])) return first + i;
    }
  }
  return std::nullopt;
}

}  // namespace lockstep::sim
