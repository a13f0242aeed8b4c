// A tenure: the value of the register that all voters of a resource keep. It says who may be Primary, which copies hold every
// acknowledged write, and who votes. Only a tenure that a round has decided is ever acted on.
#pragma once

#include <cstdint>
#include <optional>

#include "base/ids.h"
#include "base/inplace_vector.h"
#include "core/ballot.h"

namespace lockstep {

constexpr size_t kMaxVoters = 8;
constexpr size_t kMaxVolumes = 8;

struct Voter {
  Seat seat;
  Uuid acceptor;  // nil: an empty seat, which counts in the majority and cannot vote
  friend bool operator==(const Voter&, const Voter&) = default;
};

struct VolumeShape {
  uint16_t number = 0;
  uint64_t size_bytes = 0;
  friend bool operator==(const VolumeShape&, const VolumeShape&) = default;
};

using VolumeShapes = InplaceVector<VolumeShape, kMaxVolumes>;

struct Holder {  // who is Primary: a node in one run of its daemon on one run of its machine
  Seat node;
  Boot boot;
  uint64_t start = 0;
  friend bool operator==(const Holder&, const Holder&) = default;
};

struct Tenure {
  Uuid history;         // one line of decided tenures; --force begins another
  Uuid parent;          // the history that --force left, nil otherwise
  uint64_t number = 0;  // grows by one with each decided change
  Ballot origin;        // ballot under which this value was first proposed: two values are equal only if their origins are
  std::optional<Holder> primary;
  bool clean = false;      // primary is none and every member holds the same bytes, flushed
  SeatSet members;         // the current set: data nodes that have every acknowledged write
  uint32_t voter_set = 0;  // grows with each change of `voters`
  InplaceVector<Voter, kMaxVoters> voters;
  VolumeShapes volumes;  // in the order of their numbers (core/volumes.h)

  friend bool operator==(const Tenure&, const Tenure&) = default;
};

// How frames name a tenure.
struct Stamp {
  Uuid history;
  uint64_t number = 0;
  friend bool operator==(const Stamp&, const Stamp&) = default;
};
inline Stamp stamp_of(const Tenure& tenure) { return {tenure.history, tenure.number}; }

}  // namespace lockstep
