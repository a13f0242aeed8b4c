// Nodes, tenures and what acceptors have on disk, for the tests of the oracle.
#pragma once

#include <memory>
#include <vector>

#include "sim/oracle.h"

namespace lockstep::sim {

constexpr Seat kA{0};
constexpr Seat kB{1};
constexpr Seat kW = witness_seat(0);
constexpr uint64_t kBlocks = 2 * kBlocksPerExtent;

inline Range block(uint64_t b) { return {b * kBlockBytes, kBlockBytes}; }
inline Payload versions(uint64_t v) { return std::make_shared<const std::vector<uint64_t>>(1, v); }

inline Uuid acceptor(Seat seat) { return Uuid::from_words(7, seat.value + 1U); }

inline Tenure tenure(uint64_t number, Seat primary, SeatSet members) {
  Tenure t;
  t.history = Uuid::from_words(1, 1);
  t.number = number;
  t.origin = {number * 10 + primary.value, primary, 1};
  t.primary = Holder{primary, Uuid::from_words(2, primary.value), 1};
  t.members = members;
  for (Seat seat : {kA, kB, kW}) t.voters.push_back({seat, acceptor(seat)});
  return t;
}

inline AcceptorRecord accepted(Seat seat, const Tenure& value, Ballot ballot) {
  AcceptorRecord record;
  record.acceptor = acceptor(seat);
  record.accepted = record.promised = ballot;
  record.tenure = value;
  return record;
}

}  // namespace lockstep::sim
