// Which engine an EventLoop gets.
#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "shell/loop/epoll_loop.h"
#include "shell/loop/uring_loop.h"

namespace lockstep {
namespace {

// Generic in its argument only because Result<unique_ptr<derived>> does not convert to the base's.
template <class Loop>
Result<std::unique_ptr<EventLoop>> as_event_loop(Result<std::unique_ptr<Loop>> loop) {
  if (!loop.ok()) return loop.error();
  return std::unique_ptr<EventLoop>(std::move(loop).value());
}

std::string readable(const Error& error) {
  const char* hint = "";
  if (error.os == EPERM) hint = ", by kernel.io_uring_disabled or a seccomp policy";
  if (error.os == ENOSYS) hint = ", by this kernel or a seccomp policy";
  return fmt::format("{}: {}{}", error.where, std::strerror(error.os), hint);
}

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create(IoEngine engine) {
  switch (engine) {
    case IoEngine::io_uring:
      return as_event_loop(UringLoop::create());
    case IoEngine::libaio:
      return as_event_loop(EpollLoop::create());
    case IoEngine::automatic:
      break;
  }
  Result<std::unique_ptr<UringLoop>> uring = UringLoop::create();
  if (uring.ok()) return as_event_loop(std::move(uring));
  Result<std::unique_ptr<EpollLoop>> epoll = EpollLoop::create();
  if (epoll.ok()) epoll.value()->set_fallback_reason(readable(uring.error()));
  return as_event_loop(std::move(epoll));
}

}  // namespace lockstep
