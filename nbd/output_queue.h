// What waits to be sent to a client, in order: headers, and data where it lies. A ring that grows to its
// high-water mark and is then used again, so that sending allocates nothing.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "nbd/reply.h"

namespace lockstep::nbd {

class OutputQueue {
 public:
  // What sending freed: replies gone, and the payload bytes that they were charged for.
  struct Sent {
    size_t replies = 0;
    uint64_t charged_bytes = 0;
  };

  // Handshake bytes; not a reply.
  void push_raw(std::vector<std::byte> bytes);
  // A reply: its header and the first `payload_size` bytes of `payload`.
  void push_reply(const ReplyHead& head, BufferRef payload, size_t payload_size, uint64_t charged_bytes);
  void push_long_reply(std::vector<std::byte> message, uint64_t charged_bytes);

  bool empty() const { return count_ == 0; }
  size_t bytes() const { return bytes_; }      // still to be sent
  size_t held_bytes() const { return held_; }  // memory of payloads that are not sent to their last byte

  // Fills `out` from the front with pointers that hold until the queue changes: a reply that is pushed may move the headers. Returns how many
  // it used.
  size_t gather(std::span<iovec> out) const;
  // The first `bytes` of what gather() gives have been sent.
  Sent consume(size_t bytes);
  void clear();

 private:
  struct Item {
    ReplyHead head;
    std::vector<std::byte> message;  // instead of the head, where that is too small
    BufferRef payload;
    size_t payload_size = 0;
    uint64_t charged_bytes = 0;
    bool is_reply = false;

    size_t size() const { return head.size + message.size() + payload_size; }
  };

  Item& push();
  void pop();
  Item& at(size_t i) { return ring_[(first_ + i) % ring_.size()]; }
  const Item& at(size_t i) const { return ring_[(first_ + i) % ring_.size()]; }

  std::vector<Item> ring_;
  size_t first_ = 0;
  size_t count_ = 0;
  size_t sent_of_first_ = 0;  // bytes
  size_t bytes_ = 0;
  size_t held_ = 0;
};

}  // namespace lockstep::nbd
