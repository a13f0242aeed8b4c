// One request to a disk, as the engines see it, and the slab it lives in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "shell/block_device.h"

namespace lockstep {

class FileDevice;

// What an engine must be able to do. A request of a user is one or several of these, one after another.
enum class DiskCall : uint8_t { read, write, punch_hole, zero_range, data_sync };

struct BlockIo {
  // The call under way: all that an engine looks at.
  DiskCall call = DiskCall::read;
  bool durable = false;  // a write with RWF_DSYNC
  int fd = -1;
  uint64_t offset = 0;
  uint64_t length = 0;  // at most BlockIo::kLongestTransfer for read and write
  std::byte* data = nullptr;
  BlockIo* next = nullptr;  // in an engine's queue, or in the slab's free list

  // The request: FileDevice's business.
  BlockOp op = BlockOp::read;
  bool fua = false;
  uint64_t left = 0;            // bytes of it that are not done, from `offset` on
  std::byte* memory = nullptr;  // the user's, for the byte at `offset`
  FileDevice* device = nullptr;
  BlockDone done;

  static constexpr uint64_t kLongestTransfer = uint64_t{256} << 20;  // a kernel takes less than 2 GiB at once
};

// Requests are reused, so that a steady load allocates nothing. Addresses are stable.
class DiskIoSlab {
 public:
  BlockIo& take();
  void give_back(BlockIo& io);

 private:
  std::deque<BlockIo> all_;
  BlockIo* free_ = nullptr;
};

// First in, first out; without allocation.
class DiskIoQueue {
 public:
  bool empty() const { return first_ == nullptr; }
  BlockIo& front() { return *first_; }
  void push_back(BlockIo& io);
  void pop_front();

 private:
  BlockIo* first_ = nullptr;
  BlockIo* last_ = nullptr;
};

// The half of an EventLoop that carries out BlockIo.
class DiskEngine {
 public:
  virtual ~DiskEngine() = default;
  virtual DiskIoSlab& slab() = 0;
  // Takes the call in `io` and, in a later step of a turn, hands the outcome to io.device->finished(): never
  // in here. There is no bound: what exceeds the engine's slots waits inside.
  virtual void start(BlockIo& io) = 0;
};

}  // namespace lockstep
