#include "loop_fixture.h"

#include <stdio.h>
#include <unistd.h>

#include <array>

namespace lockstep::conformance {

std::string attach_loop_device(const std::string& file) {
  if (geteuid() != 0) return {};
  FILE* out = popen(("losetup --find --show '" + file + "' 2>/dev/null").c_str(), "r");
  if (out == nullptr) return {};
  std::array<char, 256> line{};
  const bool got = fgets(line.data(), static_cast<int>(line.size()), out) != nullptr;
  pclose(out);
  if (!got) return {};
  std::string device(line.data());
  while (!device.empty() && device.back() == '\n') device.pop_back();
  return device;
}

void detach_loop_device(const std::string& device) { run_command("losetup --detach '" + device + "'"); }

}  // namespace lockstep::conformance
