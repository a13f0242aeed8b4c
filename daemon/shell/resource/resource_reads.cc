// Reads of the local disk: into memory that may have to be waited for, with what is to be found out about the blocks, and checked against
// their digests where those are kept.
#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "shell/loop/log.h"
#include "shell/resource/block_look.h"
#include "shell/resource/notices.h"
#include "shell/resource/resource.h"

namespace lockstep {

// A block is judged as a whole: what is asked for in part is read with the rest of it, and copied out.
void Resource::start_read(Read read) {
  const DiskIo& effect = read.io;
  const Range blocks = checked_ ? CheckedDisk::whole_blocks(effect.range) : effect.range;
  read.wanted = read_pool_.allocate(effect.range.length);
  BufferRef whole = blocks == effect.range ? read.wanted : read_pool_.allocate(blocks.length);
  if (!read.wanted || !whole) {
    read.wanted = {};
    reads_waiting_.push_back(read);
    return retry_reads_soon();
  }
  if (effect.look != Look::compare) payloads_.put(effect.payload, read.wanted);
  checked_ ? read_checked(read, std::move(whole), blocks) : read_plainly(read);
}

void Resource::read_plainly(const Read& read) {
  const Range& range = read.io.range;
  disk_->submit(BlockOp::read, range.offset, range.length, read.wanted->data(), false, [this, read](int error) {
    const BlockMask found = error == 0 ? look_at(read, *read.wanted) : 0;
    disk_done(read.io.io, error, OpKind::read, found);
  });
}

void Resource::read_checked(const Read& read, BufferRef whole, const Range& blocks) {
  const auto id = checked_->read_begins(blocks);
  std::byte* data = whole->data();
  disk_->submit(BlockOp::read, blocks.offset, blocks.length, data, false, [this, read, id, blocks, whole](int error) {
    if (error != 0) {
      checked_->read_failed(id);
      return disk_done(read.io.io, error, OpKind::read);
    }
    if (whole->data() != read.wanted->data())
      std::memcpy(read.wanted->data(), whole->data() + (read.io.range.offset - blocks.offset), read.wanted->size());
    std::optional<BlockMask> found;  // before anything is put in the place of the bytes
    if (read.io.look == Look::compare) found = look_at(read, *read.wanted);
    const BlockMask learn = read.io.look == Look::digests ? ~BlockMask{0} : found ? ~*found : 0;
    checked_->read_ends(id, whole->bytes(), learn, [this, read, whole, found](const DigestTable::Verdict& verdict) {
      read_judged(read, whole, found, verdict);
    });
  });
}

void Resource::read_judged(const Read& read, const BufferRef& whole, std::optional<BlockMask> found,
                           const DigestTable::Verdict& verdict) {
  if (verdict.wrong == 0) return disk_done(read.io.io, 0, OpKind::read, found ? *found : look_at(read, *read.wanted));
  rot_.line(LogLevel::error,
            fmt::format("{}: {} of {} blocks read do not hold what was written, the first at {}",
                        disk_at(verdict.first * kBlockBytes), verdict.wrong, whole->size() / kBlockBytes,
                        place_text(settings_, replica_->record().adopted->volumes, verdict.first * kBlockBytes)),
            "rot-found");
  happen(DiskDone{read.io.io, IoStatus::corrupt, 0});
}

// What the core wants to know of the blocks that were read for it.
BlockMask Resource::look_at(const Read& wanted, Buffer& read) {
  switch (wanted.io.look) {
    case Look::nothing:
      return 0;
    case Look::zeroes:
      return leave_out_zeroes(read.bytes());
    case Look::digests:  // in place: the one of a block is never written over a block that is still to be read
      digests_.write(read.bytes(), read.bytes().first(BlockDigests::bytes_for(read.size())));
      return 0;
    case Look::compare:
      return digests_.differing(read.bytes(), wanted.digests->bytes());
  }
  UNREACHABLE("a look");
}

// A read that still waits for memory and was given up is not begun any more.
void Resource::run(const Release& effect) {
  payloads_.release(effect.payload);
  const auto given_up = [&effect](const Read& read) { return read.io.payload == effect.payload; };
  const auto at = std::find_if(reads_waiting_.begin(), reads_waiting_.end(), given_up);
  if (at == reads_waiting_.end()) return;
  const DiskIoId io = at->io.io;
  reads_waiting_.erase(at);
  happen(DiskDone{io, IoStatus::io_error, 0});
}

// Memory comes back when a peer or a client has taken its bytes, or is gone: nobody announces that, so it is asked for.
void Resource::retry_reads_soon() {
  if (retry_queued_) return;
  retry_queued_ = true;
  loop_->call_at(loop_->now() + milliseconds(2), [this] {
    retry_queued_ = false;
    std::deque<Read> waiting;
    waiting.swap(reads_waiting_);
    for (const Read& read : waiting) start_read(read);
  });
}

}  // namespace lockstep
