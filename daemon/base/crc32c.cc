#include "base/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>

namespace lockstep {

uint32_t crc32c_extend(uint32_t crc, std::span<const std::byte> data) {
  // ISA-L leaves initial and final inversion to its caller and takes an int length and a pointer without const.
  uint32_t state = ~crc;
  while (!data.empty()) {
    const size_t piece = std::min<size_t>(data.size(), size_t{1} << 30);
    auto* bytes = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(data.data()));
    state = crc32_iscsi(bytes, static_cast<int>(piece), state);
    data = data.subspan(piece);
  }
  return ~state;
}

uint32_t crc32c(std::span<const std::byte> data) { return crc32c_extend(0, data); }

}  // namespace lockstep
