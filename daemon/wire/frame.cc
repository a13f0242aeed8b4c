#include "wire/frame.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "base/endian.h"

namespace lockstep {

namespace {

constexpr uint32_t kMagic = 0x4650534c;  // "LSPF" on the wire
constexpr size_t kHeaderCrcAt = 28;

}  // namespace

const char* text_of(FrameError error) {
  switch (error) {
    case FrameError::none:
      return "no error";
    case FrameError::not_lockstep:
      return "not a lockstep frame (a side that has tls yes talks like that to one that has not)";
    case FrameError::framing_version:
      return "unknown framing version";
    case FrameError::header_checksum:
      return "bad header checksum";
    case FrameError::unknown_type:
      return "unknown frame type";
    case FrameError::unknown_flags:
      return "unknown frame flags";
    case FrameError::body_too_long:
      return "frame body too long";
    case FrameError::payload_too_long:
      return "frame payload too long";
    case FrameError::body_checksum:
      return "bad body checksum";
    case FrameError::malformed_body:
      return "malformed message";
    case FrameError::payload_mismatch:
      return "payload does not match its message";
    case FrameError::payload_checksum:
      return "bad payload checksum";
  }
  UNREACHABLE("FrameError");
}

FrameError decode_header(std::span<const std::byte> bytes, FrameHeader& header) {
  CHECK(bytes.size() >= kFrameHeaderBytes);
  const std::byte* at = bytes.data();
  if (get_le<uint32_t>(at) != kMagic) return FrameError::not_lockstep;
  if (get_le<uint8_t>(at + 4) != kFramingVersion) return FrameError::framing_version;
  if (get_le<uint32_t>(at + kHeaderCrcAt) != crc32c(bytes.first(kHeaderCrcAt))) return FrameError::header_checksum;
  const auto type = get_le<uint8_t>(at + 5);
  if (!is_message_type(type) && !is_transport_type(type)) return FrameError::unknown_type;
  if (get_le<uint16_t>(at + 6) != 0 || get_le<uint32_t>(at + 24) != 0) return FrameError::unknown_flags;
  FrameHeader found;
  found.type = static_cast<FrameType>(type);
  found.body_bytes = get_le<uint32_t>(at + 8);
  found.payload_bytes = get_le<uint32_t>(at + 12);
  found.body_crc = get_le<uint32_t>(at + 16);
  found.payload_crc = get_le<uint32_t>(at + 20);
  if (found.body_bytes > kMaxBodyBytes) return FrameError::body_too_long;
  if (found.payload_bytes > kMaxPayloadBytes) return FrameError::payload_too_long;
  header = found;
  return FrameError::none;
}

void append_frame(std::vector<std::byte>& out, FrameType type, std::span<const std::byte> body,
                  std::span<const std::byte> payload) {
  CHECK(body.size() <= kMaxBodyBytes && payload.size() <= kMaxPayloadBytes);
  const size_t start = out.size();
  out.resize(start + kFrameHeaderBytes);
  std::byte* at = out.data() + start;
  put_le(at, kMagic);
  put_le(at + 4, kFramingVersion);
  put_le(at + 5, static_cast<uint8_t>(type));
  put_le(at + 8, static_cast<uint32_t>(body.size()));
  put_le(at + 12, static_cast<uint32_t>(payload.size()));
  put_le(at + 16, crc32c(body));
  put_le(at + 20, crc32c(payload));
  put_le(at + kHeaderCrcAt, crc32c({at, kHeaderCrcAt}));
  out.insert(out.end(), body.begin(), body.end());
}

}  // namespace lockstep
