#include "shell/tls/socket_stream.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

namespace lockstep {

void SocketStream::close() {
  if (tls_ && fd_.ok()) tls_->say_goodbye();
  tls_.reset();
  fd_ = UniqueFd();
}

ssize_t SocketStream::receive(std::span<const iovec> parts) {
  if (tls_) return tls_->receive(parts);
  if (parts.size() == 1) return ::recv(fd_.get(), parts.front().iov_base, parts.front().iov_len, 0);
  return ::readv(fd_.get(), parts.data(), static_cast<int>(parts.size()));
}

ssize_t SocketStream::send(std::span<const iovec> parts) {
  if (tls_) return tls_->send(parts);
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());
  message.msg_iovlen = parts.size();
  return ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
}

int64_t SocketStream::unreceived() const {
  int bytes = 0;
  if (!fd_.ok() || ::ioctl(fd_.get(), FIONREAD, &bytes) != 0) return -1;
  return bytes + static_cast<int64_t>(tls_ ? tls_->unread_in_part() : 0);
}

}  // namespace lockstep
