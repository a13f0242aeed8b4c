// How fast a resync or a comparison may go: as fast as disks and links can while no client asks for anything, and no faster than what leaves
// clients alone while they do.
//
// A rate is raised and lowered (additive increase, multiplicative decrease) by what it does to clients: while a client's operation that ran
// beside a chunk takes longer than allowed in more than one of a hundred cases, it goes down, as far as c-min-rate. Allowed is the target
// that is configured, or else twice the 99th percentile of operations that no chunk ran beside; that percentile is followed by small steps
// (Ma, Muthukrishnan, Sandler: Frugal Streaming for Estimating Quantiles, 2013).
#pragma once

#include <array>
#include <cstdint>

#include "base/time.h"
#include "core/config.h"

namespace lockstep {

class ResyncPace {
 public:
  explicit ResyncPace(const CoreConfig& config);

  // A client's operation that began `took` ago was answered.
  void client_answered(Instant now, Duration took);
  // May the next chunk begin? Otherwise at next().
  bool may_begin(Instant now) const { return now >= next_; }
  Instant next() const { return next_; }
  void chunk_begins(Instant now, uint64_t bytes);
  void chunk_ended(Instant now, uint64_t bytes);
  // Bytes a second of chunks that ended within the last seconds.
  uint64_t recent_rate(Instant now) const;

  // For tests: what it allows beside clients, and the time that an operation takes alone.
  uint64_t rate() const { return rate_; }
  Duration alone() const { return alone_; }

 private:
  bool clients_at_work(Instant now) const;
  uint64_t limit(Instant now) const;
  void judge(Instant now);
  bool enough_to_judge(Instant now) const;
  Duration allowed() const;

  const CoreConfig& config_;
  uint64_t rate_;  // beside clients
  Instant next_ = kLongAgo;
  uint32_t under_way_ = 0;
  Instant last_chunk_ = kLongAgo;   // when the last one ended
  Instant last_client_ = kLongAgo;  // when one was answered
  Duration alone_;                  // the 99th percentile
  uint32_t samples_ = 0;            // of it
  // Since the last judgement:
  Instant judged_ = kLongAgo;
  uint32_t answered_ = 0;
  uint32_t slow_ = 0;
  uint64_t begun_bytes_ = 0;

  static constexpr size_t kSeconds = 6;
  std::array<uint64_t, kSeconds> ended_bytes_{};  // by second, as a ring
  int64_t current_second_ = 0;
};

}  // namespace lockstep
