// The digests at rest of a running volume: hashes what is written and what is read, and holds one against the other (digest_table.h).
//
// For the resource's loop. The disk's I/O stays the caller's: it says what it is about to submit, and what came of it.
#pragma once

#include <functional>
#include <vector>

#include "base/buffer.h"
#include "core/effect.h"
#include "shell/block_device.h"
#include "shell/digests/digest_table.h"
#include "shell/event_loop.h"
#include "shell/meta_store.h"
#include "shell/resource/block_look.h"

namespace lockstep {

class CheckedDisk : private DigestTable::Pages {
 public:
  // `loop` and `meta` outlive it. `in_doubt`: the intent map as it was found at attach.
  CheckedDisk(EventLoop& loop, MetaStore& meta, const Uuid& disk, const BitVector& in_doubt);
  ~CheckedDisk() override;

  // The change `io` is about to be submitted. To be called instead of `done` when it has ended, with the payload kept until then. `done` comes
  // later where digests are written more slowly than data.
  BlockDone watch_change(const DiskIo& io, BufferRef payload, BlockDone done);

  // Around a read of whole blocks (whole_blocks()). done(false): some block does not hold what was written.
  static Range whole_blocks(const Range& range);
  DigestTable::ReadId read_begins(const Range& range) { return table_.read_begins(range); }
  void read_failed(DigestTable::ReadId id) { table_.read_failed(id); }
  void read_ends(DigestTable::ReadId id, std::span<const std::byte> bytes, BlockMask learn,
                 std::function<void(const DigestTable::Verdict&)> done);

  // 0 or an errno; never from inside the call.
  void seal(uint64_t extent, std::function<void(int error)> done);
  uint64_t wrong_blocks() const { return table_.wrong_blocks(); }

 private:
  void read(uint64_t page, Read done) override;
  void write(uint64_t page, const DigestPage& digests, Written done) override;
  std::vector<BlockDigest> digests_of(std::span<const std::byte> blocks) const;
  std::vector<BlockDigest> digests_written(const DiskIo& io, Buffer& payload) const;

  void write_learned_soon();

  EventLoop& loop_;
  MetaStore& meta_;
  BlockDigests hash_;
  BlockDigest zeroes_;  // that of a block of them
  DigestTable table_;
  TimerId learned_timer_;
};

}  // namespace lockstep
