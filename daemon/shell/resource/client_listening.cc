#include "shell/resource/client_listening.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <linux/vm_sockets.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "shell/link/address.h"
#include "shell/loop/passed_sockets.h"

namespace lockstep {

namespace {

constexpr int kBacklog = 1024;

UniqueFd stream_socket(int family) { return UniqueFd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)); }

Result<UniqueFd> listen_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return Error{ENAMETOOLONG, "bind"};
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd fd = stream_socket(AF_UNIX);
  if (!fd.ok()) return Error{errno, "socket"};
  const auto* where = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(fd.get(), where, sizeof address) == 0) return Error{EADDRINUSE, "bind"};
  fd = stream_socket(AF_UNIX);
  if (!fd.ok()) return Error{errno, "socket"};
  struct stat what {};
  if (::lstat(path.c_str(), &what) == 0 && S_ISSOCK(what.st_mode)) ::unlink(path.c_str());
  if (::bind(fd.get(), where, sizeof address) != 0) return Error{errno, "bind"};
  if (::chmod(path.c_str(), 0660) != 0) return Error{errno, "chmod"};
  if (::listen(fd.get(), kBacklog) != 0) return Error{errno, "listen"};
  return fd;
}

Result<UniqueFd> listen_vsock(uint32_t port) {
  UniqueFd fd = stream_socket(AF_VSOCK);
  if (!fd.ok()) return Error{errno, "socket"};
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_ANY;
  address.svm_port = port;
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return Error{errno, "bind"};
  if (::listen(fd.get(), kBacklog) != 0) return Error{errno, "listen"};
  return fd;
}

// As others call this machine: a host is 2 for its guests, a guest has a number of its own.
uint32_t own_cid() {
  const UniqueFd device(::open("/dev/vsock", O_RDONLY | O_CLOEXEC));
  uint32_t cid = 0;
  const bool known = device.ok() && ::ioctl(device.get(), IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) == 0;
  return known && cid > VMADDR_CID_HOST && cid != VMADDR_CID_ANY ? cid : VMADDR_CID_HOST;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::strchr("-._~/", c) != nullptr;
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string unix_uri(std::string_view path, std::string_view name) {
  return fmt::format("nbd+unix:///{}?socket={}", escaped(name), escaped(path));
}

std::string tcp_uri(const char* scheme, std::string_view host, std::string_view port, std::string_view node,
                    std::string_view name) {
  const bool any = host.empty() || host == "0.0.0.0" || host == "::";
  const std::string_view shown = any ? node : host;
  const bool brackets = shown.find(':') != std::string_view::npos;
  return fmt::format("{}://{}{}{}:{}/{}", scheme, brackets ? "[" : "", shown, brackets ? "]" : "", port, escaped(name));
}

std::string passed_uri(int fd, const char* scheme, std::string_view node, std::string_view name) {
  const SocketAddress at = local_address(fd);
  if (at.storage.ss_family == AF_INET || at.storage.ss_family == AF_INET6)
    return tcp_uri(scheme, at.host(), std::to_string(at.port()), node, name);
  const auto& local = reinterpret_cast<const sockaddr_un&>(at.storage);
  const bool has_path = at.storage.ss_family == AF_UNIX && at.length > sizeof(sa_family_t) && local.sun_path[0] != '\0';
  return has_path ? unix_uri(std::string_view(local.sun_path, ::strnlen(local.sun_path, sizeof local.sun_path)), name) : "";
}

}  // namespace

Result<std::vector<UniqueFd>> listen_for_clients(const NbdAddress& address) {
  if (!address.systemd.empty()) {
    std::vector<UniqueFd> passed = passed_sockets(address.systemd);
    if (passed.empty()) return Error{ENOENT, "no listening socket of that FileDescriptorName was passed by systemd"};
    return passed;
  }
  Result<UniqueFd> fd = !address.unix_path.empty() ? listen_unix(address.unix_path)
                        : address.vsock_port != 0  ? listen_vsock(address.vsock_port)
                                                   : listen_on(address.tcp);
  if (!fd) return fd.error();
  std::vector<UniqueFd> all;
  all.push_back(std::move(fd).value());
  return all;
}

std::string to_text(const NbdAddress& address) {
  if (!address.systemd.empty()) return "systemd:" + address.systemd;
  if (!address.unix_path.empty()) return "unix:" + address.unix_path;
  return address.vsock_port != 0 ? fmt::format("vsock:{}", address.vsock_port) : to_text(address.tcp);
}

std::vector<std::string> nbd_uris(const std::vector<NbdAddress>& addresses, nbd::TlsPolicy tls, std::string_view node,
                                  std::string_view name) {
  const bool forced = tls == nbd::TlsPolicy::forced;
  const char* scheme = forced ? "nbds" : "nbd";
  std::vector<std::string> all;
  for (const NbdAddress& address : addresses) {
    if (!address.systemd.empty()) {
      for (const UniqueFd& fd : passed_sockets(address.systemd)) all.push_back(passed_uri(fd.get(), scheme, node, name));
    } else if (!address.unix_path.empty()) {
      all.push_back(unix_uri(address.unix_path, name));
    } else if (address.vsock_port != 0) {
      all.push_back(fmt::format("{}+vsock://{}:{}/{}", scheme, own_cid(), address.vsock_port, escaped(name)));
    } else {
      all.push_back(tcp_uri(scheme, address.tcp.host, address.tcp.port, node, name));
    }
  }
  std::erase(all, "");
  return all;
}

}  // namespace lockstep
