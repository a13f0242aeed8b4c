// Requests of the transmission phase: their decoding, and the rules by which each is executed, answered at
// once or taken for the end of the connection [Transmission phase]. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nbd/handshake.h"
#include "nbd/protocol.h"
#include "nbd/request.h"

namespace lockstep::nbd {

struct RequestHeader {
  uint16_t flags = 0;
  uint16_t command = 0;  // as sent; may be no Command at all
  uint64_t cookie = 0;
  uint64_t offset = 0;
  uint32_t length = 0;

  bool is(Command which) const { return command == static_cast<uint16_t>(which); }
};

// nullopt: wrong magic; client and server no longer agree on where requests begin.
std::optional<RequestHeader> decode_request(std::span<const std::byte, kRequestBytes> in);

// What was agreed on, as far as it matters for each request.
struct TransmissionRules {
  uint64_t size = 0;  // bytes, a multiple of minimum_block
  uint32_t minimum_block = 1;
  uint32_t max_payload = 0;
  bool read_only = false;
  bool structured_replies = false;
  bool base_allocation = false;
  bool reports_extents = false;

  static TransmissionRules from(const Negotiated& negotiated, uint32_t max_payload);
};

enum class Action : uint8_t {
  execute,               // the owner's work
  answer,                // `error` (or success, where there is nothing to do) at once; a WRITE's payload must be skipped
                         // first
  report_all_allocated,  // a BLOCK_STATUS whose answer is known
  disconnect,            // DISC
  violation,             // nothing sensible can follow: close
};

struct Verdict {
  Action action;
  WireError error = WireError::none;
};

Verdict judge(const RequestHeader& header, const TransmissionRules& rules);

// The owner's view of a header that judge() let through; no slot and no payload yet.
Request to_request(const RequestHeader& header);

// Bytes of data that travel with the request or with its reply.
uint32_t payload_bytes(const RequestHeader& header);

}  // namespace lockstep::nbd
