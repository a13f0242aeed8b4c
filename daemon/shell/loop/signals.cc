#include "shell/loop/signals.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace lockstep {

Result<std::unique_ptr<SignalWatch>> SignalWatch::create(EventLoop& loop, std::initializer_list<int> signals,
                                                         std::function<void(int)> on_signal) {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : signals) sigaddset(&set, signal);
  const int error = pthread_sigmask(SIG_BLOCK, &set, nullptr);
  if (error != 0) return Error{error, "pthread_sigmask"};
  UniqueFd fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.ok()) return Error{errno, "signalfd"};
  return std::unique_ptr<SignalWatch>(new SignalWatch(loop, std::move(fd), std::move(on_signal)));
}

SignalWatch::SignalWatch(EventLoop& loop, UniqueFd fd, std::function<void(int)> on_signal)
    : loop_(loop), fd_(std::move(fd)), on_signal_(std::move(on_signal)) {
  loop_.watch(fd_.get(), EPOLLIN, *this);
}

SignalWatch::~SignalWatch() {
  loop_.unwatch(fd_.get());
}

void SignalWatch::on_ready(uint32_t) {
  // One a call: the loop comes back while there are more, and on_signal may destroy this object.
  signalfd_siginfo info{};
  if (::read(fd_.get(), &info, sizeof info) != sizeof info) return;
  const std::function<void(int)> call = on_signal_;
  call(static_cast<int>(info.ssi_signo));
}

void allow_all_signals() {
  sigset_t set;
  sigemptyset(&set);
  static_cast<void>(sigprocmask(SIG_SETMASK, &set, nullptr));
}

}  // namespace lockstep
