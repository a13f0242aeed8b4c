#include "shell/link/link_manager.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace lockstep {

namespace {
constexpr Duration kResolvePause = seconds(10);
constexpr Duration kOpenPause = seconds(5);
}  // namespace

LinkManager::LinkManager(EventLoop& loop, BufferPool& pool, LinkSettings settings, LinkOwner& owner)
    : loop_(loop), pool_(pool), settings_(std::move(settings)), owner_(owner), keys_(settings_.secret, settings_.resource) {
  sodium_memzero(settings_.secret.data(), settings_.secret.size());
  settings_.secret.clear();
  for (const PeerSettings& peer : settings_.peers) add_link(peer);
}

LinkManager::~LinkManager() {
  if (open_later_.value != 0) loop_.cancel(open_later_);
}

void LinkManager::add_link(const PeerSettings& peer) {
  CHECK(peer.seat != settings_.self);
  links_.push_back(
      std::make_unique<PeerLink>(loop_, pool_, settings_, peer, keys_, owner_, [this] { return LinkId{++last_link_}; }));
}

Result<void> LinkManager::start() {
  if (auto listening = listen_for(settings_.peers); !listening.ok()) return listening;
  favour_peers();
  for (const auto& link : links_) link->start();
  open_later();
  return {};
}

// Own addresses at which peers call us, each once.
std::vector<HostPort> LinkManager::doors_for(const std::vector<PeerSettings>& peers) const {
  std::vector<HostPort> doors;
  for (const PeerSettings& peer : peers) {
    if (!calls_us(peer)) continue;
    for (const PathSettings& path : peer.paths) {
      if (std::find(doors.begin(), doors.end(), path.local) == doors.end()) doors.push_back(path.local);
    }
  }
  return doors;
}

Listener* LinkManager::listener_at(const HostPort& where) const {
  for (const Door& door : doors_) {
    if (door.where == where) return door.listener.get();
  }
  return nullptr;
}

// `found`: where a name was found to be.
Result<void> LinkManager::open_door(const HostPort& where, const std::optional<HostPort>& found) {
  if (listener_at(where) != nullptr) return {};
  ListenerSettings settings;
  settings.where = found.value_or(where);
  settings.deadline = settings_.handshake_timeout;
  settings.versions = settings_.versions;
  settings.features = settings_.features;
  settings.tls = settings_.tls;
  auto listener = std::make_unique<Listener>(
      loop_, std::move(settings), *this, [this, where](HandshakeResult result) { arrived(std::move(result), where); },
      [this] { crowded(); });
  if (auto started = listener->start(); !started.ok()) return started;
  doors_.push_back({where, std::move(listener)});
  return {};
}

Result<void> LinkManager::listen_for(const std::vector<PeerSettings>& peers) {
  for (const PeerSettings& peer : peers) {
    if (!calls_us(peer)) continue;
    std::optional<Error> failed;
    bool open = false;
    for (const PathSettings& path : peer.paths) {
      const auto outcome = open_door(path.local);
      // A door of ours that is about to go may stand there under another name.
      const bool later = !outcome.ok() && outcome.error().os == EADDRINUSE && has_leaving_door(path.local.port, peers);
      open = open || ((outcome.ok() || later) && !path.control_only);
      if (outcome.ok() || later || failed) continue;
      failed = outcome.error();
      refused_address_ = path.local;
    }
    if (!open) return *failed;
  }
  return {};
}

bool LinkManager::has_leaving_door(const std::string& port, const std::vector<PeerSettings>& peers) const {
  const auto stay = doors_for(peers);
  return std::any_of(doors_.begin(), doors_.end(), [&](const Door& door) {
    return door.where.port == port && std::find(stay.begin(), stay.end(), door.where) == stay.end();
  });
}

// An interface may get its address later, and a path must not keep the others waiting: nor may a name server, so names are looked up
// beside.
void LinkManager::open_later() {
  opening_.clear();
  for (const HostPort& where : doors_for(settings_.peers)) {
    if (listener_at(where) != nullptr) continue;
    if (where.host.empty() || !resolve_now(where, true).empty()) {
      open_found(where, where);
      continue;
    }
    opening_.push_back(std::make_unique<Resolver>(loop_));
    opening_.back()->resolve(where, [this, where](const std::vector<SocketAddress>& addresses) {
      if (addresses.empty()) return say_closed(where, "there is no such name");
      open_found(where, {addresses.front().host(), where.port});
    });
  }
  const auto wanted = doors_for(settings_.peers);
  const bool all =
      std::all_of(wanted.begin(), wanted.end(), [this](const HostPort& where) { return listener_at(where) != nullptr; });
  if (all || open_later_.value != 0) return;
  open_later_ = loop_.call_at(loop_.now() + kOpenPause, [this] {
    open_later_ = {};
    open_later();
  });
}

void LinkManager::open_found(const HostPort& where, const HostPort& found) {
  const auto outcome = open_door(where, found);
  if (!outcome.ok()) return say_closed(where, std::strerror(outcome.error().os));
  favour_peers();
}

void LinkManager::say_closed(const HostPort& where, const std::string& why) {
  for (const auto& link : links_) {
    if (calls_us(link->peer())) link->cannot_listen(where, "cannot listen on " + to_text(where) + ": " + why);
  }
}

void LinkManager::set_peers(const std::vector<PeerSettings>& peers) {
  const auto stays = [&peers](const std::unique_ptr<PeerLink>& link) {
    return std::find(peers.begin(), peers.end(), link->peer()) != peers.end();
  };
  // Told first, while every link is in its place: whoever hears of it may use the others.
  for (const auto& link : links_) {
    if (!stays(link)) link->leave("the configuration has it no more");
  }
  std::erase_if(links_, [&stays](const auto& link) { return !stays(link); });
  settings_.peers = peers;
  const auto wanted = doors_for(peers);
  std::erase_if(doors_,
                [&wanted](const Door& door) { return std::find(wanted.begin(), wanted.end(), door.where) == wanted.end(); });
  for (const PeerSettings& peer : settings_.peers) {
    if (find(peer.seat) != nullptr) continue;
    add_link(peer);
    links_.back()->start();
  }
  favour_peers();
  open_later();
}

bool LinkManager::calls_us(const PeerSettings& peer) const { return !peer.seat.is_witness() && peer.seat > settings_.self; }

// A configured peer calls from its configured address, as a rule.
void LinkManager::favour_peers() {
  resolved_ = loop_.now();
  resolvers_.clear();
  for (const PeerSettings& peer : settings_.peers) {
    if (!calls_us(peer)) continue;
    for (const PathSettings& path : peer.paths) {
      resolvers_.push_back(std::make_unique<Resolver>(loop_));
      resolvers_.back()->resolve(path.where, [this, local = path.local](const std::vector<SocketAddress>& addresses) {
        Listener* const listener = listener_at(local);
        if (listener == nullptr) return;
        for (const SocketAddress& address : addresses) listener->favour(address.host());
      });
    }
  }
}

void LinkManager::crowded() {
  if (loop_.now() - resolved_ >= kResolvePause) favour_peers();  // its name may mean another address by now
  owner_.refused(kNoSeat, "crowded with callers that do not prove who they are: the oldest give way");
}

PeerLink* LinkManager::find(Seat seat) const {
  for (const auto& link : links_) {
    if (link->peer().seat == seat) return link.get();
  }
  return nullptr;
}

SocketAddress LinkManager::listening_at(size_t path) const {
  CHECK(path < doors_.size());
  return doors_[path].listener->address();
}

bool LinkManager::send(Seat peer, LinkId link, const Message& message, BufferRef payload) {
  PeerLink* const found = find(peer);
  return found != nullptr && found->send(link, message, std::move(payload));
}

void LinkManager::close(Seat peer, LinkId link, const std::string& why) {
  if (PeerLink* const found = find(peer)) found->close(link, why);
}

void LinkManager::set_stand_alone(Seat peer, const std::string& why) {
  if (PeerLink* const found = find(peer)) found->set_stand_alone(why);
}

void LinkManager::connect(Seat peer) {
  if (PeerLink* const found = find(peer)) found->connect();
}

LinkStatus LinkManager::status(Seat peer) const {
  const PeerLink* const found = find(peer);
  return found != nullptr ? found->status() : LinkStatus{};
}

// --- who may come in -------------------------------------------------------------------------------------

std::optional<Refusal> LinkManager::admit(const Hello& hello) {
  if (hello.resource != settings_.resource) {
    return Refusal{RefusalCode::resource,
                   "this is resource " + settings_.resource.to_string() + ", not " + hello.resource.to_string()};
  }
  const auto number = [](Seat seat) { return std::to_string(seat.value); };
  if (hello.to != settings_.self) {
    return Refusal{RefusalCode::seat, "this is node-id " + number(settings_.self) + ", not " + number(hello.to)};
  }
  const PeerLink* const peer = hello.from.is_witness() ? nullptr : find(hello.from);
  if (peer == nullptr) return Refusal{RefusalCode::seat, "no peer here has node-id " + number(hello.from)};
  if (hello.from < settings_.self) return Refusal{RefusalCode::direction, "the higher node-id connects"};
  return peer->admit(hello);
}

// The node that it says it is, by name or by address: whoever the authority has signed for is not any node for that.
std::optional<Refusal> LinkManager::admit_certificate(const Hello& hello, const CertifiedFor& certified) {
  const PeerSettings& peer = find(hello.from)->peer();
  const bool by_address = std::any_of(peer.paths.begin(), peer.paths.end(),
                                      [&certified](const PathSettings& path) { return certified(path.where.host); });
  if (by_address || certified(peer.name)) return std::nullopt;
  return Refusal{RefusalCode::certificate, "yours is not for " + peer.name};
}

std::optional<Refusal> LinkManager::check(const Hello&, const Transcript& transcript, const Proof& proof) {
  if (keys_.verify_initiator(transcript, proof)) return std::nullopt;
  return Refusal{RefusalCode::secret, "your proof of the shared secret does not hold"};
}

Welcome LinkManager::welcome(const Hello&, const Transcript& transcript) { return keys_.responder_proof(transcript); }

void LinkManager::arrived(HandshakeResult result, const HostPort& door) {
  PeerLink* const peer = find(result.hello.from);
  if (result.connection) {
    // admit() let it in, and the configuration has it no more by now.
    if (peer == nullptr) return result.connection->close();
    return peer->offer(std::move(result), door);
  }
  if (!result.refused) return;
  // A node that names another resource is a stranger, whatever node-id it claims.
  if (peer != nullptr && result.hello.resource == settings_.resource) {
    peer->refused_caller(result);
  } else if (std::exchange(last_stranger_, result.failure) != result.failure) {
    owner_.refused(kNoSeat, result.failure);
  }
}

}  // namespace lockstep
