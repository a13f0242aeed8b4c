// The frame that everything on a peer link and a witness link travels in: a fixed header, a body, and for
// some messages a payload. docs/wire.md has the byte table.
//
//   0 magic u32 | 4 framing version u8 | 5 type u8 | 6 flags u16 | 8 body bytes u32 | 12 payload bytes u32
//   16 CRC32C of the body u32 | 20 CRC32C of the payload u32 | 24 reserved u32 | 28 CRC32C of bytes 0..27 u32
//
// The header has a checksum of its own so that no length is believed before it is known to be whole. The
// header and the handshake's frames keep this form for ever; what may change with the negotiated protocol
// version is the bodies of messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace lockstep {

constexpr size_t kFrameHeaderBytes = 32;
constexpr size_t kMaxBodyBytes = 4096;
constexpr size_t kMaxPayloadBytes = (size_t{64} << 20) + 4096;  // the largest request of an NBD client, and slack
constexpr uint8_t kFramingVersion = 1;

// Stable numbers. Those of messages are in order of core/message.h as of protocol version 1; numbers are
// never reused.
enum class FrameType : uint8_t {
  prepare = 1,
  promise,
  accept,
  accepted,
  vote_refused,
  lease_request,
  lease_granted,
  lease_refused,
  lease_released,
  boot_ended,
  acceptance_counted,
  peer_hello,
  tenure_decided,
  tenure_adopted,
  disk_condition,
  write_request,
  write_reply,
  flush_request,
  flush_reply,
  read_request,
  read_reply,
  settled,
  resync_begin,
  resync_map,
  resync_write,
  join_prepare,
  join_ready,
  drop_me,
  voter_hello,
  superseded,
  caretaking,
  yield_request,
  differences,
  resync_declined,
  disk_remembered,
  compare_request,
  compare_reply,
  resync_paused,
  nodes_configured,
  follower_write,
  write_received,
  follower_flush,
  following,
  // the transport's own
  hello = 128,
  challenge,
  proof,
  welcome,
  refusal,
  ping,
  pong,
  position,  // wire/lane_numbers.h
  received,
};

constexpr uint8_t kLastMessageType = static_cast<uint8_t>(FrameType::following);
constexpr bool is_message_type(uint8_t type) { return type >= 1 && type <= kLastMessageType; }
constexpr bool is_transport_type(uint8_t type) {
  return type >= static_cast<uint8_t>(FrameType::hello) && type <= static_cast<uint8_t>(FrameType::received);
}

// What was wrong with bytes that came in. Every one of these ends the connection.
enum class FrameError : uint8_t {
  none,
  not_lockstep,  // magic
  framing_version,
  header_checksum,
  unknown_type,
  unknown_flags,  // a flag or reserved bit is set
  body_too_long,
  payload_too_long,
  body_checksum,
  malformed_body,
  payload_mismatch,  // the body announces another payload than the header
  payload_checksum,
};
const char* text_of(FrameError error);

struct FrameHeader {
  FrameType type = FrameType::ping;
  uint32_t body_bytes = 0;
  uint32_t payload_bytes = 0;
  uint32_t body_crc = 0;
  uint32_t payload_crc = 0;
};

// `bytes` holds at least kFrameHeaderBytes. On an error `header` is left alone.
FrameError decode_header(std::span<const std::byte> bytes, FrameHeader& header);

// Appends header and body of a frame to `out`. The payload's bytes follow on the wire and are the caller's to
// send.
void append_frame(std::vector<std::byte>& out, FrameType type, std::span<const std::byte> body,
                  std::span<const std::byte> payload = {});

}  // namespace lockstep
