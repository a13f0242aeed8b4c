// Reply messages of the transmission phase [Simple reply message, Structured reply chunk message]. Every
// answer is one message: a header of at most kMaxReplyHead bytes, and a READ's data after it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nbd/protocol.h"

namespace lockstep::nbd {

constexpr size_t kMaxReplyHead = 32;

struct ReplyHead {
  std::array<std::byte, kMaxReplyHead> bytes;
  size_t size = 0;
};

// A stretch of an export with one allocation status.
struct Extent {
  uint64_t length = 0;  // bytes
  uint32_t flags = 0;   // kStateHole, kStateZero
};

// An errno in the protocol's numbers. What it does not know becomes EIO, which every client takes for an
// error.
WireError to_wire_error(int error_number);

ReplyHead simple_reply(uint64_t cookie, WireError error);
// For READ and BLOCK_STATUS once structured replies are negotiated.
ReplyHead error_chunk(uint64_t cookie, WireError error);
// Success without data: a READ of nothing.
ReplyHead empty_chunk(uint64_t cookie);
// Followed by `length` bytes of data, which must be at hand: there is no way back after this header.
ReplyHead data_chunk(uint64_t cookie, uint64_t offset, uint32_t length);
// A BLOCK_STATUS answer with one extent.
ReplyHead status_chunk(uint64_t cookie, uint32_t length, uint32_t flags);

// Bounds the descriptors of one BLOCK_STATUS answer; the client asks again for the rest.
constexpr size_t kMaxExtents = 1024;

// A BLOCK_STATUS answer with what is known of the `length` bytes asked for: neighbours of one status joined,
// empty ones left out, cut at `length` and at kMaxExtents. Empty when no extent is left: that is no valid
// answer.
std::vector<std::byte> status_chunk(uint64_t cookie, uint32_t length, bool one_extent, std::span<const Extent> extents);

}  // namespace lockstep::nbd
