#include "shell/loop/socket_acceptor.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace lockstep {

namespace {
constexpr int kPerTurn = 64;  // the socket is level-triggered: the rest comes with the next turn
constexpr int kPerTurnCrowded = 16;
constexpr Duration kCrowdedPause = milliseconds(10);
constexpr Duration kNoDescriptorsPause = milliseconds(100);
}  // namespace

SocketAcceptor::SocketAcceptor(EventLoop& loop, UniqueFd listening, Accepted accepted, Socket whose)
    : loop_(loop), fd_(std::move(listening)), accepted_(std::move(accepted)), whose_(whose) {
  loop_.watch(fd_.get(), EPOLLIN, *this);
}

SocketAcceptor::~SocketAcceptor() {
  if (rest_timer_.value != 0) loop_.cancel(rest_timer_);
  loop_.unwatch(fd_.get());
  // A ring lets go of the socket a moment after we do, and would keep it listening until then.
  if (whose_ == Socket::ours) static_cast<void>(::shutdown(fd_.get(), SHUT_RDWR));
}

void SocketAcceptor::on_ready(uint32_t) {
  int crowded = 0;
  for (int accepted = 0; accepted < kPerTurn; ++accepted) {
    UniqueFd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd.ok()) {
      if (accepted_(std::move(fd)) == Owner::crowded && ++crowded == kPerTurnCrowded) return rest(kCrowdedPause);
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) rest(kNoDescriptorsPause);
    if (errno != EINTR && errno != ECONNABORTED) return;
  }
}

// The waiting connection keeps the socket ready, so look away for a moment rather than spin.
void SocketAcceptor::rest(Duration pause) {
  if (rest_timer_.value != 0) return;
  loop_.modify(fd_.get(), 0);
  rest_timer_ = loop_.call_at(loop_.now() + pause, [this] {
    rest_timer_ = {};
    loop_.modify(fd_.get(), EPOLLIN);
  });
}

}  // namespace lockstep
