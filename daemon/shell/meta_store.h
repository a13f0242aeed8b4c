// The metadata of one volume on a running node: turns the core's WriteRecord, WriteIntentPage and
// WriteBitmapPage into durable sector writes. Attaching (reading, repairing) is done before, by
// attach_metadata().
//
// Called from the loop's thread. The device is the caller's and outlives the store; with internal metadata it
// is the volume's own. Every write is on stable storage (FUA) when `done(0)` runs; `done` gets an errno
// otherwise and is never called from inside the call that takes it unless the store has failed before. After
// the first failed write the store is failed: every further write is answered EIO without touching the disk,
// because a retry that succeeds would hide that something asked for earlier is missing (P11).
//
// A buffer belongs to its I/O until that is done, so one that hangs keeps its buffer for ever and none is
// reused under it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/durable.h"
#include "meta/digest_page.h"
#include "shell/block_device.h"
#include "shell/metadata_attach.h"

namespace lockstep {

class MetaStore {
 public:
  using Done = std::function<void(int error)>;

  MetaStore(BlockDevice& device, SuperblockChain chain);
  ~MetaStore();  // writes may be outstanding: their `done` then does not run, and their buffers stay until
                 // they end
  MetaStore(const MetaStore&) = delete;
  MetaStore& operator=(const MetaStore&) = delete;

  // At most one at a time. Two halves of two copies: see meta/superblock_quorum.h.
  void write_record(std::shared_ptr<const NodeRecord> record, Done done);
  // At most one at a time for each page.
  void write_intent_page(uint32_t page, uint64_t sequence, std::shared_ptr<const BitPage> bits, Done done);
  // EINVAL for a peer beyond the slots that create-md made.
  void write_bitmap_page(Seat peer, uint32_t page, std::shared_ptr<const BitPage> bits, Done done);

  // Where create-md made room for digests. At most one write at a time for each page.
  void write_digest_page(uint64_t page, const DigestPage& digests, Done done);
  // Null: it cannot be read, or says nothing.
  void read_digest_page(uint64_t page, std::function<void(const DigestPage* page)> done);

  const Layout& layout() const;
  bool failed() const;
  size_t outstanding() const;  // reads and writes of sectors that the device has

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace lockstep
