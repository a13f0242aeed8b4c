// A lane of a link that goes over several paths: its messages are numbered, so that they go on over another connection where one
// ended, and each is delivered once and in order.
//
// Both lanes are numbered by themselves and in each direction, from 0. No message carries its number: Position says which one the
// next message on this connection is, and they count on from there. The receiver says, with Received, up to where it has
// them; until then the sender keeps them, and sends those that it keeps again when the lane moves to another connection. As all
// connections of the lane go on from a number that the receiver has or expects, it never sees a gap. What it has already it drops.
// These two frames, and ping and pong, have no number.
//
// Pure: knows nothing of connections.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/time.h"

namespace lockstep {

struct Position {
  uint64_t next = 0;  // the number of the next message on this connection
};
struct Received {
  uint64_t control = 0;  // all messages before this one are here
  uint64_t data = 0;
};
std::vector<std::byte> encode(const Position& position);
std::vector<std::byte> encode(const Received& received);
std::optional<Position> decode_position(std::span<const std::byte> body);
std::optional<Received> decode_received(std::span<const std::byte> body);

// A message as it is sent, its checksums included.
struct KeptFrame {
  std::vector<std::byte> head;  // header and body
  BufferRef payload;
  size_t payload_bytes = 0;
  Instant since;  // when it was queued
  size_t bytes() const { return head.size() + payload_bytes; }
};

class LaneSender {
 public:
  void keep(KeptFrame frame);  // as the next message
  // The other end has all before `next`. False: it claims what was never sent.
  bool received(uint64_t next);
  uint64_t first() const { return first_; }  // the number of the oldest that is kept
  uint64_t next() const { return first_ + kept_.size(); }
  const KeptFrame& at(uint64_t number) const { return kept_[number - first_]; }  // of one that is kept
  size_t bytes() const { return bytes_; }                                        // of all that are kept

 private:
  uint64_t first_ = 0;
  size_t bytes_ = 0;
  std::deque<KeptFrame> kept_;
};

class LaneReceiver {
 public:
  enum class Verdict : uint8_t { fresh, again, gap };
  // What is to be done with a message of this number: deliver it, drop it, or end the link.
  Verdict take(uint64_t number);
  uint64_t expected() const { return expected_; }

 private:
  uint64_t expected_ = 0;
};

}  // namespace lockstep
