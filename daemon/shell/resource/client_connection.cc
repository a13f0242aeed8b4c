#include "shell/resource/client_connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>

namespace lockstep {

namespace {
constexpr Duration kProgressTime = seconds(10);
constexpr size_t kIovecs = 64;
constexpr int kReadsPerTurn = 16;  // then the other sockets have their turn
}  // namespace

ClientConnection::ClientConnection(ClientPort& port, uint64_t id, UniqueFd fd)
    : port_(port), id_(id), fd_(std::move(fd)), session_(*this, *this, port.pool_,
               {256, 64u << 20, static_cast<uint32_t>(port.settings_.core.max_op_bytes)}) {
  watched_ = EPOLLIN | EPOLLOUT;
  port_.loop_.watch(fd_.get(), watched_, *this);
  watch_progress();
}

// A client that negotiates for ever, or that stops in the middle of a payload, holds a place or memory that others need.
void ClientConnection::watch_progress() {
  progress_timer_ = port_.loop_.call_at(port_.loop_.now() + kProgressTime, [this] {
    progress_timer_ = {};
    const bool stuck = bytes_received_ == bytes_at_last_look_ && session_.receiving_payload();
    if (session_.negotiating() || stuck) return close();
    bytes_at_last_look_ = bytes_received_;
    if (!closed_) watch_progress();
  });
}

ClientConnection::~ClientConnection() {
  *alive_ = false;
  if (progress_timer_.value != 0) port_.loop_.cancel(progress_timer_);
  if (!closed_) port_.loop_.unwatch(fd_.get());
}

void ClientConnection::on_ready(uint32_t events) {
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) read_some();
  if (!closed_ && session_.has_output()) write_some();
  update_watch();
}

void ClientConnection::read_some() {
  for (int i = 0; i < kReadsPerTurn && !closed_; ++i) {
    const auto to = session_.recv_target();
    if (to.empty()) return;
    const ssize_t n = ::recv(fd_.get(), to.data(), to.size(), 0);
    if (n > 0) {
      bytes_received_ += static_cast<uint64_t>(n);
      session_.received(static_cast<size_t>(n));
      // A short read has emptied the socket; asking again would cost a system call to hear so.
      if (static_cast<size_t>(n) < to.size()) return;
      continue;
    }
    if (n == 0) {
      session_.peer_closed();
      return;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) close();
    return;
  }
}

void ClientConnection::write_some() {
  std::array<iovec, kIovecs> iovecs;
  while (!closed_ && session_.has_output()) {
    msghdr message{};
    message.msg_iov = iovecs.data();
    message.msg_iovlen = session_.gather(iovecs);
    const ssize_t n = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    if (n >= 0) {
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
  uint32_t wanted = 0;
  if (!session_.recv_target().empty()) wanted |= EPOLLIN;
  if (session_.has_output()) wanted |= EPOLLOUT;
  if (wanted != watched_) {
    watched_ = wanted;
    port_.loop_.modify(fd_.get(), wanted);
  }
}

void ClientConnection::complete(nbd::SlotId slot, int error_number, BufferRef data) {
  session_.complete(slot, error_number, std::move(data));
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
  port_.loop_.unwatch(fd_.get());
  fd_ = UniqueFd();
  port_.loop_.defer([this, alive = alive_] {
    if (*alive) port_.drop_finished();
  });
}

void ClientConnection::opened(const nbd::ExportInfo&) { opened_ = true; }
void ClientConnection::submit(nbd::Request request) { port_.request(id_, std::move(request)); }
std::vector<nbd::ExportListing> ClientConnection::list() { return port_.upstream_.list(); }
nbd::Lookup ClientConnection::look_up(std::string_view name, Purpose) { return port_.upstream_.look_up(name); }

}  // namespace lockstep
