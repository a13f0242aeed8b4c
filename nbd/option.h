// Inside of the handshake: what an option's handler gets, and the handlers. One file a group of options.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "nbd/handshake.h"

namespace lockstep::nbd {

// Takes big-endian fields from an option's data. A field that does not fit gives nullopt and takes nothing:
// lengths are compared with what is there and never added to anything (CVE-2022-26495 was such a sum).
class OptionReader {
 public:
  explicit OptionReader(std::span<const std::byte> in) : in_(in) {}
  std::optional<uint16_t> u16();
  std::optional<uint32_t> u32();
  // A 32-bit length and that many bytes: at most kMaxString, none of them NUL.
  std::optional<std::string_view> string();
  std::optional<std::string_view> text(size_t bytes);
  size_t remaining() const { return in_.size(); }

 private:
  std::span<const std::byte> in_;
};

// Appends big-endian fields.
void append_be16(std::vector<std::byte>& out, uint16_t value);
void append_be32(std::vector<std::byte>& out, uint32_t value);
void append_be64(std::vector<std::byte>& out, uint64_t value);
void append_text(std::vector<std::byte>& out, std::string_view text);
// At most kMaxString bytes of it, cut between UTF-8 characters.
std::string_view cut_to_limit(std::string_view text);

struct OptionContext {
  uint32_t code;  // as sent; may be no Option at all
  std::span<const std::byte> data;
  ExportDirectory& directory;
  uint32_t max_payload;
  TlsPolicy tls;
  bool secure;  // under TLS already
  Negotiated& negotiated;
  std::vector<std::byte>& out;

  // An option reply header for `bytes` of data, which the caller appends.
  void reply_header(OptionReply type, size_t bytes);
  void ack() { reply_header(OptionReply::ack, 0); }
  void error(OptionReply type, std::string_view text);
  void refuse(const Refusal& refusal);
  // Nothing but TLS, or an end, may be asked for now.
  bool needs_tls() const;
};

// What follows an option.
enum class Next : uint8_t { option, wait, transmission, start_tls, close };
using OptionHandler = Next (*)(OptionContext&);

// The handler for a code; one that answers ERR_UNSUP for the unknown.
OptionHandler find_option_handler(uint32_t code);

Next on_export_name(OptionContext& context);        // option_open.cc
Next on_info(OptionContext& context);               // option_open.cc
Next on_go(OptionContext& context);                 // option_open.cc
Next on_list(OptionContext& context);               // option_simple.cc
Next on_abort(OptionContext& context);              // option_simple.cc
Next on_structured_reply(OptionContext& context);   // option_simple.cc
Next on_extended_headers(OptionContext& context);   // option_simple.cc
Next on_starttls(OptionContext& context);           // option_tls.cc
Next on_insecure(OptionContext& context);           // option_tls.cc
Next on_unsupported(OptionContext& context);        // option_simple.cc
Next on_list_meta_context(OptionContext& context);  // option_meta_context.cc
Next on_set_meta_context(OptionContext& context);   // option_meta_context.cc

}  // namespace lockstep::nbd
