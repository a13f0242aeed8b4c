// How many chunks of a resync are under way at once: as many as keep both disks and the link busy, and no more. What is under way is what a
// client that begins to ask waits behind, and what a slow disk has to answer within ack_timeout.
//
// Grows by a chunk with each that lands quickly, so that it doubles in the time of a chunk; where one took long it was too much by a quarter. A
// fixed window of 64 chunks of 256 KiB left a disk of 1 GiB/s idle for a fifth of the time.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace lockstep {

class ResyncWindow {
 public:
  static constexpr uint32_t kFirst = 64;
  static constexpr Duration kQuick = milliseconds(100);
  static constexpr Duration kSlow = milliseconds(400);

  ResyncWindow() = default;
  // `most`: CoreConfig::resync_window.
  explicit ResyncWindow(uint32_t most) : most_(most), size_(std::min(most, kFirst)) {}

  uint32_t size() const { return size_; }
  void landed(Instant begun, Instant now) {
    if (now - begun <= kQuick) {
      size_ = std::min(size_ + 1, most_);
    } else if (now - begun > kSlow && begun >= shrunk_) {  // what was under way at that time says nothing about the smaller one
      size_ = std::max({size_ / 4 * 3, most_ / 16, 1u});
      shrunk_ = now;
    }
  }

 private:
  uint32_t most_ = 1;
  uint32_t size_ = 1;
  Instant shrunk_ = kLongAgo;
};

}  // namespace lockstep
