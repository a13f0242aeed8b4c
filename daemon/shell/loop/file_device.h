// BlockDevice over an open file or block device: splits a request into calls that an engine carries out,
// continues short transfers, repeats interrupted ones, and finds another way to make zeroes where the device
// lacks the first.
//
// Misuse and operating errors both come through `done`, on the loop's thread, never from inside submit():
//   EINVAL  not aligned to info().block_bytes, or (direct I/O) memory that is not; or beyond the end of the
//   device EIO     the device gave fewer bytes than it has others  as the kernel said, for example ENOSPC
// A device that has grown is noticed when a request first goes beyond the size known so far.
#pragma once

#include "shell/block_device.h"
#include "shell/event_loop.h"
#include "shell/loop/disk_io.h"

namespace lockstep {

class FileDevice : public BlockDevice {
 public:
  // Owns device.fd. The loop and its engine outlive the device.
  FileDevice(OpenedDevice device, EventLoop& loop, DiskEngine& engine);
  ~FileDevice() override;
  FileDevice(const FileDevice&) = delete;
  FileDevice& operator=(const FileDevice&) = delete;

  const OpenedDevice& info() const override { return device_; }
  void submit(BlockOp op, uint64_t offset, uint64_t length, std::byte* data, bool fua, BlockDone done) override;
  size_t outstanding() const override { return outstanding_; }
  std::optional<InFile> in_file(uint64_t offset) const override;

  // From the engine: what the call came to, as the kernel says it: bytes or zero, or a negative errno.
  void finished(BlockIo& io, int64_t outcome);

 private:
  // Ways to make a range read as zero, best first.
  enum class Zeroing : uint8_t { punch_hole, zero_range, write };

  int validate(BlockOp op, uint64_t offset, uint64_t length, const std::byte* data);
  void start_next_call(BlockIo& io);
  Zeroing zeroing_for(BlockOp op) const;
  bool give_up_on(DiskCall call, int error);
  void transferred(BlockIo& io, uint64_t bytes);
  void complete(BlockIo& io, int error);

  OpenedDevice device_;
  EventLoop& loop_;
  DiskEngine& engine_;
  size_t outstanding_ = 0;
  bool can_punch_ = true;  // until the device has said otherwise
  bool can_zero_ = true;
};

}  // namespace lockstep
