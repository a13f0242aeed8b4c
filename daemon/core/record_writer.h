// Keeps the durable record (identity, adopted tenure, acceptor) on stable storage, one write at a time, and runs what waits for
// it. Several changes while a write is under way become one further write.
#pragma once

#include <deque>
#include <functional>

#include "core/context.h"

namespace lockstep {

class RecordWriter {
 public:
  explicit RecordWriter(Context& context) : ctx_(context) {}

  // The record changed: write it soon (pump()). `then` runs, within a later step, once this state of it is durable. It never
  // runs if the metadata fails first.
  void changed(std::function<void()> then = {});
  void pump();
  // True if the token was ours.
  bool done(MetaToken token, bool ok);
  void stop() {
    failed_ = true;
    waiters_.clear();
  }
  bool failed() const { return failed_; }
  bool idle() const { return !writing_ && written_ == version_; }

 private:
  struct Waiter {
    uint64_t version;
    std::function<void()> then;
  };
  Context& ctx_;
  uint64_t version_ = 0;   // of the record in memory
  uint64_t written_ = 0;   // durable
  uint64_t in_write_ = 0;  // version under way
  bool writing_ = false;
  bool failed_ = false;
  MetaToken token_;
  std::deque<Waiter> waiters_;
};

}  // namespace lockstep
