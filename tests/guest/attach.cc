// guest-attach INDEX REQUEST-TIMEOUT DEAD-CONN-TIMEOUT CONNECTIONS EXPORT ADDRESS:PORT...
// Gives /dev/nbdINDEX an export, which the first of the addresses that has it serves, and for each connection that dies a new one, of
// whoever serves it then. Requests wait meanwhile, up to DEAD-CONN-TIMEOUT seconds. (Debian's nbd-client can neither set that nor
// give a device another socket.) Says what it does, a line each, and stays until it is killed.
// guest-attach detach INDEX   takes the export away from the device
#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "guest/netlink.h"

namespace lockstep::guest {
namespace {

constexpr time_t kPatience = 5;  // seconds for each step of a handshake
constexpr uint64_t kOptionMagic = 0x49484156454F5054, kReplyMagic = 0x3E889045565A9;
constexpr uint32_t kGo = 7, kAck = 1, kInfo = 3, kLongestReply = 8192;
constexpr uint16_t kNoZeroes = 2, kFixed = 1, kExportInfo = 0;

struct Address {
  std::string host;
  uint16_t port = 0;
};

Address parse_address(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) throw std::invalid_argument(text + ": ADDRESS:PORT is expected");
  return {text.substr(0, colon), static_cast<uint16_t>(std::stoul(text.substr(colon + 1)))};
}

template <typename Number>
void put(std::string& bytes, Number value) {
  for (size_t shift = sizeof(value) * 8; shift > 0; shift -= 8) bytes += static_cast<char>(value >> (shift - 8));
}

template <typename Number>
Number take(const std::string& bytes, size_t at) {
  Number value = 0;
  for (size_t i = 0; i < sizeof(value); ++i) value = static_cast<Number>(value << 8 | static_cast<uint8_t>(bytes.at(at + i)));
  return value;
}

class Connection {
 public:
  explicit Connection(const Address& address) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (fd_ < 0) fail("socket");
    set_patience(kPatience);
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(address.port);
    if (inet_pton(AF_INET, address.host.c_str(), &to.sin_addr) != 1) throw std::invalid_argument(address.host);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) {
      const int error = errno;
      close(fd_);
      throw std::system_error(error, std::generic_category(), "connect");
    }
  }
  ~Connection() {
    if (fd_ >= 0) close(fd_);
  }
  Connection(Connection&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int fd() const { return fd_; }

  // Opens the export; its size and flags go to the device.
  void negotiate(const std::string& name, Device& device) {
    const std::string greeting = receive(18);
    if (greeting.substr(0, 16) != "NBDMAGICIHAVEOPT") throw std::runtime_error("no NBD server");
    std::string request;
    put<uint32_t>(request, kFixed | kNoZeroes);
    put<uint64_t>(request, kOptionMagic);
    put<uint32_t>(request, kGo);
    put<uint32_t>(request, static_cast<uint32_t>(name.size() + 6));
    put<uint32_t>(request, static_cast<uint32_t>(name.size()));
    request += name;
    put<uint16_t>(request, 0);
    if (::send(fd_, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) fail("send");
    while (true) {
      const std::string header = receive(20);
      const auto kind = take<uint32_t>(header, 12), length = take<uint32_t>(header, 16);
      if (take<uint64_t>(header, 0) != kReplyMagic || length > kLongestReply) throw std::runtime_error("no reply to an option");
      const std::string data = receive(length);
      if (kind == kAck) break;
      if (kind != kInfo) throw std::runtime_error("refused: " + data);
      if (take<uint16_t>(data, 0) == kExportInfo) {
        device.size = take<uint64_t>(data, 2);
        device.flags = take<uint16_t>(data, 10);
      }
    }
    set_patience(0);
  }

 private:
  [[noreturn]] static void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

  void set_patience(time_t seconds) const {
    const timeval time{seconds, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
  }

  std::string receive(size_t length) const {
    std::string data(length, '\0');
    for (size_t done = 0; done < length;) {
      const ssize_t got = recv(fd_, data.data() + done, length - done, 0);
      if (got < 0) fail("recv");
      if (got == 0) throw std::runtime_error("hung up");
      done += static_cast<size_t>(got);
    }
    return data;
  }

  int fd_;
};

// A connection to whoever serves the export.
Connection find_server(const std::vector<Address>& addresses, const std::string& name, Device& device) {
  std::string last;
  while (true) {
    for (const Address& address : addresses) {
      try {
        Connection connection(address);
        connection.negotiate(name, device);
        std::printf("served by port %u\n", address.port);
        return connection;
      } catch (const std::exception& error) {
        const std::string now = std::to_string(address.port) + ": " + error.what();
        if (now != last) std::printf("%s\n", now.c_str());
        last = now;
      }
    }
    usleep(100'000);
  }
}

void run(const std::vector<std::string>& words) {
  Device device;
  if (words.at(0) == "detach") {
    device.index = static_cast<uint32_t>(std::stoul(words.at(1)));
    Netlink().disconnect(device);
    return;
  }
  device.index = static_cast<uint32_t>(std::stoul(words.at(0)));
  device.request_timeout = std::stoul(words.at(1));
  device.dead_conn_timeout = std::stoul(words.at(2));
  const size_t count = std::stoul(words.at(3));
  const std::string& name = words.at(4);
  std::vector<Address> addresses;
  for (size_t i = 5; i < words.size(); ++i) addresses.push_back(parse_address(words[i]));

  Netlink netlink;
  {
    std::vector<Connection> connections;
    std::vector<int> sockets;
    while (connections.size() < count) {
      connections.push_back(find_server(addresses, name, device));
      sockets.push_back(connections.back().fd());
    }
    netlink.connect(device, sockets);  // the kernel holds them from here on
  }
  std::printf("attached nbd%u, %llu bytes, flags %#llx\n", device.index, static_cast<unsigned long long>(device.size),
              static_cast<unsigned long long>(device.flags));
  while (true) {
    if (netlink.wait_for_death() != device.index) continue;
    std::printf("a connection of nbd%u died\n", device.index);
    Device now = device;
    const Connection connection = find_server(addresses, name, now);
    if (now.size != device.size || now.flags != device.flags) throw std::runtime_error("another export");
    netlink.replace_dead(device, connection.fd());
    std::printf("nbd%u has another connection\n", device.index);
  }
}

}  // namespace
}  // namespace lockstep::guest

int main(int argc, char** argv) {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  try {
    lockstep::guest::run({argv + 1, argv + argc});
    return 0;
  } catch (const std::exception& error) {
    std::printf("guest-attach: %s\n", error.what());
    return 1;
  }
}
