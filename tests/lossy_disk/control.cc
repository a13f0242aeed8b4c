#include "lossy_disk/control.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace lockstep::lossy {

Control::Control(Disk& disk, const std::string& path)
    : disk_(disk), path_(path), listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) throw std::system_error(ENAMETOOLONG, std::generic_category(), path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (listener_ < 0 || ::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::listen(listener_, 8) != 0)
    throw std::system_error(errno, std::generic_category(), path);
  thread_ = std::thread([this] { serve(); });
}

Control::~Control() {
  ::shutdown(listener_, SHUT_RDWR);
  thread_.join();
  ::close(listener_);
  ::unlink(path_.c_str());
}

void Control::serve() {
  for (;;) {
    const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0 && errno == EINTR) continue;
    if (connection < 0) return;
    answer(connection);
    ::close(connection);
  }
}

void Control::answer(int connection) {
  std::string line;
  char buffer[256];
  while (line.find('\n') == std::string::npos) {
    const ssize_t n = ::read(connection, buffer, sizeof(buffer));
    if (n <= 0) return;
    line.append(buffer, static_cast<size_t>(n));
  }
  const std::string said = disk_.command(line.substr(0, line.find('\n'))) + "\n";
  [[maybe_unused]] const ssize_t sent = ::send(connection, said.data(), said.size(), MSG_NOSIGNAL);
}

}  // namespace lockstep::lossy
