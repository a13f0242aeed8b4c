#include "shell/link/link_manager.h"

#include <sodium.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace lockstep {

namespace {
constexpr Duration kResolvePause = seconds(10);
}  // namespace

LinkManager::LinkManager(EventLoop& loop, BufferPool& pool, LinkSettings settings, LinkOwner& owner)
    : loop_(loop), pool_(pool), settings_(std::move(settings)), owner_(owner), keys_(settings_.secret, settings_.resource) {
  sodium_memzero(settings_.secret.data(), settings_.secret.size());
  settings_.secret.clear();
  for (const PeerSettings& peer : settings_.peers) add_link(peer);
}

LinkManager::~LinkManager() = default;

void LinkManager::add_link(const PeerSettings& peer) {
  CHECK(peer.seat != settings_.self);
  links_.push_back(
      std::make_unique<PeerLink>(loop_, pool_, settings_, peer, keys_, owner_, [this] { return LinkId{++last_link_}; }));
}

Result<void> LinkManager::start() {
  if (auto listening = listen_for(settings_.peers); !listening.ok()) return listening;
  if (listener_) favour_peers();
  for (const auto& link : links_) link->start();
  return {};
}

Result<void> LinkManager::listen_for(const std::vector<PeerSettings>& peers) {
  const bool listens = std::any_of(peers.begin(), peers.end(), [this](const PeerSettings& peer) { return calls_us(peer); });
  if (!listens || listener_) return {};
  ListenerSettings where;
  where.where = settings_.listen;
  where.deadline = settings_.handshake_timeout;
  where.versions = settings_.versions;
  auto listener = std::make_unique<Listener>(
      loop_, std::move(where), *this, [this](HandshakeResult result) { arrived(std::move(result)); }, [this] { crowded(); });
  if (auto started = listener->start(); !started.ok()) return started;
  listener_ = std::move(listener);
  return {};
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
  for (const PeerSettings& peer : settings_.peers) {
    if (find(peer.seat) != nullptr) continue;
    add_link(peer);
    links_.back()->start();
  }
  if (listener_) favour_peers();
}

bool LinkManager::calls_us(const PeerSettings& peer) const { return !peer.seat.is_witness() && peer.seat > settings_.self; }

// A configured peer calls from its configured address, as a rule.
void LinkManager::favour_peers() {
  resolved_ = loop_.now();
  resolvers_.clear();
  for (const PeerSettings& peer : settings_.peers) {
    if (!calls_us(peer)) continue;
    resolvers_.push_back(std::make_unique<Resolver>(loop_));
    resolvers_.back()->resolve(peer.where, [this](const std::vector<SocketAddress>& addresses) {
      for (const SocketAddress& address : addresses) listener_->favour(address.host());
    });
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

SocketAddress LinkManager::listening_at() const {
  CHECK(listener_ != nullptr);
  return listener_->address();
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
  if (peer->stand_alone()) return Refusal{RefusalCode::stand_alone, ""};
  return std::nullopt;
}

std::optional<Refusal> LinkManager::check(const Hello&, const Transcript& transcript, const Proof& proof) {
  if (keys_.verify_initiator(transcript, proof)) return std::nullopt;
  return Refusal{RefusalCode::secret, "your proof of the shared secret does not hold"};
}

Welcome LinkManager::welcome(const Hello&, const Transcript& transcript) { return keys_.responder_proof(transcript); }

void LinkManager::arrived(HandshakeResult result) {
  PeerLink* const peer = find(result.hello.from);
  if (result.connection) {
    // admit() let it in, and the configuration has it no more by now.
    if (peer == nullptr) return result.connection->close();
    return peer->offer(std::move(result));
  }
  if (!result.refused) return;
  // A node that names another resource is a stranger, whatever node-id it claims.
  if (peer != nullptr && result.hello.resource == settings_.resource) {
    if (!peer->stand_alone()) peer->report_refusal(result.failure, result.stand_alone);
  } else if (std::exchange(last_stranger_, result.failure) != result.failure) {
    owner_.refused(kNoSeat, result.failure);
  }
}

}  // namespace lockstep
