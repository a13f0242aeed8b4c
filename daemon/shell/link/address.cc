#include "shell/link/address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace lockstep {

namespace {

void set_option(int fd, int level, int name, int value) {
  // Refused only for options that a kernel lacks; each of them is a help, none a condition.
  if (setsockopt(fd, level, name, &value, sizeof(value)) != 0) return;
}

SocketAddress any_address(int family, uint16_t port) {
  SocketAddress address;
  if (family == AF_INET6) {
    sockaddr_in6 in6{};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    std::memcpy(&address.storage, &in6, sizeof(in6));
    address.length = sizeof(in6);
  } else {
    sockaddr_in in4{};
    in4.sin_family = AF_INET;
    in4.sin_port = htons(port);
    std::memcpy(&address.storage, &in4, sizeof(in4));
    address.length = sizeof(in4);
  }
  return address;
}

Result<UniqueFd> listen_at(const SocketAddress& address) {
  UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.ok()) return Error{errno, "socket"};
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.storage.ss_family == AF_INET6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (::bind(fd.get(), address.get(), address.length) != 0) return Error{errno, "bind"};
  if (::listen(fd.get(), 1024) != 0) return Error{errno, "listen"};
  return fd;
}

}  // namespace

std::string to_text(const HostPort& where) {
  return (where.host.find(':') != std::string::npos ? "[" + where.host + "]" : where.host) + ":" + where.port;
}

std::optional<HostPort> split_host_port(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (port.empty() || port.size() > 5 || !std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    return std::nullopt;
  }
  if (std::stoi(std::string(port)) > 65535) return std::nullopt;
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;  // an IPv6 address needs its brackets
  }
  return HostPort{std::string(host), std::string(port)};
}

std::string SocketAddress::host() const {
  char text[NI_MAXHOST];
  if (getnameinfo(get(), length, text, sizeof(text), nullptr, 0, NI_NUMERICHOST) != 0) return "?";
  // IPv4 that came by a socket for both: by the name under which it is configured.
  const std::string_view whole = text;
  constexpr std::string_view kMapped = "::ffff:";
  const bool mapped = whole.starts_with(kMapped) && whole.find('.') != std::string_view::npos;
  return std::string(mapped ? whole.substr(kMapped.size()) : whole);
}

uint16_t SocketAddress::port() const {
  char text[NI_MAXSERV];
  if (getnameinfo(get(), length, nullptr, 0, text, sizeof(text), NI_NUMERICSERV) != 0) return 0;
  return static_cast<uint16_t>(std::stoi(text));
}

std::string SocketAddress::to_string() const {
  const std::string name = host();
  const bool v6 = name.find(':') != std::string::npos;
  return (v6 ? "[" + name + "]" : name) + ":" + std::to_string(port());
}

std::vector<SocketAddress> resolve_now(const HostPort& where, bool literal_only) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (literal_only ? AI_NUMERICHOST : 0);
  addrinfo* list = nullptr;
  if (getaddrinfo(where.host.empty() ? nullptr : where.host.c_str(), where.port.c_str(), &hints, &list) != 0) return {};
  std::vector<SocketAddress> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    SocketAddress address;
    if (entry->ai_addrlen > sizeof(address.storage)) continue;
    std::memcpy(&address.storage, entry->ai_addr, entry->ai_addrlen);
    address.length = entry->ai_addrlen;
    addresses.push_back(address);
  }
  freeaddrinfo(list);
  return addresses;
}

Result<UniqueFd> listen_on(const HostPort& where) {
  if (where.host.empty()) {
    const auto port = static_cast<uint16_t>(std::stoi(where.port));
    auto both = listen_at(any_address(AF_INET6, port));
    if (both.ok() || both.error().os != EAFNOSUPPORT) return both;
    return listen_at(any_address(AF_INET, port));
  }
  const auto addresses = resolve_now(where, false);
  if (addresses.empty()) return Error{EADDRNOTAVAIL, "resolve the own address"};
  return listen_at(addresses.front());
}

SocketAddress local_address(int fd) {
  SocketAddress address;
  address.length = sizeof(address.storage);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.length) != 0) address.length = 0;
  return address;
}

SocketAddress remote_address(int fd) {
  SocketAddress address;
  address.length = sizeof(address.storage);
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.length) != 0) address.length = 0;
  return address;
}

void set_no_delay(int fd) { set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1); }

void set_dead_peer_limits(int fd, int idle_seconds, int user_timeout_ms) {
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, std::max(1, idle_seconds));
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, std::max(1, idle_seconds));
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, user_timeout_ms);
}

}  // namespace lockstep
