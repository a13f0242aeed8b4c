#include "flight/layout.h"

#include <cstring>

#include "base/crc32c.h"
#include "base/endian.h"

namespace lockstep::flight {

namespace {
constexpr char kMagic[] = "LSFLIGHT";
constexpr size_t kMagicBytes = sizeof kMagic - 1;
constexpr size_t kHeaderSum = 16;
constexpr size_t kSegmentSum = 32;
}  // namespace

void encode_header(std::span<std::byte> out, const FileHeader& header) {
  std::memcpy(out.data(), kMagic, kMagicBytes);
  put_le(out.data() + 8, header.format);
  put_le(out.data() + 12, header.segment_bytes);
  put_le(out.data() + kHeaderSum, crc32c(out.first(kHeaderSum)));
  put_le(out.data() + kOldestAt, header.oldest_segment);
}

std::optional<FileHeader> decode_header(std::span<const std::byte> in) {
  if (in.size() < kHeaderBytes || std::memcmp(in.data(), kMagic, kMagicBytes) != 0) return std::nullopt;
  if (get_le<uint32_t>(in.data() + kHeaderSum) != crc32c(in.first(kHeaderSum))) return std::nullopt;
  FileHeader header;
  header.format = get_le<uint32_t>(in.data() + 8);
  header.segment_bytes = get_le<uint32_t>(in.data() + 12);
  header.oldest_segment = get_le<uint64_t>(in.data() + kOldestAt);
  if (header.segment_bytes < kMinSegmentBytes) return std::nullopt;
  return header;
}

void encode_segment_header(std::span<std::byte> out, const SegmentHeader& header) {
  put_le(out.data(), header.number);
  put_le(out.data() + 8, header.first_entry);
  put_le(out.data() + 16, header.first_event);
  put_le(out.data() + 24, static_cast<uint64_t>(header.now.ns));
  put_le(out.data() + kSegmentSum, crc32c(out.first(kSegmentSum)));
}

std::optional<SegmentHeader> decode_segment_header(std::span<const std::byte> in) {
  if (in.size() < kSegmentHeaderBytes) return std::nullopt;
  if (get_le<uint32_t>(in.data() + kSegmentSum) != crc32c(in.first(kSegmentSum))) return std::nullopt;
  SegmentHeader header;
  header.number = get_le<uint64_t>(in.data());
  header.first_entry = get_le<uint64_t>(in.data() + 8);
  header.first_event = get_le<uint64_t>(in.data() + 16);
  header.now.ns = static_cast<int64_t>(get_le<uint64_t>(in.data() + 24));
  return header;
}

uint32_t entry_checksum(uint64_t number, std::span<const std::byte> body) {
  return crc32c_extend(static_cast<uint32_t>(number), body);
}

}  // namespace lockstep::flight
