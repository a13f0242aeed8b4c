#include "base/buffer.h"

#include <bit>
#include <cstdlib>

#include "base/check.h"

namespace lockstep {

namespace {
constexpr size_t kKeptPerClass = 64;
constexpr size_t kLargestKept = size_t{1} << 20;  // larger ones go back to the system at once
}  // namespace

void BufferRef::release() {
  if (buffer_ == nullptr) return;
  CHECK(buffer_->references_ > 0);
  if (--buffer_->references_ == 0) buffer_->pool_->give_back(buffer_);
  buffer_ = nullptr;
}

BufferPool::BufferPool(size_t limit_bytes) : limit_bytes_(limit_bytes) {}

BufferPool::~BufferPool() {
  CHECK(bytes_out_ == 0);
  for (auto& list : free_) {
    for (Buffer* buffer : list) {
      std::free(buffer->data_);
      delete buffer;
    }
  }
}

size_t BufferPool::class_of(size_t bytes) {
  const size_t pages = (bytes + kAlignment - 1) / kAlignment;
  return static_cast<size_t>(std::bit_width(pages == 0 ? size_t{0} : pages - 1));
}

BufferRef BufferPool::allocate(size_t bytes) {
  const size_t size_class = class_of(bytes);
  const size_t capacity = kAlignment << size_class;
  if (bytes_out_ + capacity > limit_bytes_) return {};
  if (free_.size() <= size_class) free_.resize(size_class + 1);
  auto& list = free_[size_class];
  Buffer* buffer = nullptr;
  if (!list.empty()) {
    buffer = list.back();
    list.pop_back();
  } else {
    void* memory = std::aligned_alloc(kAlignment, capacity);
    if (memory == nullptr) return {};
    buffer = new Buffer;
    buffer->pool_ = this;
    buffer->data_ = static_cast<std::byte*>(memory);
    buffer->capacity_ = capacity;
  }
  buffer->size_ = bytes;
  bytes_out_ += capacity;
  return BufferRef(buffer);
}

void BufferPool::give_back(Buffer* buffer) {
  CHECK(bytes_out_ >= buffer->capacity_);
  bytes_out_ -= buffer->capacity_;
  auto& list = free_[class_of(buffer->capacity_)];
  if (buffer->capacity_ <= kLargestKept && list.size() < kKeptPerClass) {
    list.push_back(buffer);
    return;
  }
  std::free(buffer->data_);
  delete buffer;
}

}  // namespace lockstep
