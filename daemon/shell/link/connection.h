// One TCP connection of framed messages on an event loop, in the clear or under TLS.
//
// Sending: frames are queued and go out together at the end of the turn, gathered from their own memory
// (header and body bytes, payload buffers) without a copy. The queue is bounded by what its owner lets in;
// send() never refuses, queued_bytes() tells. Receiving: at most kReadBudget bytes a turn, so that one busy
// peer does not starve the others; when the payload pool is exhausted the socket is not read until there is
// space again, and TCP slows the peer down.
//
// Owned by shared_ptr, because a handler may close its own connection while it runs. After close() nothing is
// called any more.
#pragma once

#include <sys/uio.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "shell/event_loop.h"
#include "shell/loop/unique_fd.h"
#include "shell/tls/socket_stream.h"
#include "wire/framer.h"
#include "wire/lane_numbers.h"

namespace lockstep {

class Connection;

class ConnectionOwner {
 public:
  virtual ~ConnectionOwner() = default;
  virtual void on_connected(Connection& connection) = 0;  // where it was connecting; under TLS once that stands
  virtual void on_frame(Connection& connection, Frame frame) = 0;
  // The stream ended or broke, or the peer sent what is no frame. The connection is closed already.
  virtual void on_closed(Connection& connection, const std::string& why) = 0;
};

class Connection final : public FdHandler, public std::enable_shared_from_this<Connection> {
 public:
  static constexpr size_t kReadBudget = size_t{1} << 20;

  // `fd` is a non-blocking stream socket, connected or, with `connecting`, on its way. Until set_pool() a
  // frame with a payload is an error: nobody makes us hold memory before it has proved who it is, and control
  // lanes never carry one.
  static std::shared_ptr<Connection> create(EventLoop& loop, UniqueFd fd, ConnectionOwner& owner, bool connecting);
  // From the first byte on. Right after create(). `expected`: what the other side's certificate has to be for; for the accepting side nothing.
  void secure(std::shared_ptr<const TlsCredentials> credentials, std::vector<std::string> expected = {});
  bool tls_failed() const { return tls_failed_; }  // that is why it was closed
  bool is_secure() const { return keys_ != nullptr; }
  bool is_certified_for(const std::string& name) const {
    return stream_.tls() != nullptr && stream_.tls()->is_certified_for({name});
  }
  std::vector<std::byte> channel() const {
    return stream_.tls() != nullptr ? stream_.tls()->channel() : std::vector<std::byte>();
  }  // once TLS stands
  ~Connection() override;

  void set_owner(ConnectionOwner& owner) { owner_ = &owner; }
  void leave_owner() { owner_ = nullptr; }  // until the next set_owner(): an end of the stream only closes it
  void set_pool(BufferPool& pool) { framer_.set_pool(pool); }

  void send(FrameType type, std::span<const std::byte> body);
  void send(const Message& message, BufferRef payload);
  void send(const KeptFrame& frame);
  void send_frame(std::vector<std::byte> frame);  // made by append_frame()

  // Between pause() and resume() nothing is read and on_frame() is not called; what was received already
  // waits.
  void pause();
  void resume();

  void close();
  // Tries to get out what is queued, once, then closes. For a refusal.
  void close_after_flush();
  bool is_open() const { return stream_.open(); }
  int fd() const { return stream_.fd(); }

  // Takes in what the kernel holds already: asked before a peer is declared dead because we ourselves were
  // asleep.
  void read_now();
  void flush_now();

  Instant last_received() const { return last_received_; }  // any byte
  Instant last_progress() const { return last_progress_; }  // the kernel took a byte, or the queue was empty
  size_t queued_bytes() const { return queued_bytes_; }

 private:
  struct Piece {  // frames without payload share one; a payload ends it
    std::vector<std::byte> head;
    BufferRef payload;
    size_t payload_bytes = 0;
    size_t bytes() const { return head.size() + payload_bytes; }
  };

  Connection(EventLoop& loop, UniqueFd fd, ConnectionOwner& owner, bool connecting);
  void on_ready(uint32_t events) override;
  void finish_connecting();
  void shake_hands();
  void fail_of_tls();
  void cannot_send(const std::string& why);
  bool waits_for_tls() const { return keys_ != nullptr && (stream_.tls() == nullptr || !stream_.tls()->established()); }
  void read_some();
  void read_soon();
  bool deliver();
  void wait_for_space();
  std::vector<std::byte>& head_for_more();
  void queued(size_t bytes);
  size_t gather(std::span<iovec> parts);
  void consume(size_t bytes);
  void update_interest();
  void broken(const std::string& why);

  EventLoop& loop_;
  SocketStream stream_;
  std::shared_ptr<const TlsCredentials> keys_;  // null: in the clear
  std::vector<std::string> expected_;
  ConnectionOwner* owner_;
  Framer framer_;
  std::deque<Piece> queue_;
  size_t first_sent_ = 0;  // bytes of the first piece that are gone
  size_t queued_bytes_ = 0;
  bool connecting_;
  const bool initiated_;
  bool tls_failed_ = false;
  bool paused_ = false;
  bool flush_due_ = false;
  bool blocked_ = false;  // the kernel's send buffer is full
  uint32_t interest_ = 0;
  TimerId space_timer_;
  Instant last_received_;
  Instant last_progress_;
};

}  // namespace lockstep
