// The only source of randomness of a simulation: xoshiro256** (Blackman and Vigna), seeded through
// splitmix64.
#pragma once

#include <array>
#include <cstdint>

#include "base/time.h"
#include "base/uuid.h"

namespace lockstep::sim {

class Prng {
 public:
  explicit Prng(uint64_t seed) {
    for (uint64_t& word : state_) {
      seed += 0x9e3779b97f4a7c15U;
      uint64_t z = seed;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
      word = z ^ (z >> 31);
    }
  }

  uint64_t next() {
    const uint64_t result = rotate(state_[1] * 5, 7) * 9;
    const uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = rotate(state_[3], 45);
    return result;
  }
  // Uniform in [0, bound); bound must not be 0. The bias of a modulo does not matter here.
  uint64_t below(uint64_t bound) { return next() % bound; }
  int64_t between(int64_t low, int64_t high) { return low + static_cast<int64_t>(below(static_cast<uint64_t>(high - low + 1))); }
  Duration between(Duration low, Duration high) { return {between(low.ns, high.ns)}; }
  bool chance(int percent) { return below(100) < static_cast<uint64_t>(percent); }
  bool permille(int n) { return below(1000) < static_cast<uint64_t>(n); }
  Uuid uuid() {
    const uint64_t high = next();
    return Uuid::from_words(high, next() | 1);
  }
  // An independent stream, so that one component's draws do not shift another's.
  Prng fork() { return Prng(next()); }

 private:
  static uint64_t rotate(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
  std::array<uint64_t, 4> state_{};
};

}  // namespace lockstep::sim
