#include "shell/loop/write_cache.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fstream>
#include <iterator>
#include <string>

namespace lockstep {

namespace {

std::string read_small_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

bool means_volatile(std::string_view write_cache) { return write_cache.substr(0, 13) != "write through"; }

bool has_volatile_cache(const OpenedDevice& device) {
  struct stat status {};
  if (::fstat(device.fd, &status) != 0 || !S_ISBLK(status.st_mode)) return true;
  const std::string place = fmt::format("/sys/dev/block/{}:{}", major(status.st_rdev), minor(status.st_rdev));
  std::string said = read_small_file(place + "/queue/write_cache");
  if (said.empty()) said = read_small_file(place + "/../queue/write_cache");  // a partition has its disk's
  return means_volatile(said);
}

}  // namespace lockstep
