#include "witness.h"

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "shell/loop/log.h"

namespace lockstep {

namespace {

// A client that does not take its answers is cut off: answers are small and there are few.
constexpr size_t kMaxQueueBytes = 256 * 1024;

ListenerSettings listener_settings(const WitnessSettings& settings) {
  ListenerSettings listener;
  listener.where = settings.listen;
  listener.tls = settings.tls;
  listener.max_unauthenticated = settings.max_unauthenticated;
  listener.max_favoured = settings.max_connections;
  listener.deadline = settings.handshake_timeout;
  return listener;
}

std::string describe(const Error& error) {
  const bool of_system = error.os != 0 && error.os != EBADMSG;
  return of_system ? std::string(error.where) + ": " + std::strerror(error.os) : std::string(error.where);
}

// For this machine's operator.
const char* remedy_of(const Error& error, bool preloaded) {
  switch (error.os) {
    case EBADMSG:
      return preloaded
                 ? "; put the resource's verifier there again"
                 : "; restore it from a copy, or remove it: then the resource's next node is believed whatever its secret is";
    case EROFS:
    case EACCES:
    case EPERM:
      return "; let this program write there, the nodes try again by themselves";
    case ENOSPC:
    case EDQUOT:
      return "; make room, the nodes try again by themselves";
    default:
      return "";
  }
}

}  // namespace

Witness::Witness(EventLoop& loop, const StateDir& dir, WitnessSettings settings)
    : loop_(loop),
      settings_(std::move(settings)),
      verifiers_(dir, settings_.verifiers),
      acceptors_(dir, draw_uuid(), loop.now()),
      refusals_(loop, "", "callers refused"),
      listener_(
          loop, listener_settings(settings_), *this, [this](HandshakeResult result) { arrived(std::move(result)); },
          [this] { crowded(); }) {}

Witness::~Witness() {
  if (sweep_timer_.value != 0) loop_.cancel(sweep_timer_);
  for (auto& [key, client] : clients_) client.connection->close();
}

Result<void> Witness::start() {
  if (auto started = listener_.start(); !started.ok()) return started;
  sweep();
  return {};
}

// --- who may come in -------------------------------------------------------------------------------------

std::optional<Refusal> Witness::admit(const Hello& hello) {
  if (!hello.to.is_witness()) return Refusal{RefusalCode::seat, "this is a witness"};
  if (hello.from.value >= kMaxDataNodes) return Refusal{RefusalCode::seat, "only data nodes speak to a witness"};
  if (hello.resource.is_nil()) return Refusal{RefusalCode::malformed, "no resource id"};
  if (clients_.size() >= settings_.max_connections) return Refusal{RefusalCode::busy, ""};
  if (!verifiers_.knows_or_learns(hello.resource)) {
    return Refusal{RefusalCode::resource, "no verifier for " + hello.resource.to_string() + " was given to this witness"};
  }
  return std::nullopt;
}

std::optional<Refusal> Witness::check(const Hello& hello, const Transcript& transcript, const Proof& proof) {
  const Refusal wrong{RefusalCode::secret, "your proof does not fit the verifier of the resource"};
  if (!verify_witness_proof(transcript, proof)) return wrong;
  const auto accepted = verifiers_.accept(hello.resource, proof.key);
  if (!accepted.ok()) return unusable(hello.resource, verifiers_.path_of(hello.resource), accepted.error());
  if (!accepted.value()) return wrong;
  const auto prepared = acceptors_.prepare(hello.resource);
  if (prepared.ok()) {
    last_trouble_.clear();
    return std::nullopt;
  }
  return unusable(hello.resource, acceptors_.path_of(hello.resource), prepared.error());
}

// Says it here with the file and a remedy, and to the node in short: its operator looks there first.
Refusal Witness::unusable(const ResourceId& resource, const std::string& path, const Error& error) {
  const std::string text =
      resource.to_string() + ": " + path + ": " + describe(error) + remedy_of(error, !settings_.verifiers.empty());
  if (std::exchange(last_trouble_, text) != text) refusals_.line(LogLevel::error, text);  // the nodes try every few seconds
  return {RefusalCode::storage_failed, describe(error) + "; its log says more"};
}

// A client whose acceptor failed: silence would leave its operator without a reason.
void Witness::refuse(Connection& connection, const Error& why) {
  connection.send(FrameType::refusal, encode(Refusal{RefusalCode::storage_failed, describe(why) + "; its log says more"}));
  connection.close_after_flush();
  drop(connection, "its acceptor's storage failed");
}

void Witness::arrived(HandshakeResult result) {
  if (!result.connection) {
    // A client that is refused comes again every few seconds: say it once.
    if (result.refused && std::exchange(last_refusal_, result.failure) != result.failure) {
      const bool named = !result.hello.resource.is_nil();
      refusals_.line(LogLevel::warning, (named ? result.hello.resource.to_string() + ": " : "") + result.failure);
    }
    return;
  }
  drop_older(result.hello.resource, result.hello.from);
  const auto connection = result.connection;
  set_dead_peer_limits(connection->fd(), 10, 60'000);
  connection->set_owner(*this);
  clients_.emplace(connection.get(), Client{connection, result.hello.resource, result.hello.from, false});
  connection->resume();
  log_format(LogLevel::info, result.hello.resource.to_string(), "", "node {} connected from {}", result.hello.from.value,
             remote_address(connection->fd()).to_string());
}

void Witness::crowded() {
  refusals_.line(LogLevel::warning, "crowded with callers that do not prove who they are: the oldest give way");
}

// A node that comes again has lost its old connection.
void Witness::drop_older(const ResourceId& resource, Seat seat) {
  for (auto entry = clients_.begin(); entry != clients_.end(); ++entry) {
    if (entry->second.resource != resource || entry->second.seat != seat) continue;
    entry->second.connection->close();
    loop_.defer([keep = entry->second.connection] {});
    clients_.erase(entry);
    return;
  }
}

// --- serving ---------------------------------------------------------------------------------------------

void Witness::on_connected(Connection&) {}

void Witness::on_closed(Connection& connection, const std::string& why) { drop(connection, why); }

void Witness::drop(Connection& connection, const std::string& why) {
  const auto found = clients_.find(&connection);
  if (found == clients_.end()) return;
  log_format(LogLevel::info, found->second.resource.to_string(), "", "node {} gone: {}", found->second.seat.value, why);
  connection.close();
  loop_.defer([keep = found->second.connection] {});  // it may be on the stack
  clients_.erase(found);
}

void Witness::on_frame(Connection& connection, Frame frame) {
  const auto found = clients_.find(&connection);
  if (found == clients_.end()) return;
  if (frame.type == FrameType::ping) return connection.send(FrameType::pong, {});
  if (frame.type == FrameType::pong) return;
  if (!frame.is_message()) return drop(connection, "a frame of the handshake after its end");
  Client& client = found->second;
  const auto handled = acceptors_.handle(client.resource, client.seat, loop_.now(), client.introduced, frame.message);
  if (handled.violation) return drop(connection, "sent what a witness is not asked");
  if (const Error* const failure = acceptors_.failure_of(client.resource)) return refuse(connection, *failure);
  if (handled.anew) return drop_all(ResourceId(client.resource), "it is to meet the new acceptor");
  if (!handled.answer) return;
  connection.send(*handled.answer, {});
  if (connection.queued_bytes() > kMaxQueueBytes) drop(connection, "does not take its answers");
}

void Witness::drop_all(const ResourceId& resource, const std::string& why) {
  std::vector<std::shared_ptr<Connection>> gone;
  for (const auto& [key, client] : clients_) {
    if (client.resource == resource) gone.push_back(client.connection);
  }
  for (const auto& connection : gone) drop(*connection, why);
}

// Half-open connections go after a while; nothing depends on when.
void Witness::sweep() {
  std::vector<std::shared_ptr<Connection>> silent;
  for (const auto& [key, client] : clients_) {
    if (loop_.now() - client.connection->last_received() > settings_.idle_timeout) silent.push_back(client.connection);
  }
  for (const auto& connection : silent) drop(*connection, "silent");
  sweep_timer_ = loop_.call_at(loop_.now() + settings_.idle_timeout / 4, [this] { sweep(); });
}

}  // namespace lockstep
