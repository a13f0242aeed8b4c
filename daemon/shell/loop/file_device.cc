#include "shell/loop/file_device.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "shell/loop/device_open.h"

namespace lockstep {
namespace {

constexpr size_t kZeroBytes = size_t{1} << 20;
// Only read. Not const, so that it takes address space (.bss) and no room in the program file.
alignas(4096) std::byte zeroes[kZeroBytes];

bool interrupted(int64_t outcome) { return outcome == -EINTR || outcome == -EAGAIN; }

}  // namespace

FileDevice::FileDevice(OpenedDevice device, EventLoop& loop, DiskEngine& engine)
    : device_(std::move(device)), loop_(loop), engine_(engine) {
  CHECK(device_.fd >= 0);
  CHECK(device_.block_bytes > 0 && kZeroBytes % device_.block_bytes == 0);
}

FileDevice::~FileDevice() {
  CHECK(outstanding_ == 0);
  close_device(device_);
}

void FileDevice::submit(BlockOp op, uint64_t offset, uint64_t length, std::byte* data, bool fua, BlockDone done) {
  ++outstanding_;
  const bool flush = op == BlockOp::flush;
  const int error = flush ? 0 : validate(op, offset, length, data);
  if (error != 0 || (length == 0 && !flush)) {
    loop_.defer([this, error, done = std::move(done)] {
      --outstanding_;
      done(error);
    });
    return;
  }
  BlockIo& io = engine_.slab().take();
  io.op = op;
  io.fua = fua;
  io.fd = device_.fd;
  io.offset = flush ? 0 : offset;
  io.left = flush ? 0 : length;
  io.memory = data;
  io.device = this;
  io.done = std::move(done);
  start_next_call(io);
}

std::optional<BlockDevice::InFile> FileDevice::in_file(uint64_t offset) const {
  if (device_.is_block_device || offset >= device_.size_bytes) return std::nullopt;
  return InFile{device_.fd, offset, device_.size_bytes - offset};
}

int FileDevice::validate(BlockOp op, uint64_t offset, uint64_t length, const std::byte* data) {
  if (offset % device_.block_bytes != 0 || length % device_.block_bytes != 0) return EINVAL;
  const bool has_data = op == BlockOp::read || op == BlockOp::write;
  if (has_data && length > 0) {
    if (data == nullptr) return EINVAL;
    if (device_.direct && reinterpret_cast<uintptr_t>(data) % device_.block_bytes != 0) return EINVAL;
  }
  const auto inside = [&] { return offset <= device_.size_bytes && length <= device_.size_bytes - offset; };
  if (inside()) return 0;
  const Result<uint64_t> size = device_size(device_.fd, device_.is_block_device);
  if (!size.ok()) return size.error().os;
  device_.size_bytes = size.value();
  return inside() ? 0 : EINVAL;
}

FileDevice::Zeroing FileDevice::zeroing_for(BlockOp op) const {
  // A trim gives room back; write_zeroes keeps it, so that a later write there does not meet a full disk.
  if (op == BlockOp::trim && can_punch_) return Zeroing::punch_hole;
  return can_zero_ ? Zeroing::zero_range : Zeroing::write;
}

void FileDevice::start_next_call(BlockIo& io) {
  const uint64_t piece = std::min(io.left, BlockIo::kLongestTransfer);
  io.durable = false;
  switch (io.op) {
    case BlockOp::read:
    case BlockOp::write:
      io.call = io.op == BlockOp::read ? DiskCall::read : DiskCall::write;
      io.durable = io.op == BlockOp::write && io.fua;
      io.data = io.memory;
      io.length = piece;
      break;
    case BlockOp::write_zeroes:
    case BlockOp::trim:
      switch (zeroing_for(io.op)) {
        case Zeroing::punch_hole:
        case Zeroing::zero_range:
          io.call = zeroing_for(io.op) == Zeroing::punch_hole ? DiskCall::punch_hole : DiskCall::zero_range;
          io.length = io.left;
          break;
        case Zeroing::write:
          io.call = DiskCall::write;
          io.durable = io.fua;
          io.data = zeroes;
          io.length = std::min(piece, uint64_t{kZeroBytes});
          break;
      }
      break;
    case BlockOp::flush:
      io.call = DiskCall::data_sync;
      break;
  }
  engine_.start(io);
}

void FileDevice::finished(BlockIo& io, int64_t outcome) {
  if (interrupted(outcome)) return engine_.start(io);
  if (outcome < 0) {
    const int error = static_cast<int>(-outcome);
    return give_up_on(io.call, error) ? start_next_call(io) : complete(io, error);
  }
  switch (io.call) {
    case DiskCall::read:
    case DiskCall::write:
      return transferred(io, static_cast<uint64_t>(outcome));
    case DiskCall::punch_hole:
    case DiskCall::zero_range:
      if (!io.fua) return complete(io, 0);
      io.call = DiskCall::data_sync;
      return engine_.start(io);
    case DiskCall::data_sync:
      return complete(io, 0);
  }
}

// True when `error` means that this device has no such call and there is another way.
bool FileDevice::give_up_on(DiskCall call, int error) {
  const bool unsupported = error == EOPNOTSUPP || error == ENOSYS;
  if (!unsupported) return false;
  if (call == DiskCall::punch_hole) can_punch_ = false;
  if (call == DiskCall::zero_range) can_zero_ = false;
  return call == DiskCall::punch_hole || call == DiskCall::zero_range;
}

void FileDevice::transferred(BlockIo& io, uint64_t bytes) {
  CHECK(bytes <= io.length);
  if (bytes == 0) return complete(io, EIO);  // the end of a file that shrank behind our back
  io.offset += bytes;
  io.left -= bytes;
  if (io.memory != nullptr) io.memory += bytes;
  if (io.left == 0) return complete(io, 0);
  start_next_call(io);
}

void FileDevice::complete(BlockIo& io, int error) {
  const BlockDone done = std::move(io.done);
  engine_.slab().give_back(io);
  --outstanding_;
  done(error);  // may destroy this device
}

}  // namespace lockstep
