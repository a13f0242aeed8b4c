// Kinds and outcomes of I/O, shared by clients, disks and links.
#pragma once

#include <cstdint>

namespace lockstep {

enum class OpKind : uint8_t { read, write, write_zeroes, trim, flush };

enum class IoStatus : uint8_t {
  ok,
  io_error,   // EIO
  no_space,   // ENOSPC
  invalid,    // EINVAL: out of range or not aligned
  shut_down,  // ESHUTDOWN: this node is not, or no longer, Primary
  corrupt,    // EIO: of a disk that keeps digests; a block that was read does not hold what was written
};

// What a read is to find out about its blocks besides, or instead of, their bytes. Of at most kLookBlocks blocks at once.
enum class Look : uint8_t {
  nothing,
  zeroes,   // which blocks hold zeroes only; their bytes are left out of the payload
  digests,  // the payload becomes one digest a block, in order, of what was read
  compare,  // which blocks do not have the digests of the payload
};

// One bit a block of a range, the lowest for its first. A last block that is not whole has none.
using BlockMask = uint64_t;
constexpr uint64_t kLookBlocks = 64;
constexpr uint64_t kDigestBytes = 16;

constexpr bool is_change(OpKind kind) { return kind == OpKind::write || kind == OpKind::write_zeroes || kind == OpKind::trim; }

}  // namespace lockstep
