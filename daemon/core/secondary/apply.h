// A copy that is not Primary applies what the Primary (or a resync source) sends: intent first, then data, then the reply, on
// the link that carried the request.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "core/context.h"
#include "core/dirty/recent_writes.h"
#include "core/message.h"
#include "core/secondary/in_order.h"
#include "core/secondary/pending_write.h"

namespace lockstep {

class ReplicaImpl;

class Secondary {
 public:
  explicit Secondary(ReplicaImpl& replica);

  void write(Seat from, const WriteRequest& request, PayloadId payload);
  void resync_write(Seat from, const ResyncWrite& request, PayloadId payload);
  void flush(Seat from, const FlushRequest& request);
  // Of a follower (following.cc).
  void follow(Seat from, const FollowerWrite& request, PayloadId payload);
  bool later(Seat from, const Message& message, PayloadId payload);  // true: it comes back when what came before it is applied
  void forget_what_waits(Seat seat);
  void read(Seat from, const ReadRequest& request);
  void compare(Seat from, const CompareRequest& request, PayloadId digests);
  void settled(Seat from, const Settled& notice);
  void intents_progressed();
  void reset_settled() {
    settled_ = last_followed_ = 0;
    recent_.clear();
  }
  // What the Primary of this tenure sent and has not yet said to be settled.
  const RecentWrites& unsettled() const { return recent_; }
  // Takes settled extents off the intent map: only those that have not been written for a while, or, where nothing more will be
  // written, all.
  enum class Heat : uint8_t { matters, is_over };
  void cool(Heat heat);
  // What is written after the next cool(is_over) is left set.
  void ends() { over_.reset(); }
  // Writes that came over a link and wait for their intent bits.
  size_t waiting() const { return waiting_.size() + in_order_.waiting() + behind_.size(); }

 private:
  struct Behind {  // waits until all up to this position is applied
    Seat from;
    uint64_t position;
    Message message;
    PayloadId payload;
  };
  bool acceptable(Seat from, const Stamp& stamp) const;
  bool in_volume(const Range& range) const;
  void take(const PendingWrite& pending, uint64_t position);
  bool missed_something(Seat from, const FollowerFlush& flush) const;
  bool too_many_wait() const;
  void mark_for_absent(const Range& range);
  void go_on_in_order();
  void give_up_in_order();
  void go_on_behind();
  void submit(const PendingWrite& pending);
  void finished(const PendingWrite& pending, IoStatus status);
  void could_not_read(Seat asked, const Range& range, IoStatus status);

  ReplicaImpl& r_;
  std::vector<PendingWrite> waiting_;
  InOrder in_order_;
  std::deque<Behind> behind_;
  uint64_t last_followed_ = 0;   // position of the last FollowerWrite since the resync began; 0: none came
  std::optional<Instant> over_;  // since when this node stops
  uint64_t settled_ = 0;
  RecentWrites recent_;
  uint32_t failed_comparisons_ = 0;
  Instant read_failed_at_ = kLongAgo;
  uint32_t failed_reads_ = 0;  // that the Primary asked for
};

}  // namespace lockstep
