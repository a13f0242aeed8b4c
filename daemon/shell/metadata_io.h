// Synchronous reads and durable writes on a metadata device: at attach before the event loop has it, and by
// the tools. Tests put a device in its place that tears, fails and forgets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>

#include "shell/block_device.h"

namespace lockstep {

// Heap memory aligned for direct I/O; zeroed. Size in bytes.
class AlignedBytes {
 public:
  explicit AlignedBytes(size_t bytes);
  std::byte* data() { return data_.get(); }
  size_t size() const { return size_; }
  std::span<std::byte> bytes() { return {data_.get(), size_}; }

 private:
  static constexpr std::align_val_t kAlignment{4096};
  struct Free {
    void operator()(std::byte* bytes) const { ::operator delete[](bytes, kAlignment); }
  };
  std::unique_ptr<std::byte[], Free> data_;
  size_t size_;
};

class MetadataIo {
 public:
  virtual ~MetadataIo() = default;
  virtual uint64_t size_bytes() const = 0;
  // Both give 0 or an errno, and move everything or fail. Offset, length and memory are aligned to 4096.
  virtual int read(uint64_t offset, std::span<std::byte> to) = 0;
  // On stable storage when it returns 0.
  virtual int write_durable(uint64_t offset, std::span<const std::byte> from) = 0;
};

// On an open descriptor, which stays the caller's.
class FdMetadataIo : public MetadataIo {
 public:
  explicit FdMetadataIo(const OpenedDevice& device) : fd_(device.fd), size_bytes_(device.size_bytes) {}
  uint64_t size_bytes() const override { return size_bytes_; }
  int read(uint64_t offset, std::span<std::byte> to) override;
  int write_durable(uint64_t offset, std::span<const std::byte> from) override;

 private:
  int fd_;
  uint64_t size_bytes_;
};

}  // namespace lockstep
