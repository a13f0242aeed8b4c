// Reply messages of the transmission phase [Simple reply message, Structured reply chunk message]. Every
// answer is one message, a header of at most kMaxReplyHead bytes, and a READ's data after it; but for BLOCK_STATUS, which has a chunk a context.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nbd/protocol.h"

namespace lockstep::nbd {

constexpr size_t kMaxReplyHead = 40;

struct ReplyHead {
  std::array<std::byte, kMaxReplyHead> bytes;
  size_t size = 0;
};

// A stretch of an export with one allocation status.
struct Extent {
  uint64_t length = 0;  // bytes
  uint32_t flags = 0;   // what they mean is the context's matter
};

// To whom, and in which form.
struct ReplyTo {
  uint64_t cookie = 0;
  uint64_t offset = 0;  // the request's
  bool extended = false;
};

// An errno in the protocol's numbers. What it does not know becomes EIO, which every client takes for an
// error.
WireError to_wire_error(int error_number);

ReplyHead simple_reply(uint64_t cookie, WireError error);
// For READ and BLOCK_STATUS once structured replies are negotiated; for everything with extended headers.
ReplyHead error_chunk(const ReplyTo& to, WireError error);
// Success without data.
ReplyHead empty_chunk(const ReplyTo& to);
// Followed by `length` bytes of data, which must be at hand: there is no way back after this header.
ReplyHead data_chunk(const ReplyTo& to, uint32_t length);

// Bounds the descriptors of one BLOCK_STATUS answer; the client asks again for the rest.
constexpr size_t kMaxExtents = 256;

// What an owner tells about one context, from the request's offset on.
struct ContextStatus {
  uint32_t context = 0;
  std::vector<Extent> extents;
};

// A BLOCK_STATUS answer, one chunk a context, with what is known of the `length` bytes asked for: neighbours of one status joined, empty ones
// left out, cut at `length` and at kMaxExtents. Empty where there is no context, or no extent of one is left: that is no valid answer. Without
// extended headers `length` is less than 2^32.
std::vector<std::byte> status_reply(const ReplyTo& to, uint64_t length, bool one_extent, std::span<const ContextStatus> all);

}  // namespace lockstep::nbd
