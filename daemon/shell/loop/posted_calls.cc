#include "shell/loop/posted_calls.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace lockstep {

Result<void> PostedCalls::open() {
  event_ = UniqueFd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event_.ok()) return Error{errno, "eventfd"};
  return {};
}

void PostedCalls::post(std::function<void()> what) {
  bool first = false;
  {
    const std::lock_guard<std::mutex> hold(mutex_);
    first = waiting_.empty();
    waiting_.push_back(std::move(what));
  }
  if (first) wake();  // the others find the eventfd already set, or their call already taken
}

void PostedCalls::wake() {
  const uint64_t one = 1;
  // EAGAIN means that the counter is full, so the loop wakes in any case.
  const ssize_t written = ::write(event_.get(), &one, sizeof one);
  CHECK(written == sizeof one || errno == EAGAIN);
}

void PostedCalls::forget() {
  std::vector<std::function<void()>> dropped;
  const std::lock_guard<std::mutex> hold(mutex_);
  dropped.swap(waiting_);
}

void PostedCalls::on_ready(uint32_t) {
  uint64_t count = 0;
  // Cleared before the list is taken: a call posted in between sets it again, at worst for an empty list.
  const ssize_t got = ::read(event_.get(), &count, sizeof count);
  CHECK(got == sizeof count || errno == EAGAIN);
  {
    const std::lock_guard<std::mutex> hold(mutex_);
    running_.swap(waiting_);
  }
  for (std::function<void()>& what : running_) what();
  running_.clear();
}

}  // namespace lockstep
