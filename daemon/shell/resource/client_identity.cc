#include "shell/resource/client_identity.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <linux/vm_sockets.h>

#include <array>

#include <fmt/format.h>

namespace lockstep {

namespace {

// An IPv4 client of a socket for both families is the same as one of a socket for IPv4.
std::string address_of(const sockaddr_storage& where) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (where.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(where);
    return ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size()) != nullptr ? text.data() : "unknown";
  }
  const in6_addr& v6 = reinterpret_cast<const sockaddr_in6&>(where).sin6_addr;
  const bool mapped = IN6_IS_ADDR_V4MAPPED(&v6);
  const char* shown = mapped ? ::inet_ntop(AF_INET, &v6.s6_addr[12], text.data(), text.size())
                             : ::inet_ntop(AF_INET6, &v6, text.data(), text.size());
  return shown != nullptr ? shown : "unknown";
}

}  // namespace

std::string client_identity(int fd) {
  sockaddr_storage where{};
  socklen_t size = sizeof where;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&where), &size) != 0) return "unknown";
  if (where.ss_family == AF_INET || where.ss_family == AF_INET6) return address_of(where);
  if (where.ss_family == AF_VSOCK) return fmt::format("vm {}", reinterpret_cast<const sockaddr_vm&>(where).svm_cid);
  ucred who{};
  size = sizeof who;
  if (where.ss_family != AF_UNIX || ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return "unknown";
  return fmt::format("uid {}", who.uid);
}

}  // namespace lockstep
