#include "tools/cli/daemon_client.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <variant>

namespace lockstep::cli {

namespace {

constexpr int kPatienceSeconds = 5;                // a daemon that lives says so every second
constexpr size_t kLongestLine = 64 * 1024 * 1024;  // a status of very many resources is far shorter

ControlReply failure(std::string text) { return {20, "", "lockstep: " + std::move(text) + "\n"}; }

struct Socket {
  int fd = -1;
  ~Socket() {
    if (fd >= 0) ::close(fd);
  }
};

// The one who listens, although it may never have come to accept us.
ControlReply silence(int fd) {
  ucred daemon{};
  socklen_t size = sizeof daemon;
  const bool known = ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &daemon, &size) == 0 && daemon.pid > 0;
  const std::string who = known ? fmt::format("pid {}", daemon.pid) : "its process";
  return failure(
      fmt::format("lockstepd does not answer ({} is stopped or hangs); nothing was heard of it for {} s.\n"
                  "  Look at its log and its process; {}. A command that it has already read may still be done.",
                  who, kPatienceSeconds,
                  known ? fmt::format("if it is only stopped, kill -CONT {} lets it go on", daemon.pid)
                        : "if it is only stopped, SIGCONT lets it go on"));
}

// A connection that nobody accepts waits in connect() when the queue is full, and its request may find no room.
void limit_sending(int fd) {
  const timeval patience{kPatienceSeconds, 0};
  static_cast<void>(::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience));
}

// True: there is something to read, or the end.
bool hears(int fd) {
  pollfd wanted{fd, POLLIN, 0};
  int ready = 0;
  do {
    ready = ::poll(&wanted, 1, kPatienceSeconds * 1000);
  } while (ready < 0 && errno == EINTR);
  return ready != 0;
}

std::optional<ControlReply> connect_to(const std::string& path, Socket& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return failure(fmt::format("{}: the path is too long for a socket", path));
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  socket.fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket.fd < 0) return failure(fmt::format("cannot create a socket: {}", std::strerror(errno)));
  limit_sending(socket.fd);
  if (::connect(socket.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return std::nullopt;
  if (errno == ENOENT || errno == ECONNREFUSED) {
    return failure(
        fmt::format("lockstepd is not running (nobody answers at {}).\n  Start it, or say where it is: "
                    "--run-dir DIR",
                    path));
  }
  if (errno == EAGAIN)
    return failure(fmt::format("lockstepd does not answer at {} (it is stopped or hangs); others wait for it too", path));
  return failure(fmt::format("cannot reach lockstepd at {}: {}", path, std::strerror(errno)));
}

// A daemon that refuses early closes before it has read all; its reply is still there to be read.
void send_all(int fd, const std::string& text) {
  size_t sent = 0;
  while (sent < text.size()) {
    const ssize_t put = ::send(fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return;
    sent += static_cast<size_t>(put);
  }
}

std::optional<ControlReply> take_line(std::string_view line, const DaemonCallbacks& callbacks) {
  ControlLine parsed = parse_line(line);
  if (auto* reply = std::get_if<ControlReply>(&parsed)) return std::move(*reply);
  if (const auto* wrong = std::get_if<std::string>(&parsed)) return failure(*wrong);
  if (const auto* event = std::get_if<ControlEvent>(&parsed); event && callbacks.on_event) callbacks.on_event(event->text);
  if (const auto* value = std::get_if<nlohmann::json>(&parsed); value && callbacks.on_progress) callbacks.on_progress(*value);
  return std::nullopt;
}

}  // namespace

ControlReply ask_daemon(const std::string& run_dir, const ControlRequest& request, const DaemonCallbacks& callbacks) {
  Socket socket;
  if (auto failed = connect_to(run_dir + "/control.sock", socket)) return *failed;
  send_all(socket.fd, format_request(request));
  std::string pending;
  char chunk[16384];
  for (;;) {
    if (!hears(socket.fd)) return silence(socket.fd);
    const ssize_t got = ::read(socket.fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return failure("lockstepd broke off before it answered");
    pending.append(chunk, static_cast<size_t>(got));
    size_t from = 0;
    for (size_t end = pending.find('\n'); end != std::string::npos; end = pending.find('\n', from)) {
      if (auto reply = take_line(std::string_view(pending).substr(from, end - from), callbacks)) return *reply;
      from = end + 1;
    }
    pending.erase(0, from);
    if (pending.size() > kLongestLine) return failure("the daemon's answer is too long");
  }
}

}  // namespace lockstep::cli
