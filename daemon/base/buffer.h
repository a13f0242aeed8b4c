// Aligned, reference-counted memory for payloads: received into once, written to disk with O_DIRECT and sent to peers from the
// same place. A pool and its buffers belong to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace lockstep {

class BufferPool;
class Slab;

class Buffer {
 public:
  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }          // as asked for
  size_t capacity() const { return capacity_; }  // a multiple of BufferPool::kAlignment
  std::span<std::byte> bytes() { return {data_, size_}; }

 private:
  friend class BufferPool;
  friend class BufferRef;
  BufferPool* pool_ = nullptr;
  Slab* slab_ = nullptr;  // that it is a piece of; none: memory of its own
  std::byte* data_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
  uint32_t references_ = 0;
};

// Shares ownership of a buffer. Empty by default.
class BufferRef {
 public:
  BufferRef() = default;
  BufferRef(const BufferRef& other) : buffer_(other.buffer_) { acquire(); }
  BufferRef(BufferRef&& other) noexcept : buffer_(std::exchange(other.buffer_, nullptr)) {}
  BufferRef& operator=(BufferRef other) noexcept {
    std::swap(buffer_, other.buffer_);
    return *this;
  }
  ~BufferRef() { release(); }
  explicit operator bool() const { return buffer_ != nullptr; }
  Buffer* operator->() const { return buffer_; }
  Buffer& operator*() const { return *buffer_; }

 private:
  friend class BufferPool;
  explicit BufferRef(Buffer* buffer) : buffer_(buffer) { acquire(); }
  void acquire() {
    if (buffer_ != nullptr) ++buffer_->references_;
  }
  void release();
  Buffer* buffer_ = nullptr;
};

// Hands out buffers and takes them back. `limit_bytes` bounds what is out at once: allocate() gives an empty reference when
// it would be exceeded, and the caller stops reading from its client or peer until wait-for-space is over (P10). Buffers of 64 KiB to 1 MiB
// are cut from slabs, which together are not larger than the limit either.
class BufferPool {
 public:
  static constexpr size_t kAlignment = 4096;

  explicit BufferPool(size_t limit_bytes);
  ~BufferPool();  // every buffer must be back
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  BufferRef allocate(size_t bytes);
  size_t bytes_out() const { return bytes_out_; }
  size_t limit_bytes() const { return limit_bytes_; }
  size_t slab_bytes() const;  // what is held for large buffers, out or not

 private:
  friend class BufferRef;
  void give_back(Buffer* buffer);
  static size_t class_of(size_t bytes);
  bool cut_slab(size_t size_class);
  Buffer* fresh(size_t capacity);
  void forget(const Slab& slab, size_t size_class);
  static void destroy(Buffer* buffer);

  size_t limit_bytes_;
  size_t bytes_out_ = 0;
  std::vector<std::vector<Buffer*>> free_;  // by power-of-two size class, kept for reuse
  std::vector<std::unique_ptr<Slab>> slabs_;
};

}  // namespace lockstep
