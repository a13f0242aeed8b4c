// Listening at an address that was somebody's a moment ago.
#pragma once

#include <cerrno>
#include <chrono>
#include <thread>

#include "base/result.h"

namespace lockstep {

// A ring that was closed a moment ago (`down`, or a program that was stopped or killed) lets go of its sockets only when the kernel has
// taken it down: an address may be in use for a little longer. Blocks for a second at most.
template <class Listen>
Result<void> listen_patiently(Listen listen) {
  for (int attempt = 0;; ++attempt) {
    Result<void> outcome = listen();
    if (outcome.ok() || outcome.error().os != EADDRINUSE || attempt == 20) return outcome;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace lockstep
