// Calls handed to a loop by other threads, with the eventfd that wakes it.
#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include "base/result.h"
#include "shell/event_loop.h"
#include "shell/loop/unique_fd.h"

namespace lockstep {

class PostedCalls : public FdHandler {
 public:
  Result<void> open();
  int fd() const { return event_.get(); }  // readable while something waits; the loop watches it

  void post(std::function<void()> what);    // from any thread
  void forget();                            // drops what waits, unrun
  void wake();                              // from any thread: ends the loop's wait
  void on_ready(uint32_t events) override;  // on the loop's thread: runs what was posted, in that order

 private:
  UniqueFd event_;
  std::mutex mutex_;
  std::vector<std::function<void()>> waiting_;  // under mutex_
  std::vector<std::function<void()>> running_;  // loop's thread only; kept for its memory
};

}  // namespace lockstep
