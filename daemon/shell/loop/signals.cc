#include "shell/loop/signals.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
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

SignalWatch::~SignalWatch() { loop_.unwatch(fd_.get()); }

void SignalWatch::on_ready(uint32_t) {
  // One a call: the loop comes back while there are more, and on_signal may destroy this object.
  signalfd_siginfo info{};
  if (::read(fd_.get(), &info, sizeof info) != sizeof info) return;
  const std::function<void(int)> call = on_signal_;
  call(static_cast<int>(info.ssi_signo));
}

namespace {
rlimit inherited_descriptors{0, 0};
}  // namespace

void prepare_daemon() {
  ::signal(SIGPIPE, SIG_IGN);
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  inherited_descriptors = limit;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) inherited_descriptors = {0, 0};  // a help, no condition
}

void restore_for_child() {
  sigset_t set;
  sigemptyset(&set);
  static_cast<void>(sigprocmask(SIG_SETMASK, &set, nullptr));
  ::signal(SIGPIPE, SIG_DFL);
  // Programs that use select() break with a limit above 1024.
  if (inherited_descriptors.rlim_cur != 0) static_cast<void>(::setrlimit(RLIMIT_NOFILE, &inherited_descriptors));
}

}  // namespace lockstep
