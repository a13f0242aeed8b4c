#include "flight/about.h"

#include "base/crc32c.h"
#include "flight/packing.h"

namespace lockstep::flight {

namespace {

constexpr size_t kFrame = 6;     // u16 length, u32 checksum
constexpr size_t kLongest = 64;  // of a name, so that all of them fit

void pack_name(Packer& out, const std::string& text) { out.text(std::string_view(text).substr(0, kLongest)); }

}  // namespace

void encode_about(std::span<std::byte> out, const About& about) {
  Packer packed(out.subspan(kFrame));
  pack_name(packed, about.version);
  pack_name(packed, about.resource);
  pack_name(packed, about.node);
  packed.zigzag(about.unix_ns);
  packed.zigzag(about.begun.ns);
  packed.varint(about.names.size());
  for (const auto& [seat, text] : about.names) {
    packed.byte(seat.value);
    pack_name(packed, text);
  }
  put_le(out.data() + 2, crc32c(out.subspan(kFrame, packed.size())));
  put_le(out.data(), static_cast<uint16_t>(packed.size()));
}

std::optional<About> decode_about(std::span<const std::byte> in) {
  if (in.size() < kFrame) return std::nullopt;
  const size_t length = get_le<uint16_t>(in.data());
  if (length > in.size() - kFrame) return std::nullopt;
  const auto body = in.subspan(kFrame, length);
  if (get_le<uint32_t>(in.data() + 2) != crc32c(body)) return std::nullopt;
  Unpacker packed(body);
  About about;
  about.version = packed.text();
  about.resource = packed.text();
  about.node = packed.text();
  about.unix_ns = packed.zigzag();
  about.begun.ns = packed.zigzag();
  const uint64_t count = packed.varint();
  for (uint64_t i = 0; i < count && packed.ok(); ++i) {
    const Seat seat{packed.byte()};
    about.names.emplace_back(seat, packed.text());
  }
  if (!packed.at_end()) return std::nullopt;
  return about;
}

}  // namespace lockstep::flight
