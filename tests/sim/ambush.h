// A fault that waits for its moment: right after a node has done a certain thing, such as proposing a value
// or starting to write a bitmap page. Chance alone seldom hits the short windows in which protocols break.
#pragma once

#include <cstdint>
#include <optional>

#include "core/effect.h"
#include "sim/coverage.h"
#include "sim/prng.h"

namespace lockstep::sim {

enum class Moment : uint8_t {
  // Writes of metadata come first: Ambush::lay counts on it.
  record_write,
  intent_write,
  bitmap_write,
  prepare_sent,
  accept_sent,
  vote_sent,
  write_sent,
  write_reply_sent,
  flush_sent,
  resync_map_sent,
  resync_write_sent,
  join_prepare_sent,
  join_ready_sent,
  adopted_sent,
  answered,
  read_begun,
  tenure_decided,
  tenure_adopted,
  became_primary,
  peer_dropped,
  peer_joined,
};
constexpr size_t kMoments = static_cast<size_t>(Moment::peer_joined) + 1;

bool is(Moment moment, const Effect& effect);

class Ambush {
 public:
  // Picks a moment; frequent ones are passed a few times first.
  void lay(Prng& prng, Fault fault, Instant until);
  // The fault, if this effect is what was waited for.
  std::optional<Fault> sprung(const Effect& effect, Instant now);
  bool waiting(Instant now) const { return armed_ && now < until_; }

 private:
  bool armed_ = false;
  Moment moment_ = Moment::answered;
  Fault fault_ = Fault::process_kill;
  uint64_t pass_ = 0;
  Instant until_{0};
};

}  // namespace lockstep::sim
