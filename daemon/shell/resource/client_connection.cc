#include "shell/resource/client_connection.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "shell/resource/client_identity.h"
#include "shell/tls/tls_names.h"

namespace lockstep {

namespace {
constexpr uint32_t kLooksForNegotiation = 10;
constexpr size_t kIovecs = 64;
constexpr int kReadsPerTurn = 16;  // then the other sockets have their turn

// Who may use a unix socket is said by its permissions, and its bytes pass no wire.
nbd::TlsPolicy policy_for(const ResourceSettings& settings, bool local) {
  return local && settings.tls == nbd::TlsPolicy::forced ? nbd::TlsPolicy::selective : settings.tls;
}

}  // namespace

ClientConnection::ClientConnection(ClientPort& port, uint64_t id, UniqueFd fd, bool local)
    : port_(port),
      id_(id),
      stream_(std::move(fd)),
      local_(local),
      client_(client_identity(stream_.fd())),
      session_(*this, *this, port.pool_, {256, 64u << 20, static_cast<uint32_t>(port.settings_.core.max_op_bytes)},
               policy_for(port.settings_, local)),
      account_(port.loop_.now()),
      history_(port.history_of(client_)) {
  watched_ = EPOLLIN | EPOLLOUT;
  port_.loop_.watch(stream_.fd(), watched_, *this);
}

ClientConnection::~ClientConnection() {
  *alive_ = false;
  if (!closed_) port_.loop_.unwatch(stream_.fd());
}

// Those who have not even asked for the export: strangers before users of this machine, and the silent first. Then those that hung
// up and only wait to be answered.
int ClientConnection::rank() const {
  if (!closed_ && session_.negotiating()) return (local_ ? 2 : 0) + (bytes_received_ > 0 ? 1 : 0);
  return leaving() ? kServed - 1 : kServed;
}

void ClientConnection::look(Shortage shortage) {
  if (closed_) return;
  if (session_.negotiating() && ++looks_in_negotiation_ > kLooksForNegotiation) return turn_out("negotiates for too long");
  if (receiving_.too_slow(session_.held_for_receiving(), bytes_received_, shortage.payloads))
    return turn_out("does not send the data that it announced");
  // Memory or not, a client that takes no replies has to go some day; soon, when it has nothing more to ask.
  const uint64_t held = session_.held_for_sending();
  const bool wanted = leaving() || (shortage.replies && held > 0);
  if (sending_.too_slow(std::max<uint64_t>(held, session_.has_output() ? 1 : 0), bytes_sent_, wanted))
    turn_out("does not take its replies");
}

// Of what TLS has decrypted already no event will tell.
void ClientConnection::read_soon() {
  if (read_queued_) return;
  read_queued_ = true;
  port_.loop_.defer([this, alive = alive_] {
    if (!*alive) return;
    read_queued_ = false;
    if (!closed_) on_ready(EPOLLIN);
  });
}

void ClientConnection::turn_out(std::string_view why) {
  port_.log_.line(LogLevel::warning, fmt::format("closed an NBD client: it {}", why));
  close();
}

void ClientConnection::on_ready(uint32_t events) {
  port_.turn();
  if (waits_for_tls()) return shake_hands();
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read_some();
  if (!closed_ && session_.has_output()) write_some();
  // Gone for good, while nothing is to be read from it: no recv() will say so, and the loop would report it for ever.
  if (!closed_ && (events & (EPOLLHUP | EPOLLERR)) != 0 && session_.recv_target().empty()) return close();
  update_watch();
}

// The time that it may take is that of the negotiation.
void ClientConnection::shake_hands() {
  if (!session_.wants_tls()) return update_watch();  // it was shut down a moment ago
  switch (stream_.tls()->handshake()) {
    case TlsSession::Progress::done:
      return secured();
    case TlsSession::Progress::failed:
      return turn_out(fmt::format("did not get through TLS: {}", printable(stream_.tls()->failure())));
    case TlsSession::Progress::needs_input:
    case TlsSession::Progress::needs_output:
      return update_watch();
  }
}

// From here on the client is who it has proved to be, if it has.
void ClientConnection::secured() {
  TlsSession::Identity is = stream_.tls()->identity();
  proven_ = std::move(is.names);
  if (!is.shown.empty()) {
    client_ = std::move(is.shown);
    history_ = port_.history_of(client_);
  }
  session_.secured();
  read_some();
  if (!closed_ && session_.has_output()) write_some();
  update_watch();
}

std::optional<nbd::Refusal> ClientConnection::refused_by_name() const {
  using Kind = nbd::Refusal::Kind;
  if (!port_.keys_) return std::nullopt;
  const auto keys = keys_ ? keys_ : port_.keys_->current();
  if (!keys->names_who_may() || (local_ && proven_.empty())) return std::nullopt;
  if (stream_.tls() == nullptr) return nbd::Refusal{Kind::tls_required, "exports are for clients that prove by TLS who they are"};
  if (proven_.empty())
    return nbd::Refusal{Kind::policy,
                        "exports are for clients that prove who they are: show a certificate, or use a pre-shared key"};
  if (keys->allows(proven_)) return std::nullopt;
  return nbd::Refusal{Kind::policy, fmt::format("{} is not among those who may open exports here", client_)};
}

void ClientConnection::read_some() {
  for (int i = 0; i < kReadsPerTurn && !closed_; ++i) {
    const auto to = session_.recv_target();
    if (to.empty()) return note_backlog();
    const std::array<iovec, 1> into{{{to.data(), to.size()}}};
    const ssize_t n = stream_.receive(into);
    if (n > 0) {
      bytes_received_ += static_cast<uint64_t>(n);
      session_.received(static_cast<size_t>(n));
      // A short read has emptied the socket; asking again would cost a system call to hear so.
      if (static_cast<size_t>(n) < to.size()) return note_rest();
      continue;
    }
    if (n == 0) {
      session_.peer_closed();
      return;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) close();
    return note_rest();
  }
  note_backlog();
}

// After all that could be received: in the clear that was all. Of a TLS record part may have come.
void ClientConnection::note_rest() { return stream_.tls() != nullptr ? note_backlog() : note_backlog(0); }

void ClientConnection::note_backlog(uint64_t in_socket) {
  const uint64_t unjudged = session_.unjudged_bytes();
  backlog_.looked(port_.turn(), port_.requests_.last(), bytes_received_ - unjudged, unjudged + in_socket);
}

void ClientConnection::note_backlog() {
  const int64_t in_socket = stream_.unreceived();
  if (!closed_ && in_socket >= 0) note_backlog(static_cast<uint64_t>(in_socket));
}

bool ClientConnection::comes_late(const Range& range) const {
  return backlog_.any() ? may_be_old(backlog_.since(), range) : history_->overtaken(port_.turn(), range);
}

// The socket is asked, for no event needs to have come yet. A client that has ended its own side only may be waiting for its answers: that is
// no reason to refuse them, unless it did the same work by another connection.
bool ClientConnection::may_be_old(ClientSequence since, const Range& range) const {
  if (closed_ || history_->overtaken(since, range)) return true;
  pollfd is{stream_.fd(), POLLRDHUP, 0};
  if (::poll(&is, 1, 0) <= 0) return false;
  return (is.revents & (POLLHUP | POLLERR)) != 0 || history_->changed_elsewhere(id_, since, range);
}

bool ClientConnection::done_with() const {
  if (closed_) return true;
  if (session_.outstanding() > 0 || session_.unjudged_bytes() > 0) return false;
  pollfd is{stream_.fd(), POLLRDHUP, 0};
  return ::poll(&is, 1, 0) > 0 && stream_.unreceived() == 0;
}

void ClientConnection::write_some() {
  std::array<iovec, kIovecs> iovecs;
  while (!closed_ && session_.has_output()) {
    const ssize_t n = stream_.send(std::span(iovecs).first(session_.gather(iovecs)));
    if (n >= 0) {
      bytes_sent_ += static_cast<uint64_t>(n);
      session_.consume(static_cast<size_t>(n));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) close();
    return;
  }
}

void ClientConnection::update_watch() {
  if (closed_) return;
  if (session_.finished()) return close();
  if (session_.wants_tls() && stream_.tls() == nullptr) {
    keys_ = port_.keys_->current();
    stream_.secure(keys_, TlsSession::Side::server_for_clients);
    return shake_hands();
  }
  if (backlog_.any() && session_.unjudged_bytes() == 0) note_backlog();  // it may be over, and no event says so
  uint32_t wanted = 0;
  if (!session_.recv_target().empty()) wanted |= EPOLLIN;
  if (session_.has_output()) wanted |= EPOLLOUT;
  if (waits_for_tls()) wanted = stream_.tls()->wants_output() ? EPOLLOUT : EPOLLIN;
  if (stream_.pending() && !session_.recv_target().empty()) read_soon();
  if (wanted != watched_) {
    watched_ = wanted;
    port_.loop_.modify(stream_.fd(), wanted);
  }
}

void ClientConnection::complete(nbd::SlotId slot, int error_number, BufferRef data) {
  account_.ends(slot, error_number == 0);
  session_.complete(slot, error_number, std::move(data));
  flush_soon();
}

void ClientConnection::complete_status(nbd::SlotId slot, std::vector<nbd::ContextStatus> known) {
  account_.ends(slot, true);
  session_.complete_status(slot, std::move(known));
  flush_soon();
}

// Replies of one turn leave together.
void ClientConnection::flush_soon() {
  if (flush_queued_) return;
  flush_queued_ = true;
  port_.loop_.defer([this, alive = alive_] {
    if (!*alive) return;
    flush_queued_ = false;
    if (!closed_) write_some();
    update_watch();
    port_.resume_waiting();
    if (closed_) port_.drop_finished();
  });
}

void ClientConnection::resume_if_waiting() {
  if (closed_ || !session_.waits_for_memory()) return;
  session_.resume();
  update_watch();
}

void ClientConnection::shut_down() {
  session_.shutdown();
  flush_soon();
}

void ClientConnection::close() {
  if (closed_) return;
  closed_ = true;
  session_.abandon();
  port_.loop_.unwatch(stream_.fd());
  stream_.close();
  port_.loop_.defer([this, alive = alive_] {
    if (*alive) port_.drop_finished();
  });
}

void ClientConnection::opened(const nbd::ExportInfo& info) {
  opened_ = true;
  base_ = info.tag;
}

void ClientConnection::refuse_change(const nbd::Request& request, int error_number, std::string_view why) {
  account_.refused();
  port_.log_.line(LogLevel::warning, fmt::format("{}: a change was not made: {}", client_, why));
  complete(request.slot, error_number, {});
}

void ClientConnection::submit(nbd::Request request) {
  account_.begins(request, port_.loop_.now());
  if (!changes(request.type)) return port_.request(*this, std::move(request));
  const Range range{base_ + request.offset, request.length};
  if (comes_late(range))
    return refuse_change(request, ESHUTDOWN, "it came late, and the client is gone or has written there by another connection");
  if (barred_ || !port_.may_change(*this)) return refuse_change(request, EPERM, "another NBD client writes there");
  history_->changed(port_.requests_.next(), id_, range);
  port_.request(*this, std::move(request));
}

ClientView ClientConnection::show() const {
  ClientView view;
  view.client = client_;
  view.local = local_;
  view.tls = stream_.tls() != nullptr;
  if (opened_) {
    const nbd::ExportInfo& info = session_.negotiated().export_info;
    view.export_name = info.name;
    view.access = info.read_only ? ClientAccess::read_only : barred_ ? ClientAccess::barred : ClientAccess::read_write;
  }
  account_.show(view, port_.loop_.now());
  return view;
}

std::vector<nbd::ExportListing> ClientConnection::list() {
  return refused_by_name() ? std::vector<nbd::ExportListing>() : port_.upstream_.list();
}
nbd::Lookup ClientConnection::look_up(std::string_view name, Purpose) { return port_.look_up(name, *this); }

}  // namespace lockstep
