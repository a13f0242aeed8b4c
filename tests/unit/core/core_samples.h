// Short names and small values that the core's tests share.
#pragma once

#include "core/tenure.h"

namespace lockstep {

constexpr Seat kA{0};
constexpr Seat kB{1};
constexpr Seat kC{2};
constexpr Seat kW = witness_seat(0);

inline Uuid uuid(uint64_t n) { return Uuid::from_words(0, n); }
inline Uuid acceptor_of(Seat seat) { return Uuid::from_words(1, seat.value + uint64_t{1}); }
inline Boot boot_of(Seat seat) { return Uuid::from_words(2, seat.value + uint64_t{1}); }
inline Uuid disk_of(Seat seat) { return Uuid::from_words(3, seat.value + uint64_t{1}); }
inline Holder holder_of(Seat seat) { return {seat, boot_of(seat), 5}; }
inline Ballot ballot(uint64_t counter, Seat node) { return {counter, node, 5}; }

inline Tenure tenure_of(SeatSet data_nodes, SeatSet voters, uint64_t number = 1) {
  Tenure tenure;
  tenure.history = uuid(100);
  tenure.number = number;
  tenure.origin = ballot(1, kA);
  tenure.members = data_nodes;
  tenure.voter_set = 1;
  for (Seat seat : voters) tenure.voters.push_back({seat, acceptor_of(seat)});
  tenure.volumes.push_back({0, 64 * 1024 * 1024});
  return tenure;
}

}  // namespace lockstep
