#include "shell/link/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "shell/link/address.h"
#include "shell/tls/tls_names.h"
#include "wire/message_codec.h"

namespace lockstep {

namespace {

constexpr size_t kPartsPerCall = 64;
constexpr size_t kHeadBytes = 16384;              // small frames are gathered up to this size
constexpr Duration kSpacePoll = milliseconds(1);  // the pool does not say when it has space again

}  // namespace

std::shared_ptr<Connection> Connection::create(EventLoop& loop, UniqueFd fd, ConnectionOwner& owner, bool connecting) {
  std::shared_ptr<Connection> connection(new Connection(loop, std::move(fd), owner, connecting));
  connection->interest_ = connecting ? EPOLLOUT : EPOLLIN;
  loop.watch(connection->fd(), connection->interest_, *connection);
  return connection;
}

Connection::Connection(EventLoop& loop, UniqueFd fd, ConnectionOwner& owner, bool connecting)
    : loop_(loop),
      stream_(std::move(fd)),
      owner_(&owner),
      framer_(nullptr),
      connecting_(connecting),
      initiated_(connecting),
      last_received_(loop.now()),
      last_progress_(loop.now()) {
  set_no_delay(stream_.fd());
}

Connection::~Connection() { close(); }

void Connection::close() {
  if (!stream_.open()) return;
  loop_.unwatch(stream_.fd());
  stream_.close();
  if (space_timer_.value != 0) loop_.cancel(space_timer_);
  space_timer_ = {};
  queue_.clear();
  queued_bytes_ = first_sent_ = 0;
}

void Connection::close_after_flush() {
  if (!stream_.open()) return;
  ConnectionOwner* const owner = std::exchange(owner_, nullptr);  // an error here is of no interest any more
  flush_now();
  close();
  owner_ = owner;
}

void Connection::broken(const std::string& why) {
  close();
  if (owner_ != nullptr) owner_->on_closed(*this, why);
}

void Connection::update_interest() {
  if (!stream_.open()) return;
  uint32_t wanted = 0;
  if (!connecting_ && !paused_ && !framer_.stalled()) wanted |= EPOLLIN;
  if (connecting_ || blocked_) wanted |= EPOLLOUT;
  if (!connecting_ && waits_for_tls()) wanted = stream_.tls()->wants_output() ? EPOLLOUT : EPOLLIN;
  if (wanted == interest_) return;
  interest_ = wanted;
  loop_.modify(stream_.fd(), wanted);
}

void Connection::on_ready(uint32_t events) {
  const auto self = shared_from_this();
  if (connecting_) {
    finish_connecting();
    return;
  }
  if (waits_for_tls()) return shake_hands();
  if ((events & EPOLLOUT) != 0) flush_now();
  if (!stream_.open()) return;
  const bool reading = !paused_ && !framer_.stalled();
  if (reading && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
    read_some();
  } else if (!reading && (events & (EPOLLHUP | EPOLLERR)) != 0) {
    broken("connection lost");  // not reading, so no read() would ever say so
  }
}

void Connection::finish_connecting() {
  int error = 0;
  socklen_t length = sizeof(error);
  if (getsockopt(stream_.fd(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  if (error != 0) {
    broken(std::string("connect: ") + std::strerror(error));
    return;
  }
  connecting_ = false;
  last_received_ = last_progress_ = loop_.now();
  if (keys_) {
    stream_.secure(keys_, TlsSession::Side::connecting, expected_);
    return shake_hands();
  }
  update_interest();
  if (owner_ != nullptr) owner_->on_connected(*this);
}

void Connection::secure(std::shared_ptr<const TlsCredentials> credentials, std::vector<std::string> expected) {
  keys_ = std::move(credentials);
  expected_ = std::move(expected);
  if (!connecting_) stream_.secure(keys_, TlsSession::Side::server_for_nodes);
}

// Its deadline is its owner's.
void Connection::shake_hands() {
  switch (stream_.tls()->handshake()) {
    case TlsSession::Progress::failed:
      return fail_of_tls();
    case TlsSession::Progress::needs_input:
    case TlsSession::Progress::needs_output:
      return update_interest();
    case TlsSession::Progress::done:
      break;
  }
  last_received_ = last_progress_ = loop_.now();
  update_interest();
  if (initiated_ && owner_ != nullptr) owner_->on_connected(*this);
  if (stream_.open() && stream_.pending()) read_soon();
}

// Under TLS the other side may have said why, and hung up: that is there to be read.
void Connection::cannot_send(const std::string& why) {
  if (stream_.tls() != nullptr && !paused_ && !framer_.stalled()) read_some();
  if (stream_.open()) broken("send: " + why);
}

void Connection::fail_of_tls() {
  tls_failed_ = true;
  broken("TLS: " + printable(stream_.tls()->failure()));
}

// Of what TLS has decrypted already no event will tell.
void Connection::read_soon() {
  loop_.defer([self = shared_from_this()] {
    if (self->stream_.open() && !self->paused_ && !self->connecting_ && !self->framer_.stalled()) self->read_some();
  });
}

// --- receiving -------------------------------------------------------------------------------------------

void Connection::read_now() {
  const auto self = shared_from_this();
  if (stream_.open() && !connecting_ && !waits_for_tls() && !paused_ && !framer_.stalled()) read_some();
}

void Connection::read_some() {
  size_t budget = kReadBudget;
  while (deliver()) {
    const auto space = framer_.space();
    std::array<iovec, 2> parts{};
    int count = 0;
    size_t room = 0;
    for (const auto& part : space) {
      if (part.empty()) continue;
      parts[static_cast<size_t>(count++)] = {part.data(), part.size()};
      room += part.size();
    }
    const ssize_t got = stream_.receive(std::span(parts).first(static_cast<size_t>(count)));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (got < 0 && stream_.tls() != nullptr && !stream_.tls()->failure().empty()) return fail_of_tls();
    if (got < 0) return broken(std::string("receive: ") + std::strerror(errno));
    if (got == 0) return broken(framer_.in_frame() ? "closed by the peer within a frame" : "closed by the peer");
    last_received_ = loop_.now();
    framer_.received(static_cast<size_t>(got));
    budget -= std::min(budget, static_cast<size_t>(got));
    const bool drained = static_cast<size_t>(got) < room;
    if (drained || budget == 0) {  // a short read: the next one would only say EAGAIN
      if (deliver() && stream_.pending()) read_soon();
      break;
    }
  }
  update_interest();
}

// Hands on complete frames. False: nothing may be read now.
bool Connection::deliver() {
  while (stream_.open() && !paused_) {
    auto frame = framer_.next();
    if (framer_.error() != FrameError::none) {
      broken(std::string("bad frame: ") + text_of(framer_.error()));
      return false;
    }
    if (!frame) {
      if (framer_.stalled()) wait_for_space();
      return !framer_.stalled();
    }
    if (owner_ != nullptr) owner_->on_frame(*this, std::move(*frame));
  }
  return false;
}

void Connection::wait_for_space() {
  if (space_timer_.value != 0) return;
  space_timer_ = loop_.call_at(loop_.now() + kSpacePoll, [this, weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    space_timer_ = {};
    if (stream_.open() && !paused_) read_some();
  });
  update_interest();
}

void Connection::pause() {
  paused_ = true;
  update_interest();
}

void Connection::resume() {
  if (!paused_) return;
  paused_ = false;
  update_interest();
  // Frames that are here already make the socket no more readable: look at them at the end of this turn.
  loop_.defer([self = shared_from_this()] {
    if (self->stream_.open() && !self->paused_ && !self->connecting_ && !self->waits_for_tls()) self->read_some();
  });
}

// --- sending ---------------------------------------------------------------------------------------------

std::vector<std::byte>& Connection::head_for_more() {
  if (queue_.empty() || queue_.back().payload || queue_.back().head.size() >= kHeadBytes) queue_.emplace_back();
  return queue_.back().head;
}

void Connection::queued(size_t bytes) {
  if (queued_bytes_ == 0) last_progress_ = loop_.now();
  queued_bytes_ += bytes;
  if (flush_due_ || blocked_ || connecting_) return;
  flush_due_ = true;
  loop_.defer([self = shared_from_this()] {
    self->flush_due_ = false;
    if (self->stream_.open()) self->flush_now();
  });
}

void Connection::send(FrameType type, std::span<const std::byte> body) {
  if (!stream_.open()) return;
  auto& head = head_for_more();
  const size_t before = head.size();
  append_frame(head, type, body);
  queued(head.size() - before);
}

void Connection::send(const Message& message, BufferRef payload) {
  if (!stream_.open()) return;
  std::span<const std::byte> bytes;
  const uint64_t length = payload_bytes_of(message);
  if (length > 0) {
    CHECK(payload && payload->size() >= length);
    bytes = payload->bytes().first(length);
  } else {
    payload = {};
  }
  auto& head = head_for_more();
  const size_t before = head.size();
  append_message_frame(head, message, bytes);
  const size_t added = head.size() - before + bytes.size();
  queue_.back().payload = std::move(payload);
  queue_.back().payload_bytes = bytes.size();
  queued(added);
}

void Connection::send(const KeptFrame& frame) {
  if (!stream_.open()) return;
  auto& head = head_for_more();
  head.insert(head.end(), frame.head.begin(), frame.head.end());
  queue_.back().payload = frame.payload;
  queue_.back().payload_bytes = frame.payload_bytes;
  queued(frame.bytes());
}

void Connection::send_frame(std::vector<std::byte> frame) {
  if (!stream_.open() || frame.empty()) return;
  auto& head = head_for_more();
  head.insert(head.end(), frame.begin(), frame.end());
  queued(frame.size());
}

// The next bytes to send, in order. Gives the number of parts.
size_t Connection::gather(std::span<iovec> parts) {
  size_t count = 0;
  size_t skip = first_sent_;
  for (Piece& piece : queue_) {
    if (count + 2 > parts.size()) break;
    const size_t from_head = std::min(skip, piece.head.size());
    const size_t from_payload = skip - from_head;
    skip = 0;
    if (from_head < piece.head.size()) parts[count++] = {piece.head.data() + from_head, piece.head.size() - from_head};
    if (from_payload < piece.payload_bytes) {
      parts[count++] = {piece.payload->data() + from_payload, piece.payload_bytes - from_payload};
    }
  }
  return count;
}

void Connection::consume(size_t bytes) {
  queued_bytes_ -= bytes;
  last_progress_ = loop_.now();
  first_sent_ += bytes;
  while (!queue_.empty() && first_sent_ >= queue_.front().bytes()) {
    first_sent_ -= queue_.front().bytes();
    queue_.pop_front();
  }
}

void Connection::flush_now() {
  const auto self = shared_from_this();
  if (connecting_ || waits_for_tls()) return;
  blocked_ = false;
  while (stream_.open() && queued_bytes_ > 0) {
    std::array<iovec, kPartsPerCall> parts;
    const ssize_t sent = stream_.send(std::span(parts).first(gather(parts)));
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      blocked_ = true;
      break;
    }
    if (sent < 0) return cannot_send(std::strerror(errno));
    consume(static_cast<size_t>(sent));
  }
  update_interest();
}

}  // namespace lockstep
