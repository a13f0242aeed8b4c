#include "nbd/output_queue.h"

#include <algorithm>

#include "base/check.h"

namespace lockstep::nbd {

namespace {
constexpr size_t kSmallestRing = 16;
}

OutputQueue::Item& OutputQueue::push() {
  if (count_ == ring_.size()) {
    std::vector<Item> bigger(std::max(kSmallestRing, ring_.size() * 2));
    for (size_t i = 0; i < count_; ++i) bigger[i] = std::move(at(i));
    ring_ = std::move(bigger);
    first_ = 0;
  }
  return at(count_++);
}

void OutputQueue::push_raw(std::vector<std::byte> bytes) {
  if (bytes.empty()) return;
  bytes_ += bytes.size();
  push().message = std::move(bytes);
}

void OutputQueue::push_reply(const ReplyHead& head, BufferRef payload, size_t payload_size, uint64_t charged_bytes) {
  Item& item = push();
  item.head = head;
  item.payload = std::move(payload);
  item.payload_size = payload_size;
  item.charged_bytes = charged_bytes;
  item.is_reply = true;
  bytes_ += item.size();
  if (item.payload) held_ += item.payload->capacity();
}

void OutputQueue::push_long_reply(std::vector<std::byte> message, uint64_t charged_bytes) {
  Item& item = push();
  item.message = std::move(message);
  item.charged_bytes = charged_bytes;
  item.is_reply = true;
  bytes_ += item.size();
  held_ += item.message.size();
}

size_t OutputQueue::gather(std::span<iovec> out) const {
  size_t used = 0;
  size_t skip = sent_of_first_;
  const auto add = [&](const std::byte* data, size_t size) {
    const size_t skipped = std::min(skip, size);
    skip -= skipped;
    if (size == skipped || used == out.size()) return;
    // iovec has no const; sending does not write.
    out[used++] = {const_cast<std::byte*>(data) + skipped, size - skipped};
  };
  for (size_t i = 0; i < count_ && used < out.size(); ++i) {
    const Item& item = at(i);
    add(item.head.bytes.data(), item.head.size);
    add(item.message.data(), item.message.size());
    if (item.payload) add(item.payload->data(), item.payload_size);
  }
  return used;
}

OutputQueue::Sent OutputQueue::consume(size_t bytes) {
  CHECK(bytes <= bytes_);
  bytes_ -= bytes;
  sent_of_first_ += bytes;
  Sent sent;
  while (count_ > 0 && sent_of_first_ >= at(0).size()) {
    const Item& item = at(0);
    sent_of_first_ -= item.size();
    if (item.is_reply) {
      ++sent.replies;
      sent.charged_bytes += item.charged_bytes;
    }
    pop();
  }
  return sent;
}

void OutputQueue::pop() {
  if (at(0).payload) held_ -= at(0).payload->capacity();
  if (at(0).is_reply) held_ -= at(0).message.size();
  at(0) = Item{};
  first_ = (first_ + 1) % ring_.size();
  --count_;
}

void OutputQueue::clear() {
  while (count_ > 0) pop();
  sent_of_first_ = 0;
  bytes_ = 0;
}

}  // namespace lockstep::nbd
