#include "base/buffer.h"

#include <bit>
#include <cstdlib>

#include "base/check.h"
#include "base/poison.h"
#include "base/slab.h"

namespace lockstep {

namespace {
constexpr size_t kKeptPerClass = 64;
constexpr size_t kSmallestCut = size_t{1} << 16;
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
    for (Buffer* buffer : list) destroy(buffer);
  }
}

size_t BufferPool::slab_bytes() const { return slabs_.size() * Slab::kBytes; }

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
  if (!list.empty() || cut_slab(size_class)) {
    buffer = list.back();
    list.pop_back();
    unpoison(buffer->data_, capacity);
  } else {
    buffer = fresh(capacity);
    if (buffer == nullptr) return {};
  }
  if (buffer->slab_ != nullptr) ++buffer->slab_->out;
  buffer->size_ = bytes;
  bytes_out_ += capacity;
  return BufferRef(buffer);
}

bool BufferPool::cut_slab(size_t size_class) {
  const size_t capacity = kAlignment << size_class;
  if (capacity < kSmallestCut || capacity > kLargestKept || (slabs_.size() + 1) * Slab::kBytes > limit_bytes_) return false;
  std::unique_ptr<Slab> slab = Slab::create(capacity);
  if (!slab) return false;
  for (size_t i = slab->pieces(); i > 0; --i) {  // the first one is handed out first
    auto* buffer = new Buffer;
    buffer->pool_ = this;
    buffer->slab_ = slab.get();
    buffer->data_ = slab->piece(i - 1);
    buffer->capacity_ = capacity;
    poison(buffer->data_, capacity);
    free_[size_class].push_back(buffer);
  }
  slabs_.push_back(std::move(slab));
  return true;
}

Buffer* BufferPool::fresh(size_t capacity) {
  void* memory = std::aligned_alloc(kAlignment, capacity);
  if (memory == nullptr) return nullptr;
  auto* buffer = new Buffer;
  buffer->pool_ = this;
  buffer->data_ = static_cast<std::byte*>(memory);
  buffer->capacity_ = capacity;
  return buffer;
}

void BufferPool::destroy(Buffer* buffer) {
  unpoison(buffer->data_, buffer->capacity_);
  if (buffer->slab_ == nullptr) std::free(buffer->data_);
  delete buffer;
}

void BufferPool::give_back(Buffer* buffer) {
  CHECK(bytes_out_ >= buffer->capacity_);
  bytes_out_ -= buffer->capacity_;
  const size_t size_class = class_of(buffer->capacity_);
  auto& list = free_[size_class];
  Slab* const slab = buffer->slab_;
  const bool keep = buffer->capacity_ <= kLargestKept && list.size() < kKeptPerClass;
  if (slab == nullptr && !keep) return destroy(buffer);
  list.push_back(buffer);
  poison(buffer->data_, buffer->capacity_);
  if (slab == nullptr) return;
  --slab->out;
  if (slab->out == 0 && list.size() >= kKeptPerClass + slab->pieces()) forget(*slab, size_class);
}

// With its buffers, all of which are free.
void BufferPool::forget(const Slab& slab, size_t size_class) {
  std::erase_if(free_[size_class], [&slab](Buffer* buffer) {
    if (buffer->slab_ != &slab) return false;
    destroy(buffer);
    return true;
  });
  std::erase_if(slabs_, [&slab](const std::unique_ptr<Slab>& held) { return held.get() == &slab; });
}

}  // namespace lockstep
