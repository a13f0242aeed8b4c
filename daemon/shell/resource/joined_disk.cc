#include "shell/resource/joined_disk.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "core/volumes.h"

namespace lockstep {

struct JoinedDisk::Whole {
  Whole(JoinedDisk& of, BlockDone then) : disk(of), done(std::move(then)) {}
  JoinedDisk& disk;
  BlockDone done;
  size_t pieces = 0;
  int error = 0;       // the first,
  size_t culprit = 0;  // and whose
};

JoinedDisk::JoinedDisk(EventLoop& loop, std::vector<std::unique_ptr<BlockDevice>> disks, const VolumeShapes& room)
    : loop_(loop), disks_(std::move(disks)), room_(room) {
  CHECK(!disks_.empty() && disks_.size() == room_.size());
  info_ = disks_[0]->info();
  info_.fd = -1;  // the disks have theirs
  for (const auto& disk : disks_) {
    info_.block_bytes = std::max(info_.block_bytes, disk->info().block_bytes);
    info_.direct = info_.direct && disk->info().direct;
  }
}

void JoinedDisk::lay_out(const VolumeShapes& volumes) {
  volumes_ = room_for(volumes, room_) ? volumes : VolumeShapes{};
  info_.size_bytes = span_of(volumes_);
}

size_t JoinedDisk::outstanding() const { return unfinished_; }

JoinedDisk::Stretch JoinedDisk::stretch_at(uint64_t address) const {
  for (size_t i = 0; i < volumes_.size(); ++i) {
    const uint64_t base = volume_base(volumes_, i);
    if (address < base) return {true, 0, 0, base - address};
    const uint64_t within = address - base;
    if (within < volumes_[i].size_bytes) return {false, i, within, volumes_[i].size_bytes - within};
  }
  return {true, 0, 0, UINT64_MAX};
}

void JoinedDisk::ended(const std::shared_ptr<Whole>& whole, int error) {
  if (whole->error == 0) whole->error = error;
  if (--whole->pieces > 0) return;
  --whole->disk.unfinished_;
  if (whole->error != 0) whole->disk.culprit_ = whole->culprit;
  const BlockDone done = std::move(whole->done);
  done(whole->error);
}

void JoinedDisk::submit_piece(const std::shared_ptr<Whole>& whole, size_t disk, BlockOp op, uint64_t offset, uint64_t length,
                              std::byte* data, bool fua) {
  ++whole->pieces;
  disks_[disk]->submit(op, offset, length, data, fua, [whole, disk](int error) {
    if (error != 0 && whole->error == 0) whole->culprit = disk;
    ended(whole, error);
  });
}

// A device never answers from inside submit(), so that no request ends before all its pieces are under way.
void JoinedDisk::submit(BlockOp op, uint64_t offset, uint64_t length, std::byte* data, bool fua, BlockDone done) {
  ++unfinished_;
  const auto whole = std::make_shared<Whole>(*this, std::move(done));
  if (op == BlockOp::flush) {
    for (size_t i = 0; i < disks_.size(); ++i) submit_piece(whole, i, op, 0, 0, nullptr, fua);
    return;
  }
  const bool beyond = volumes_.empty() || offset > info_.size_bytes || length > info_.size_bytes - offset;
  while (!beyond && length > 0) {
    const Stretch stretch = stretch_at(offset);
    const uint64_t here = std::min(length, stretch.length);
    if (!stretch.gap) {
      submit_piece(whole, stretch.disk, op, stretch.offset, here, data, fua);
    } else if (op == BlockOp::read) {
      std::memset(data, 0, here);
    }
    offset += here;
    length -= here;
    if (data != nullptr) data += here;
  }
  if (whole->pieces > 0) return;
  whole->pieces = 1;
  loop_.defer([whole, beyond] { ended(whole, beyond ? EIO : 0); });
}

std::optional<BlockDevice::InFile> JoinedDisk::in_file(uint64_t address) const {
  const Stretch stretch = stretch_at(address);
  auto found = stretch.gap ? std::nullopt : disks_[stretch.disk]->in_file(stretch.offset);
  if (found) found->length = std::min(found->length, stretch.length);
  return found;
}

}  // namespace lockstep
