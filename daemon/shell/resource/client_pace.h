// Whether a client moves what it makes us hold. Memory is common: a client that trickles a payload, or takes its replies byte by
// byte, would keep others from being served as long as it likes.
//
// Looked at every now and then. Looks are counted and not seconds, so a daemon that slept does not blame its clients for it.
#pragma once

#include <cstdint>

namespace lockstep {

class ClientPace {
 public:
  // While others wait for memory: so many looks for an eighth of what is held. A slow line is none of that.
  static constexpr uint32_t kLooksForShare = 10;
  static constexpr uint64_t kShare = 8;
  // And in any case not a single byte in so many looks.
  static constexpr uint32_t kLooksWithoutByte = 300;

  // `held`: bytes that are held for this client now; zero ends the story. `moved`: a counter of bytes, growing. `wanted`: somebody
  // waits for such memory.
  bool too_slow(uint64_t held, uint64_t moved, bool wanted) {
    still_ = held > 0 && moved == last_moved_ ? still_ + 1 : 0;
    last_moved_ = moved;
    if (held == 0 || !wanted) {
      looks_ = 0;
    } else if (looks_ == 0 || (moved - moved_then_) * kShare >= held_then_) {
      looks_ = 1;
      held_then_ = held;
      moved_then_ = moved;
    } else {
      ++looks_;
    }
    return looks_ > kLooksForShare || still_ >= kLooksWithoutByte;
  }

 private:
  uint32_t looks_ = 0;  // since the count began, with others waiting all the time
  uint64_t held_then_ = 0;
  uint64_t moved_then_ = 0;
  uint32_t still_ = 0;  // looks without a byte
  uint64_t last_moved_ = 0;
};

}  // namespace lockstep
