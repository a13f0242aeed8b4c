#include "shell/resource/client_port.h"

#include <sys/socket.h>

#include <algorithm>

#include "shell/link/address.h"
#include "shell/loop/log.h"
#include "shell/resource/client_connection.h"
#include "shell/resource/client_listening.h"

namespace lockstep {

class ClientListener {
 public:
  // `unix_path`: a socket file that is ours.
  ClientListener(ClientPort& port, UniqueFd fd, std::string unix_path, SocketAcceptor::Socket whose)
      : unix_path_(std::move(unix_path)),
        family_(local_address(fd.get()).storage.ss_family),
        acceptor_(
            port.loop_, std::move(fd),
            [this, &port](UniqueFd client) {
              if (family_ == AF_INET || family_ == AF_INET6) {
                set_no_delay(client.get());
                // Or a client whose machine died would stay for ever.
                set_dead_peer_limits(client.get(), kIdleSeconds, kGoneMilliseconds);
              }
              return port.accepted(std::move(client), family_ == AF_UNIX);
            },
            whose) {}
  ~ClientListener() {
    if (!unix_path_.empty()) ::unlink(unix_path_.c_str());
  }

 private:
  static constexpr int kIdleSeconds = 15;
  static constexpr int kGoneMilliseconds = 60 * 1000;  // without a sign, or with replies that are not taken
  std::string unix_path_;
  sa_family_t family_;
  SocketAcceptor acceptor_;
};

ClientPort::ClientPort(EventLoop& loop, const ResourceSettings& settings, Upstream upstream)
    : loop_(loop),
      settings_(settings),
      upstream_(std::move(upstream)),
      pool_(settings.pool_bytes),
      log_(loop, settings.name, "NBD clients turned away"),
      requests_(settings, {[this](const ClientRequest& asked, BufferRef payload) { upstream_.submit(asked, std::move(payload)); },
                           [this](uint64_t connection, nbd::SlotId slot, int error, BufferRef data) {
                             const auto at = connections_.find(connection);
                             if (at != connections_.end()) at->second->complete(slot, error, std::move(data));
                           },
                           [this](uint64_t connection, ClientSequence since, const Range& range) {
                             const auto at = connections_.find(connection);
                             return at == connections_.end() || at->second->may_be_old(since, range);
                           }}) {}

ClientPort::~ClientPort() {
  *alive_ = false;
  if (look_timer_.value != 0) loop_.cancel(look_timer_);
  listeners_.clear();
  connections_.clear();
  requests_.clear();
}

Result<void> ClientPort::start() {
  listeners_.clear();
  for (const NbdAddress& address : settings_.nbd) {
    auto sockets = listen_for_clients(address);
    if (!sockets) {
      refused_address_ = to_text(address);
      return sockets.error();
    }
    const auto whose = address.systemd.empty() ? SocketAcceptor::Socket::ours : SocketAcceptor::Socket::of_another;
    for (UniqueFd& socket : sockets.value())
      listeners_.push_back(std::make_unique<ClientListener>(*this, std::move(socket), address.unix_path, whose));
  }
  return {};
}

SocketAcceptor::Owner ClientPort::accepted(UniqueFd fd, bool local) {
  const auto there =
      std::count_if(connections_.begin(), connections_.end(), [](const auto& entry) { return !entry.second->over(); });
  const bool crowded = static_cast<size_t>(there) >= settings_.max_clients;
  if (crowded && !make_room()) {
    log_.line(LogLevel::warning, fmt::format("refused an NBD client: {} connections are the limit", settings_.max_clients));
    return SocketAcceptor::Owner::crowded;
  }
  turn();
  const uint64_t id = requests_.next();
  connections_.emplace(id, std::make_unique<ClientConnection>(*this, id, std::move(fd), local));
  look_soon();
  return crowded ? SocketAcceptor::Owner::crowded : SocketAcceptor::Owner::has_room;
}

// At the limit the oldest of those gives way that are of the least consequence, so that idle strangers do not keep clients out.
bool ClientPort::make_room() {
  ClientConnection* victim = nullptr;
  for (const auto& [id, connection] : connections_) {
    if (connection->over() || connection->rank() == ClientConnection::kServed) continue;
    if (victim == nullptr || connection->rank() < victim->rank()) victim = connection.get();
  }
  if (victim == nullptr) return false;
  log_.line(LogLevel::warning,
            fmt::format("closed an idle NBD client for a new one: {} connections are the limit", settings_.max_clients));
  victim->close();
  return true;
}

void ClientPort::look_soon() {
  if (look_timer_.value != 0) return;
  look_timer_ = loop_.call_at(loop_.now() + settings_.client_look, [this] {
    look_timer_ = {};
    look_at_clients();
    if (!connections_.empty()) look_soon();
  });
}

void ClientPort::look_at_clients() {
  const auto waiting =
      std::count_if(connections_.begin(), connections_.end(), [](const auto& entry) { return entry.second->waits_for_memory(); });
  ClientConnection::Shortage shortage;
  shortage.replies = upstream_.reads_wait && upstream_.reads_wait();
  for (const auto& [id, connection] : connections_) {
    shortage.payloads = waiting > (connection->waits_for_memory() ? 1 : 0);
    connection->look(shortage);
  }
}

void ClientPort::request(ClientConnection& from, nbd::Request request) {
  if (request.type == nbd::RequestType::block_status) return answer_status(from, request);
  const uint64_t base = from.base();
  if (request.type == nbd::RequestType::write) traffic_[base].bytes_written += request.length;
  if (request.type == nbd::RequestType::read) traffic_[base].bytes_read += request.length;
  requests_.take(from.id(), base, std::move(request));
}

// What copies have is known at once, also while I/O is frozen; what the disk has is asked of it.
void ClientPort::answer_status(ClientConnection& to, const nbd::Request& request) {
  std::vector<nbd::ContextStatus> known;
  const Range range{to.base() + request.offset, request.length};
  const size_t most = request.one_extent ? 1 : nbd::kMaxExtents;
  request.contexts.each([&](uint32_t id) {
    if (id != nbd::kBaseAllocationId) known.push_back({id, upstream_.sync_status(range, most)});
  });
  if (!request.contexts.has(nbd::kBaseAllocationId)) return to.complete_status(request.slot, std::move(known));
  const auto done = [this, alive = alive_, connection = to.id(), slot = request.slot,
                     known](std::vector<nbd::Extent> found) mutable {
    if (!*alive) return;
    known.insert(known.begin(), {nbd::kBaseAllocationId, std::move(found)});
    complete_status(connection, slot, std::move(known));
  };
  upstream_.allocation(range, most, done);
}

void ClientPort::complete_status(uint64_t connection, nbd::SlotId slot, std::vector<nbd::ContextStatus> known) {
  const auto at = connections_.find(connection);
  if (at != connections_.end()) at->second->complete_status(slot, std::move(known));
}

nbd::Lookup ClientPort::look_up(std::string_view name, const ClientConnection& asking) {
  if (auto refusal = asking.refused_by_name()) return *std::move(refusal);
  nbd::Lookup found = upstream_.look_up(name);
  auto* info = std::get_if<nbd::ExportInfo>(&found);
  const std::string* writer = info != nullptr ? other_writer(info->tag, asking) : nullptr;
  if (writer == nullptr) return found;
  info->read_only = true;
  info->description += fmt::format("; read-only for you, because {} writes to it, and one client writes at a time", *writer);
  return found;
}

// A first change takes the export, if nobody has it.
bool ClientPort::may_change(const ClientConnection& client) {
  if (settings_.shared_writers) return true;
  if (other_writer(client.base(), client) != nullptr) return false;
  if (!writers_.try_emplace(client.base(), client.client()).second) return true;
  for (const auto& [id, other] : connections_) {
    if (other->opened_export() && other->base() == client.base() && other->client() != client.client()) other->bar_from_changes();
  }
  return true;
}

const std::string* ClientPort::other_writer(uint64_t base, const ClientConnection& than) {
  auto writer = writers_.find(base);
  if (writer == writers_.end() || writer->second == than.client()) return nullptr;
  let_go_of_claims();  // it may have gone a moment ago
  writer = writers_.find(base);
  return writer == writers_.end() ? nullptr : &writer->second;
}

// A connection that hung up may still have requests here; its client keeps the export until they are done with.
void ClientPort::let_go_of_claims() {
  std::erase_if(writers_, [this](const auto& claim) {
    return std::none_of(connections_.begin(), connections_.end(), [&claim](const auto& entry) {
      const ClientConnection& is = *entry.second;
      return is.opened_export() && is.base() == claim.first && is.client() == claim.second && !is.done_with();
    });
  });
}

ClientSequence ClientPort::turn() {
  if (in_turn_) return turn_;
  in_turn_ = true;
  turn_ = requests_.last();
  loop_.defer([this, alive = alive_] {
    if (*alive) in_turn_ = false;
  });
  return turn_;
}

std::shared_ptr<ClientHistory> ClientPort::history_of(const std::string& client) {
  std::erase_if(histories_, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<ClientHistory>& known = histories_[client];
  std::shared_ptr<ClientHistory> history = known.lock();
  if (!history) known = history = std::make_shared<ClientHistory>();
  return history;
}

void ClientPort::replied(ClientIo io, IoStatus status, BufferRef data) { requests_.replied(io, status, std::move(data)); }

void ClientPort::shut_down_clients() {
  for (auto& [id, connection] : connections_) connection->shut_down();
}

size_t ClientPort::open_exports() const {
  return static_cast<size_t>(
      std::count_if(connections_.begin(), connections_.end(), [](const auto& entry) { return entry.second->open(); }));
}

ClientPort::Traffic ClientPort::traffic(uint64_t base) const {
  const auto known = traffic_.find(base);
  Traffic traffic = known == traffic_.end() ? Traffic{} : known->second;
  traffic.open = std::any_of(connections_.begin(), connections_.end(),
                             [base](const auto& entry) { return entry.second->open() && entry.second->base() == base; });
  return traffic;
}

std::vector<ClientView> ClientPort::clients() const {
  std::vector<ClientView> all;
  for (const auto& [id, connection] : connections_) {
    if (connection->over()) continue;
    all.push_back(connection->show());
    const auto writer = connection->opened_export() ? writers_.find(connection->base()) : writers_.end();
    all.back().writes = writer != writers_.end() && writer->second == connection->client();
  }
  return all;
}

// A client that is gone is forgotten at once. What the core has of its requests takes its course, the answer goes nowhere.
void ClientPort::drop_finished() {
  for (auto at = connections_.begin(); at != connections_.end();) {
    if (!at->second->over()) {
      ++at;
      continue;
    }
    requests_.forget(at->first);
    at = connections_.erase(at);
  }
  let_go_of_claims();
  resume_waiting();
}

// Memory that a request gave back may be what another session waits for.
void ClientPort::resume_waiting() {
  for (auto& [id, connection] : connections_) connection->resume_if_waiting();
}

}  // namespace lockstep
