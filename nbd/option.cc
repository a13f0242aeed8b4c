#include "nbd/option.h"

#include <algorithm>

#include "base/endian.h"

namespace lockstep::nbd {

namespace {

template <class T>
void append_be(std::vector<std::byte>& out, T value) {
  const size_t at = out.size();
  out.resize(at + sizeof(T));
  put_be(out.data() + at, value);
}

template <class T>
std::optional<T> take_be(std::span<const std::byte>& in) {
  if (in.size() < sizeof(T)) return std::nullopt;
  const T value = get_be<T>(in.data());
  in = in.subspan(sizeof(T));
  return value;
}

struct TableEntry {
  Option option;
  OptionHandler handler;
};

constexpr TableEntry kTable[] = {
    {Option::export_name, on_export_name},
    {Option::abort, on_abort},
    {Option::list, on_list},
    {Option::starttls, on_starttls},
    {Option::info, on_info},
    {Option::go, on_go},
    {Option::structured_reply, on_structured_reply},
    {Option::list_meta_context, on_list_meta_context},
    {Option::set_meta_context, on_set_meta_context},
    {Option::extended_headers, on_extended_headers},
};

}  // namespace

std::optional<uint16_t> OptionReader::u16() { return take_be<uint16_t>(in_); }
std::optional<uint32_t> OptionReader::u32() { return take_be<uint32_t>(in_); }

std::optional<std::string_view> OptionReader::text(size_t bytes) {
  if (bytes > kMaxString || bytes > in_.size()) return std::nullopt;
  const std::string_view text(reinterpret_cast<const char*>(in_.data()), bytes);
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  in_ = in_.subspan(bytes);
  return text;
}

std::optional<std::string_view> OptionReader::string() {
  const std::optional<uint32_t> bytes = u32();
  if (!bytes) return std::nullopt;
  return text(*bytes);
}

void append_be16(std::vector<std::byte>& out, uint16_t value) { append_be(out, value); }
void append_be32(std::vector<std::byte>& out, uint32_t value) { append_be(out, value); }
void append_be64(std::vector<std::byte>& out, uint64_t value) { append_be(out, value); }

void append_text(std::vector<std::byte>& out, std::string_view text) {
  const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
  out.insert(out.end(), bytes, bytes + text.size());
}

std::string_view cut_to_limit(std::string_view text) {
  if (text.size() <= kMaxString) return text;
  size_t end = kMaxString;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

void OptionContext::reply_header(OptionReply type, size_t bytes) {
  append_be64(out, kMagicOptionReply);
  append_be32(out, code);
  append_be32(out, static_cast<uint32_t>(type));
  append_be32(out, static_cast<uint32_t>(bytes));
}

void OptionContext::error(OptionReply type, std::string_view text) {
  // The text goes to a terminal or a log at the other end, and may have come from a name that the client
  // sent: CVE-2020-10761 was the missing bound.
  const std::string_view bounded = cut_to_limit(text);
  reply_header(type, bounded.size());
  append_text(out, bounded);
}

void OptionContext::refuse(const Refusal& refusal) {
  switch (refusal.kind) {
    case Refusal::Kind::unknown:
      return error(OptionReply::err_unknown, refusal.text);
    case Refusal::Kind::policy:
      return error(OptionReply::err_policy, refusal.text);
    case Refusal::Kind::shutting_down:
      return error(OptionReply::err_shutdown, refusal.text);
    case Refusal::Kind::tls_required:
      return error(OptionReply::err_tls_reqd, refusal.text);
  }
}

OptionHandler find_option_handler(uint32_t code) {
  const auto* found = std::find_if(std::begin(kTable), std::end(kTable),
                                   [code](const TableEntry& entry) { return static_cast<uint32_t>(entry.option) == code; });
  return found == std::end(kTable) ? on_unsupported : found->handler;
}

}  // namespace lockstep::nbd
