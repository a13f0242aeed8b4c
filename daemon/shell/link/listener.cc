#include "shell/link/listener.h"

#include <algorithm>
#include <utility>

namespace lockstep {

Listener::Listener(EventLoop& loop, ListenerSettings settings, Doorkeeper& door, Done done, std::function<void()> crowded)
    : loop_(loop), settings_(std::move(settings)), door_(door), done_(std::move(done)), crowded_(std::move(crowded)) {}

Result<void> Listener::start() {
  auto fd = listen_on(settings_.where);
  if (!fd.ok()) return fd.error();
  acceptor_ = std::make_unique<SocketAcceptor>(loop_, std::move(fd).value(),
                                               [this](UniqueFd caller) { return begin(std::move(caller)); });
  return {};
}

bool Listener::is_favoured(const std::string& host) const {
  return std::find(favoured_.begin(), favoured_.end(), host) != favoured_.end();
}

void Listener::favour(const std::string& host) {
  if (is_favoured(host)) return;
  favoured_.push_back(host);
  if (favoured_.size() > settings_.max_favoured) favoured_.pop_front();
}

SocketAcceptor::Owner Listener::begin(UniqueFd fd) {
  const std::string caller = remote_address(fd.get()).host();
  const bool favoured = is_favoured(caller);
  const bool crowded = entering_.size() >= settings_.max_unauthenticated;
  if (crowded && !make_room(favoured)) return SocketAcceptor::Owner::crowded;  // closes it
  Handshaking::Secure secure;
  if (settings_.tls) secure.keys = settings_.tls->current();
  entering_.push_back(
      {std::make_shared<Handshaking>(
           loop_, std::move(fd), caller, Responder(door_, draw_nonce(), settings_.versions, settings_.features),
           settings_.deadline, [this](Handshaking& handshake, HandshakeResult result) { finished(handshake, std::move(result)); },
           std::move(secure)),
       favoured});
  return crowded ? SocketAcceptor::Owner::crowded : SocketAcceptor::Owner::has_room;
}

// For a caller that is favoured or not. False: all who are here go before him.
bool Listener::make_room(bool favoured) {
  crowded_();
  const auto victim = std::min_element(entering_.begin(), entering_.end(), [](const Entering& a, const Entering& b) {
    return a.rank() < b.rank();  // the first, that is the oldest, of the lowest
  });
  if (victim == entering_.end() || (victim->favoured && !favoured)) return false;
  entering_.erase(victim);
  return true;
}

void Listener::finished(Handshaking& handshake, HandshakeResult result) {
  const auto found = std::find_if(entering_.begin(), entering_.end(),
                                  [&handshake](const Entering& entry) { return entry.handshake.get() == &handshake; });
  const auto keep = found->handshake;  // it is still running: let it go at the end of the turn
  entering_.erase(found);
  loop_.defer([keep] {});
  if (result.connection) favour(remote_address(result.connection->fd()).host());
  done_(std::move(result));
}

}  // namespace lockstep
