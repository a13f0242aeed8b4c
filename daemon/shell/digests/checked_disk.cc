#include "shell/digests/checked_disk.h"

#include <utility>

#include "base/check.h"
#include "core/resync/block_runs.h"

namespace lockstep {

namespace {
constexpr size_t kPagesInMemory = 16384;  // 64 MiB, for 13 GiB of data
}

CheckedDisk::CheckedDisk(EventLoop& loop, MetaStore& meta, const Uuid& disk, const BitVector& in_doubt)
    : loop_(loop),
      meta_(meta),
      hash_(std::as_bytes(std::span(disk.bytes))),
      table_(*this, meta.layout().blocks(), in_doubt, kPagesInMemory) {
  const std::vector<std::byte> block(kBlockBytes);
  zeroes_ = digests_of(block).front();
}

CheckedDisk::~CheckedDisk() {
  if (learned_timer_.value != 0) loop_.cancel(learned_timer_);
}

Range CheckedDisk::whole_blocks(const Range& range) {
  const uint64_t begin = range.offset / kBlockBytes * kBlockBytes;
  const uint64_t end = (range.end() + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
  return {begin, end - begin};
}

std::vector<BlockDigest> CheckedDisk::digests_of(std::span<const std::byte> blocks) const {
  std::vector<BlockDigest> digests(BlockDigests::bytes_for(blocks.size()) / kDigestBytes);
  hash_.write(blocks, std::as_writable_bytes(std::span(digests)));
  return digests;
}

// Of the blocks that it wrote as a whole.
std::vector<BlockDigest> CheckedDisk::digests_written(const DiskIo& io, Buffer& payload) const {
  const uint64_t skipped = (kBlockBytes - io.range.offset % kBlockBytes) % kBlockBytes;
  if (skipped >= io.range.length) return {};
  const uint64_t whole = (io.range.length - skipped) / kBlockBytes * kBlockBytes;
  return digests_of(payload.bytes().subspan(skipped, whole));
}

BlockDone CheckedDisk::watch_change(const DiskIo& io, BufferRef payload, BlockDone done) {
  table_.change_begins(io.range);
  return [this, io, payload = std::move(payload), done = std::move(done)](int error) {
    if (error != 0) {
      table_.change_ends(io.range, {});
    } else if (io.kind != OpKind::write || !payload) {
      table_.change_ends_alike(io.range, zeroes_);
    } else if (io.zeroes == 0) {
      table_.change_ends(io.range, digests_written(io, *payload));
    } else {
      std::vector<BlockDigest> digests;
      const std::vector<BlockDigest> others = digests_of(payload->bytes());
      auto next = others.begin();
      for_each_part(io.range, io.zeroes, [&](const Range& part, bool zero) {
        for (uint64_t blocks = (part.length + kBlockBytes - 1) / kBlockBytes; blocks > 0; --blocks)
          digests.push_back(zero ? zeroes_ : *next++);
      });
      table_.change_ends(io.range, digests);
    }
    table_.when_roomy([done, error] { done(error); });
  };
}

void CheckedDisk::read_ends(DigestTable::ReadId id, std::span<const std::byte> bytes, BlockMask learn,
                            std::function<void(const DigestTable::Verdict&)> done) {
  table_.read_ends(id, digests_of(bytes), learn, std::move(done));
  if (learn != 0) write_learned_soon();
}

void CheckedDisk::write_learned_soon() {
  if (learned_timer_.value != 0) return;
  learned_timer_ = loop_.call_at(loop_.now() + seconds(2), [this] {
    learned_timer_ = {};
    table_.write_learned();
  });
}

// A step of the core that asks for many must not be followed by as many others before the loop comes to anything else.
void CheckedDisk::seal(uint64_t extent, std::function<void(int error)> done) {
  table_.seal(extent, [this, done = std::move(done)](int error) { loop_.call_at(loop_.now(), [done, error] { done(error); }); });
}

void CheckedDisk::read(uint64_t page, Read done) { meta_.read_digest_page(page, std::move(done)); }

void CheckedDisk::write(uint64_t page, const DigestPage& digests, Written done) {
  meta_.write_digest_page(page, digests, std::move(done));
}

}  // namespace lockstep
