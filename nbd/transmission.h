// Requests of the transmission phase: their decoding, and the rules by which each is executed, answered at
// once or taken for the end of the connection [Transmission phase]. Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nbd/context.h"
#include "nbd/handshake.h"
#include "nbd/protocol.h"
#include "nbd/request.h"

namespace lockstep::nbd {

struct RequestHeader {
  uint16_t flags = 0;
  uint16_t command = 0;  // as sent; may be no Command at all
  uint64_t cookie = 0;
  uint64_t offset = 0;
  uint64_t length = 0;    // of what it is about; of the payload, where one follows
  uint64_t payload = 0;   // bytes that follow the header
  bool extended = false;  // the header has that form
  ContextSet contexts;    // of a BLOCK_STATUS: what it is about

  bool is(Command which) const { return command == static_cast<uint16_t>(which); }
};

constexpr size_t header_bytes(bool extended) { return extended ? kExtendedHeaderBytes : kRequestBytes; }

// `in` is header_bytes() long. nullopt: wrong magic; client and server no longer agree on where requests begin.
std::optional<RequestHeader> decode_request(std::span<const std::byte> in, bool extended);

// What was agreed on, as far as it matters for each request.
struct TransmissionRules {
  uint64_t size = 0;  // bytes, a multiple of minimum_block
  uint32_t minimum_block = 1;
  uint32_t max_payload = 0;
  bool read_only = false;
  bool structured_replies = false;
  ContextSet contexts;  // that were selected
  ContextSet owners;    // those of them that the owner answers
  bool extended_headers = false;
  bool fast_zeroes = false;

  static TransmissionRules from(const Negotiated& negotiated, uint32_t max_payload);
};

enum class Action : uint8_t {
  execute,               // the owner's work
  answer,                // `error` (or success, where there is nothing to do) at once; a payload must be skipped first
  report_all_allocated,  // a BLOCK_STATUS about nothing that the owner knows more about
  disconnect,            // DISC
  violation,             // nothing sensible can follow: close
};

struct Verdict {
  Action action;
  WireError error = WireError::none;
};

// Of a BLOCK_STATUS with a payload: what take_status_query() has made of it; of one without: with all contexts that were selected.
Verdict judge(const RequestHeader& header, const TransmissionRules& rules);

// A BLOCK_STATUS may bring the contexts that it is about [NBD_CMD_BLOCK_STATUS, payload form]. How long that is, where it is well-formed as far
// as its length says; zero where it is not, or there is none.
size_t status_query_bytes(const RequestHeader& header, const TransmissionRules& rules);
// `query` has that many bytes. Gives the header that a request without payload would have had; false: an unknown context, or one twice.
bool take_status_query(RequestHeader& header, std::span<const std::byte> query, const TransmissionRules& rules);

// The owner's view of a header that judge() let through; no slot and no payload yet.
Request to_request(const RequestHeader& header, const TransmissionRules& rules);

// Bytes of data that travel with a request that is executed, or with its reply.
uint32_t payload_bytes(const RequestHeader& header);

}  // namespace lockstep::nbd
