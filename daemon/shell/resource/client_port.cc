#include "shell/resource/client_port.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "shell/link/address.h"
#include "shell/loop/log.h"
#include "shell/resource/client_connection.h"

namespace lockstep {

namespace {

int error_number(IoStatus status) {
  switch (status) {
    case IoStatus::ok:
      return 0;
    case IoStatus::io_error:
    case IoStatus::corrupt:
      return EIO;
    case IoStatus::no_space:
      return ENOSPC;
    case IoStatus::invalid:
      return EINVAL;
    case IoStatus::shut_down:
      return ESHUTDOWN;
  }
  return EIO;
}

OpKind kind_of(nbd::RequestType type) {
  switch (type) {
    case nbd::RequestType::read:
      return OpKind::read;
    case nbd::RequestType::write:
      return OpKind::write;
    case nbd::RequestType::write_zeroes:
      return OpKind::write_zeroes;
    case nbd::RequestType::trim:
      return OpKind::trim;
    case nbd::RequestType::flush:
      return OpKind::flush;
    case nbd::RequestType::block_status:
      break;  // the session answers it itself: the export reports no extents
  }
  UNREACHABLE("a block status request that the session should have answered");
}

// A socket that a dead daemon left is replaced; one that somebody listens on is not.
Result<UniqueFd> listen_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return Error{ENAMETOOLONG, "bind"};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.ok()) return Error{errno, "socket"};
  const auto* where = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(fd.get(), where, sizeof address) == 0) return Error{EADDRINUSE, "bind"};
  fd = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.ok()) return Error{errno, "socket"};
  struct stat what {};
  if (::lstat(path.c_str(), &what) == 0 && S_ISSOCK(what.st_mode)) ::unlink(path.c_str());
  if (::bind(fd.get(), where, sizeof address) != 0) return Error{errno, "bind"};
  if (::chmod(path.c_str(), 0660) != 0) return Error{errno, "chmod"};
  if (::listen(fd.get(), 1024) != 0) return Error{errno, "listen"};
  return fd;
}

}  // namespace

class ClientListener {
 public:
  ClientListener(ClientPort& port, UniqueFd fd, std::string unix_path)
      : unix_path_(std::move(unix_path)),
        acceptor_(port.loop_, std::move(fd), [&port, tcp = unix_path_.empty()](UniqueFd client) {
          if (tcp) set_no_delay(client.get());
          if (tcp) set_dead_peer_limits(client.get(), kIdleSeconds, 0);  // or a client whose machine died would stay for ever
          return port.accepted(std::move(client), !tcp);
        }) {}
  ~ClientListener() {
    if (!unix_path_.empty()) ::unlink(unix_path_.c_str());
  }

 private:
  static constexpr int kIdleSeconds = 15;
  std::string unix_path_;
  SocketAcceptor acceptor_;
};

ClientPort::ClientPort(EventLoop& loop, const ResourceSettings& settings, Upstream upstream)
    : loop_(loop),
      settings_(settings),
      upstream_(std::move(upstream)),
      pool_(settings.pool_bytes),
      log_(loop, settings.name, "NBD clients turned away") {}

ClientPort::~ClientPort() {
  if (look_timer_.value != 0) loop_.cancel(look_timer_);
  listeners_.clear();
  connections_.clear();
  queue_.clear();
}

Result<void> ClientPort::start() {
  listeners_.clear();
  for (const NbdAddress& address : settings_.nbd) {
    const bool local = !address.unix_path.empty();
    Result<UniqueFd> fd = local ? listen_unix(address.unix_path) : listen_on(address.tcp);
    if (!fd) {
      refused_address_ = local ? "unix:" + address.unix_path : address.tcp.host + ":" + address.tcp.port;
      return fd.error();
    }
    listeners_.push_back(std::make_unique<ClientListener>(*this, std::move(fd).value(), address.unix_path));
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
  const uint64_t id = ++last_id_;
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

// The session has seen to it that the request stays within the export.
void ClientPort::request(uint64_t connection, uint64_t base, nbd::Request request) {
  const uint64_t id = ++last_id_;
  Pending& pending = pending_[id];
  pending = {connection, request.slot, 0, IoStatus::ok};
  const OpKind kind = kind_of(request.type);
  const uint64_t longest = settings_.core.max_op_bytes;
  uint64_t offset = kind == OpKind::flush ? 0 : base + request.offset;
  uint64_t left = request.length;
  do {
    const uint64_t length = std::min(left, longest);
    const ClientIo io{++last_id_};
    owner_[io.value] = id;
    ++pending.pieces;
    queue_.push_back({ClientRequest{io, kind, {offset, length}, request.fua, {}}, request.payload});
    offset += length;
    left -= length;
  } while (left > 0);
  if (kind == OpKind::write) traffic_[base].bytes_written += request.length;
  if (kind == OpKind::read) traffic_[base].bytes_read += request.length;
  hand_on();
}

void ClientPort::hand_on() {
  while (!queue_.empty() && in_core_ < settings_.core.max_client_ops) {
    Piece piece = std::move(queue_.front());
    queue_.pop_front();
    ++in_core_;
    upstream_.submit(piece.request, std::move(piece.payload));
  }
}

void ClientPort::replied(ClientIo io, IoStatus status, BufferRef data) {
  --in_core_;
  const auto owner = owner_.find(io.value);
  CHECK(owner != owner_.end());
  const auto at = pending_.find(owner->second);
  owner_.erase(owner);
  Pending& pending = at->second;
  if (status != IoStatus::ok) pending.status = status;
  if (--pending.pieces == 0) {
    const Pending done = pending;
    pending_.erase(at);
    const auto connection = connections_.find(done.connection);
    if (connection != connections_.end())
      connection->second->complete(done.slot, error_number(done.status),
                                   done.status == IoStatus::ok ? std::move(data) : BufferRef{});
  }
  hand_on();
}

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

// A client that is gone is forgotten at once. What the core has of its requests takes its course, the answer goes nowhere.
void ClientPort::drop_finished() {
  for (auto at = connections_.begin(); at != connections_.end();) {
    if (!at->second->over()) {
      ++at;
      continue;
    }
    forget_queued(at->first);
    at = connections_.erase(at);
  }
  resume_waiting();
}

// Nobody was promised anything about what the core has not even seen; and clients that come, ask and go while requests wait
// for a quorum must not pile them up here.
void ClientPort::forget_queued(uint64_t connection) {
  std::erase_if(queue_, [&](const Piece& piece) {
    const auto owner = owner_.find(piece.request.io.value);
    const auto pending = pending_.find(owner->second);
    if (pending->second.connection != connection) return false;
    if (--pending->second.pieces == 0) pending_.erase(pending);
    owner_.erase(owner);
    return true;
  });
}

// Memory that a request gave back may be what another session waits for.
void ClientPort::resume_waiting() {
  for (auto& [id, connection] : connections_) connection->resume_if_waiting();
}

}  // namespace lockstep
