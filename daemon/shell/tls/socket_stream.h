// A non-blocking stream socket that is read and written in the clear, or under TLS from some moment on. Owns the socket.
#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "shell/loop/unique_fd.h"
#include "shell/tls/tls_session.h"

namespace lockstep {

class SocketStream {
 public:
  explicit SocketStream(UniqueFd fd) : fd_(std::move(fd)) {}
  bool open() const { return fd_.ok(); }
  int fd() const { return fd_.get(); }
  void close();

  // From here on nothing goes in the clear. The handshake is the caller's to bring to its end: tls()->handshake().
  void secure(std::shared_ptr<const TlsCredentials> credentials, TlsSession::Side side, std::vector<std::string> expected = {}) {
    tls_ = std::make_unique<TlsSession>(std::move(credentials), side, fd_.get(), std::move(expected));
  }
  TlsSession* tls() const { return tls_.get(); }  // null: in the clear

  // As readv() and sendmsg(). In the clear a short count of receive() has emptied the socket, or there is an error that the next call gives.
  ssize_t receive(std::span<const iovec> parts);
  ssize_t send(std::span<const iovec> parts);
  // Bytes are here that the event loop will not announce.
  bool pending() const { return tls_ && tls_->pending(); }
  // Of the stream, that have come and have not been received: no less than that many, and few more. -1 where the socket does not say.
  int64_t unreceived() const;

 private:
  UniqueFd fd_;
  std::unique_ptr<TlsSession> tls_;
};

}  // namespace lockstep
