// The kernel's NBD client by generic netlink: connects a device to sockets, gives it others, and hears which have died.
#pragma once

#include <linux/nbd-netlink.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::guest {

struct Device {
  uint32_t index = 0;  // of /dev/nbdN
  uint64_t size = 0;
  uint64_t flags = 0;              // the export's transmission flags
  uint64_t request_timeout = 0;    // seconds until a socket that does not answer is given up; 0: never
  uint64_t dead_conn_timeout = 0;  // seconds that requests wait for another socket before they fail
  static constexpr uint64_t kBlock = 512;
};

// Everything throws std::system_error.
class Netlink {
 public:
  Netlink();  // hears of dead sockets from here on
  ~Netlink();
  Netlink(const Netlink&) = delete;
  Netlink& operator=(const Netlink&) = delete;

  void connect(const Device& device, const std::vector<int>& sockets);
  void replace_dead(const Device& device, int socket);
  void disconnect(const Device& device);
  // Waits for the death of a socket; returns its device's index.
  uint32_t wait_for_death();

 private:
  using Bytes = std::string;
  // Sends a command, and returns the attributes of the answer.
  Bytes call(uint16_t family, uint8_t command, uint8_t version, const Bytes& attributes);
  void join(uint32_t group);

  int commands_ = -1, events_ = -1;
  uint16_t family_ = 0;
};

}  // namespace lockstep::guest
