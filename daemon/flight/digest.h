// Short proofs that two runs of a Replica are the same: of what it asked for, and of what it is.
#pragma once

#include <vector>

#include "core/replica.h"

namespace lockstep::flight {

// Of every effect so far. Its low byte goes with each event into a recording, so that a replay names the very event where it parts.
class Trail {
 public:
  void add(const Effects& effects);
  uint64_t value() const { return value_; }
  uint8_t low() const { return static_cast<uint8_t>(value_); }

 private:
  uint64_t value_ = 0x6c6f636b73746570;
};

struct StateDigest {
  uint64_t trail = 0;
  uint64_t record = 0;    // of Replica::record()
  uint64_t snapshot = 0;  // of Replica::inspect()
  friend bool operator==(const StateDigest&, const StateDigest&) = default;
};
// `scratch` is reused between calls.
StateDigest digest_of(const Trail& trail, const Replica& replica, Instant now, std::vector<std::byte>& scratch);

}  // namespace lockstep::flight
