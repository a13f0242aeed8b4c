// CRC32C (Castagnoli), as in RFC 3720 appendix B.4. ISA-L does the work.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace lockstep {

uint32_t crc32c(std::span<const std::byte> data);
// Continues a checksum over data that comes in pieces.
uint32_t crc32c_extend(uint32_t crc, std::span<const std::byte> data);

}  // namespace lockstep
