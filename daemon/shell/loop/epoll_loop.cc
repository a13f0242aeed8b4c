#include "shell/loop/epoll_loop.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/check.h"
#include "shell/loop/file_device.h"

namespace lockstep {

Result<std::unique_ptr<EpollLoop>> EpollLoop::create() {
  std::unique_ptr<EpollLoop> loop(new EpollLoop);
  const Result<void> opened = loop->open();
  if (!opened.ok()) return opened.error();
  return loop;
}

Result<void> EpollLoop::open() {
  epoll_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_.ok()) return Error{errno, "epoll_create1"};
  Result<void> opened = posted_.open();
  if (!opened.ok()) return opened;
  opened = aio_.open([this](std::function<void()> what) { post(std::move(what)); },
                     [](BlockIo& io, int64_t outcome) { io.device->finished(io, outcome); });
  if (!opened.ok()) return opened;
  watch(posted_.fd(), EPOLLIN, posted_);
  watch(aio_.fd(), EPOLLIN, completions_);
  return {};
}

void EpollLoop::control(int operation, int fd, uint32_t events, uint64_t key) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = key;
  CHECK(epoll_ctl(epoll_.get(), operation, fd, &event) == 0);
}

EpollLoop::~EpollLoop() { forget_calls(); }

void EpollLoop::watch(int fd, uint32_t events, FdHandler& handler) {
  control(EPOLL_CTL_ADD, fd, events, watches_.key(watches_.add(fd, events, handler)));
}

void EpollLoop::modify(int fd, uint32_t events) {
  const uint32_t index = watches_.index_of(fd);
  if (watches_.at(index).events == events) return;
  watches_.at(index).events = events;
  control(EPOLL_CTL_MOD, fd, events, watches_.key(index));
}

void EpollLoop::unwatch(int fd) {
  watches_.remove(watches_.index_of(fd));
  control(EPOLL_CTL_DEL, fd, 0, 0);
}

int EpollLoop::wait(epoll_event* events, int most, Duration longest) {
  const int64_t ns = std::max<int64_t>(longest.ns, 0);
  if (has_pwait2_) {
    const timespec timeout{ns / 1'000'000'000, ns % 1'000'000'000};
    const int count = epoll_pwait2(epoll_.get(), events, most, &timeout, nullptr);
    if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
    has_pwait2_ = false;
  }
  const int64_t ms = std::min<int64_t>((ns + 999'999) / 1'000'000, 3'600'000);  // rounded up: not before a timer is due
  return epoll_wait(epoll_.get(), events, most, static_cast<int>(ms));
}

void EpollLoop::submit_wait_dispatch(Duration longest) {
  constexpr Duration kRetry = milliseconds(1);
  const bool all = aio_.submit(waiting_io_);
  std::array<epoll_event, 128> events;
  const int count = wait(events.data(), static_cast<int>(events.size()), all ? longest : std::min(longest, kRetry));
  CHECK(count >= 0 || errno == EINTR);
  for (size_t i = 0; count > 0 && i < static_cast<size_t>(count); ++i) {
    Watch* watch = watches_.find(events[i].data.u64);
    if (watch == nullptr) continue;  // unwatched by a handler of this turn
    const uint32_t wanted = events[i].events & (watch->events | EPOLLERR | EPOLLHUP);
    if (wanted != 0) watch->handler->on_ready(wanted);
  }
}

}  // namespace lockstep
