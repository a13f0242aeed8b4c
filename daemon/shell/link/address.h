// Socket addresses as the configuration writes them: "10.1.1.31:7800", "[fe80::1]:7800", "beta.example:7800",
// ":7799".
#pragma once

#include <sys/socket.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "shell/loop/unique_fd.h"

namespace lockstep {

struct HostPort {
  std::string host;  // without brackets; empty: any
  std::string port;  // a number
  friend bool operator==(const HostPort&, const HostPort&) = default;
};
std::string to_text(const HostPort& where);  // with brackets around IPv6
std::optional<HostPort> split_host_port(std::string_view text);

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  std::string to_string() const;  // numeric, "10.1.1.31:7800"
  std::string host() const;       // "10.1.1.31"
  uint16_t port() const;
};

// Resolves, which may block for long unless `literal_only`. Nothing: there is no such name or address.
std::vector<SocketAddress> resolve_now(const HostPort& where, bool literal_only);

// A listening, non-blocking TCP socket. An empty host listens on every address, IPv6 and IPv4 by one socket
// where the system has IPv6. The address must be literal or resolve at once.
Result<UniqueFd> listen_on(const HostPort& where);

// Where a socket is bound (a test asks for port 0).
SocketAddress local_address(int fd);
SocketAddress remote_address(int fd);

// What every socket of ours needs: no delay. A receiver waits for each frame, so nothing is ever held back
// for more.
void set_no_delay(int fd);
// Second line of defence below our own heartbeats: the kernel gives up a connection on which nothing moves.
void set_dead_peer_limits(int fd, int idle_seconds, int user_timeout_ms);

}  // namespace lockstep
