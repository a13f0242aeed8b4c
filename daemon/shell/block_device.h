// A file or block device, opened for us alone, with asynchronous I/O on an EventLoop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"

namespace lockstep {

// An open descriptor and what is known of it. Made by open_device() in shell/device_open.h.
struct OpenedDevice {
  int fd = -1;
  std::string path;
  bool is_block_device = false;
  bool direct = false;         // O_DIRECT is in force
  uint32_t block_bytes = 512;  // alignment of offset, length and memory for direct I/O
  uint64_t size_bytes = 0;
};

enum class BlockOp : uint8_t { read, write, write_zeroes, trim, flush };

// What a request came to: 0, or an errno.
using BlockDone = std::function<void(int error)>;

class BlockDevice {
 public:
  virtual ~BlockDevice() = default;  // no request may be outstanding
  virtual const OpenedDevice& info() const = 0;

  // offset, length and `data` are aligned to info().block_bytes; `data` stays valid until `done` runs. Short transfers are
  // continued inside. fua: on stable storage before `done` (RWF_DSYNC). write_zeroes and trim leave bytes that read as zero
  // (fallocate where the device promises that, written zeroes otherwise). flush covers what was done before it was submitted.
  virtual void submit(BlockOp op, uint64_t offset, uint64_t length, std::byte* data, bool fua, BlockDone done) = 0;
  virtual size_t outstanding() const = 0;

  // Where the byte at `offset` lies in a file, and how many of those behind it lie there too. A device, or what is in no file: nothing.
  struct InFile {
    int fd = -1;  // the device's own
    uint64_t offset = 0;
    uint64_t length = 0;
  };
  virtual std::optional<InFile> in_file(uint64_t) const { return std::nullopt; }
};

}  // namespace lockstep
