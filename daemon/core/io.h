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
};

constexpr bool is_change(OpKind kind) { return kind == OpKind::write || kind == OpKind::write_zeroes || kind == OpKind::trim; }

}  // namespace lockstep
