// The server's side of fixed newstyle negotiation, from the greeting to the start of transmission [Fixed
// newstyle negotiation]. A pure machine over bytes: no socket, no clock (the owner bounds the time a client
// may take).
//
// Nothing is asked of the directory beyond list and look_up, and only for a complete, well-formed option, so
// half-open clients cost no work behind it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "nbd/context.h"
#include "nbd/export.h"

namespace lockstep::nbd {

// What client and server have agreed on.
struct Negotiated {
  bool no_zeroes = false;
  bool structured_replies = false;  // or extended ones
  bool extended_headers = false;
  ContextSet contexts;         // that BLOCK_STATUS may be used for
  std::string context_export;  // the canonical name that they were selected for
  ExportInfo export_info;      // once transmission begins
};

class Handshake {
 public:
  enum class Outcome : uint8_t {
    need_more,     // nothing consumed: more bytes are needed
    progressed,    // a step was made; call again
    deferred,      // nothing consumed: the directory does not know yet; call again later with the same bytes
    transmission,  // negotiated() holds; the bytes that follow are requests
    start_tls,     // send what is in `out`, then nothing but TLS; secured() when it stands
    closed,        // send what is in `out`, then close
  };
  struct Step {
    size_t consumed;
    Outcome outcome;
  };

  Handshake(ExportDirectory& directory, uint32_t max_payload, TlsPolicy tls = TlsPolicy::off)
      : directory_(directory), max_payload_(max_payload), tls_(tls) {}

  // Appends the greeting, which the server sends first.
  static void greet(std::vector<std::byte>& out);

  // Makes one step with what has arrived, appending what is to be sent. Needs at most kOptionHeaderBytes +
  // kMaxOptionBytes at once; its answer to one option is bounded by the directory's list.
  Step step(std::span<const std::byte> in, std::vector<std::byte>& out);

  // TLS stands. What was agreed before, which anybody on the way may have said, counts no more, but for the client's flags.
  void secured();

  const Negotiated& negotiated() const { return negotiated_; }

 private:
  Step take_client_flags(std::span<const std::byte> in);
  Step take_option(std::span<const std::byte> in, std::vector<std::byte>& out);

  ExportDirectory& directory_;
  uint32_t max_payload_;
  TlsPolicy tls_;
  bool secure_ = false;
  Negotiated negotiated_;
  size_t options_seen_ = 0;
  bool have_client_flags_ = false;
};

}  // namespace lockstep::nbd
