#include "guest/netlink.h"

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace lockstep::guest {
namespace {

constexpr size_t kLongest = 1 << 16;

[[noreturn]] void fail(const char* what, int error = errno) { throw std::system_error(error, std::generic_category(), what); }

std::string attribute(int kind, std::string_view value) {
  nlattr header{static_cast<uint16_t>(NLA_HDRLEN + value.size()), static_cast<uint16_t>(kind)};
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
  bytes += value;
  bytes.resize(NLA_ALIGN(bytes.size()));
  return bytes;
}

template <typename Number>
std::string number(int kind, Number value) {
  return attribute(kind, {reinterpret_cast<const char*>(&value), sizeof(value)});
}

std::string nested(int kind, std::string_view value) { return attribute(kind | NLA_F_NESTED, value); }

// Calls back with the kind and value of each attribute.
template <typename Callback>
void each_attribute(std::string_view bytes, Callback callback) {
  while (bytes.size() >= sizeof(nlattr)) {
    nlattr header;
    std::memcpy(&header, bytes.data(), sizeof(header));
    if (header.nla_len < NLA_HDRLEN || header.nla_len > bytes.size()) return;
    callback(header.nla_type & NLA_TYPE_MASK, bytes.substr(NLA_HDRLEN, header.nla_len - NLA_HDRLEN));
    bytes.remove_prefix(std::min<size_t>(NLA_ALIGN(header.nla_len), bytes.size()));
  }
}

template <typename Number>
Number as(std::string_view value) {
  Number result{};
  std::memcpy(&result, value.data(), std::min(sizeof(result), value.size()));
  return result;
}

int open_netlink() {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
  if (fd < 0) fail("netlink");
  // An address of its own: what the kernel sends to a group passes by the sockets that have none.
  const sockaddr_nl own{AF_NETLINK, 0, 0, 0};
  if (bind(fd, reinterpret_cast<const sockaddr*>(&own), sizeof(own)) != 0) fail("netlink");
  return fd;
}

std::string receive(int fd) {
  std::string message(kLongest, '\0');
  ssize_t length = 0;
  do {
    length = recv(fd, message.data(), message.size(), 0);
  } while (length < 0 && errno == EINTR);
  if (length < 0) fail("netlink");
  message.resize(static_cast<size_t>(length));
  return message;
}

std::string sockets_attribute(const std::vector<int>& sockets) {
  std::string items;
  for (const int fd : sockets) items += nested(NBD_SOCK_ITEM, number<uint32_t>(NBD_SOCK_FD, static_cast<uint32_t>(fd)));
  return nested(NBD_ATTR_SOCKETS, items);
}

}  // namespace

Netlink::Netlink() : commands_(open_netlink()), events_(open_netlink()) {
  const std::string answer = call(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1,
                                  attribute(CTRL_ATTR_FAMILY_NAME, {NBD_GENL_FAMILY_NAME, sizeof(NBD_GENL_FAMILY_NAME)}));
  uint32_t group = 0;
  each_attribute(answer, [&](int kind, std::string_view value) {
    if (kind == CTRL_ATTR_FAMILY_ID) family_ = as<uint16_t>(value);
    if (kind != CTRL_ATTR_MCAST_GROUPS) return;
    each_attribute(value, [&](int, std::string_view one) {  // there is one group
      each_attribute(one, [&](int what, std::string_view id) {
        if (what == CTRL_ATTR_MCAST_GRP_ID) group = as<uint32_t>(id);
      });
    });
  });
  if (family_ == 0 || group == 0) fail("nbd by netlink", ENOENT);
  join(group);
}

Netlink::~Netlink() {
  close(commands_);
  close(events_);
}

void Netlink::join(uint32_t group) {
  if (setsockopt(events_, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) != 0) fail("netlink group");
}

Netlink::Bytes Netlink::call(uint16_t family, uint8_t command, uint8_t version, const Bytes& attributes) {
  nlmsghdr header{};
  header.nlmsg_len = static_cast<uint32_t>(NLMSG_HDRLEN + GENL_HDRLEN + attributes.size());
  header.nlmsg_type = family;
  header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  genlmsghdr general{command, version, 0};
  Bytes message(reinterpret_cast<const char*>(&header), sizeof(header));
  message.append(reinterpret_cast<const char*>(&general), sizeof(general));
  message += attributes;
  if (send(commands_, message.data(), message.size(), 0) < 0) fail("netlink");

  Bytes said;
  while (true) {  // an answer may come before the acknowledgement
    const Bytes got = receive(commands_);
    std::string_view rest = got;
    while (rest.size() >= sizeof(header)) {
      std::memcpy(&header, rest.data(), sizeof(header));
      if (header.nlmsg_len < NLMSG_HDRLEN || header.nlmsg_len > rest.size()) fail("netlink", EPROTO);
      const std::string_view body = rest.substr(NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN);
      if (header.nlmsg_type == NLMSG_ERROR) {
        if (const int error = as<int>(body)) fail("nbd", -error);
        return said;
      }
      if (body.size() >= GENL_HDRLEN) said = body.substr(GENL_HDRLEN);
      rest.remove_prefix(std::min<size_t>(NLMSG_ALIGN(header.nlmsg_len), rest.size()));
    }
  }
}

void Netlink::connect(const Device& device, const std::vector<int>& sockets) {
  call(family_, NBD_CMD_CONNECT, NBD_GENL_VERSION,
       number<uint32_t>(NBD_ATTR_INDEX, device.index) + number<uint64_t>(NBD_ATTR_SIZE_BYTES, device.size) +
           number<uint64_t>(NBD_ATTR_BLOCK_SIZE_BYTES, Device::kBlock) + number<uint64_t>(NBD_ATTR_SERVER_FLAGS, device.flags) +
           number<uint64_t>(NBD_ATTR_TIMEOUT, device.request_timeout) +
           number<uint64_t>(NBD_ATTR_DEAD_CONN_TIMEOUT, device.dead_conn_timeout) + sockets_attribute(sockets));
}

void Netlink::replace_dead(const Device& device, int socket) {
  call(family_, NBD_CMD_RECONFIGURE, NBD_GENL_VERSION,
       number<uint32_t>(NBD_ATTR_INDEX, device.index) + sockets_attribute({socket}));
}

void Netlink::disconnect(const Device& device) {
  call(family_, NBD_CMD_DISCONNECT, NBD_GENL_VERSION, number<uint32_t>(NBD_ATTR_INDEX, device.index));
}

uint32_t Netlink::wait_for_death() {
  while (true) {
    const Bytes got = receive(events_);
    if (got.size() < NLMSG_HDRLEN + GENL_HDRLEN || got[NLMSG_HDRLEN] != NBD_CMD_LINK_DEAD) continue;
    uint32_t index = 0;
    each_attribute(std::string_view(got).substr(NLMSG_HDRLEN + GENL_HDRLEN), [&](int kind, std::string_view value) {
      if (kind == NBD_ATTR_INDEX) index = as<uint32_t>(value);
    });
    return index;
  }
}

}  // namespace lockstep::guest
