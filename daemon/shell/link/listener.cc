#include "shell/link/listener.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace lockstep {

Listener::Listener(EventLoop& loop, ListenerSettings settings, Doorkeeper& door, Done done)
    : loop_(loop), settings_(std::move(settings)), door_(door), done_(std::move(done)) {}

Listener::~Listener() {
  if (rest_timer_.value != 0) loop_.cancel(rest_timer_);
  if (fd_.ok()) loop_.unwatch(fd_.get());
}

Result<void> Listener::start() {
  auto fd = listen_on(settings_.where);
  if (!fd.ok()) return fd.error();
  fd_ = std::move(fd).value();
  loop_.watch(fd_.get(), EPOLLIN, *this);
  return {};
}

void Listener::on_ready(uint32_t) {
  for (int accepted = 0; accepted < 16;
       ++accepted) {  // the socket is level-triggered: the rest comes next turn
    UniqueFd fd(::accept4(fd_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd.ok()) {
      begin(std::move(fd));
      continue;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) rest();
    if (errno != EINTR && errno != ECONNABORTED) return;
  }
}

// Out of descriptors: the waiting connection keeps the socket ready, so look away for a moment rather than
// spin.
void Listener::rest() {
  if (rest_timer_.value != 0) return;
  loop_.modify(fd_.get(), 0);
  rest_timer_ = loop_.call_at(loop_.now() + milliseconds(100), [this] {
    rest_timer_ = {};
    loop_.modify(fd_.get(), EPOLLIN);
  });
}

void Listener::begin(UniqueFd fd) {
  if (handshakes_.size() >= settings_.max_unauthenticated) return;  // closes it
  const std::string peer = remote_address(fd.get()).host();
  handshakes_.push_back(std::make_shared<Handshaking>(
      loop_, std::move(fd), peer, Responder(door_, draw_nonce(), settings_.versions), settings_.deadline,
      [this](Handshaking& handshake, HandshakeResult result) { finished(handshake, std::move(result)); }));
}

void Listener::finished(Handshaking& handshake, HandshakeResult result) {
  const auto found = std::find_if(handshakes_.begin(), handshakes_.end(),
                                  [&handshake](const auto& entry) { return entry.get() == &handshake; });
  const auto keep = *found;  // it is still running: let it go at the end of the turn
  handshakes_.erase(found);
  loop_.defer([keep] {});
  done_(std::move(result));
}

}  // namespace lockstep
