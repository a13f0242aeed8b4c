#include "control/config/values.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace lockstep::config {

namespace {

bool is_ipv6(const std::string& text) {
  in6_addr address{};
  const std::string bare = text.substr(0, text.find('%'));  // fe80::1%eth0
  return ::inet_pton(AF_INET6, bare.c_str(), &address) == 1;
}

// A host name, or an IPv4 address: what looks like four numbers has to be an address.
bool is_host(const std::string& text) {
  if (text.empty() || text.size() > 253) return false;
  bool numeric = true;
  for (char c : text) {
    const bool digit = c >= '0' && c <= '9';
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!digit && !letter && c != '.' && c != '-' && c != '_') return false;
    if (!digit && c != '.') numeric = false;
  }
  in_addr address{};
  return !numeric || ::inet_pton(AF_INET, text.c_str(), &address) == 1;
}

// The suffixes that drbd.conf knows: sectors and powers of 1024.
std::optional<int64_t> scale_of(char suffix) {
  constexpr std::string_view kPowers = "kmgt";
  if (suffix == 's') return 512;
  const size_t power = kPowers.find(static_cast<char>(suffix | 0x20));
  if (power == std::string_view::npos) return std::nullopt;
  return int64_t{1} << (10 * (power + 1));
}

std::string listed(std::string_view choices) {
  std::string out;
  for (std::string_view choice : split_choices(choices)) out += fmt::format("{}{}", out.empty() ? "" : ", ", choice);
  return out;
}

std::string choice_complaint(const OptionSpec& spec, std::string_view value) {
  const auto built = split_choices(spec.choices);
  if (std::find(built.begin(), built.end(), value) != built.end()) return "";
  if (spec.name == "quorum" && value == "off") {
    return "quorum off is refused: without quorum two nodes could be Primary at once and acknowledged writes "
           "be lost";
  }
  if (spec.name == "allow-two-primaries") {
    return "allow-two-primaries is refused: one tenure has one Primary, and there is no cluster file "
           "system's locking to "
           "keep two apart";
  }
  const auto later = split_choices(spec.later);
  if (std::find(later.begin(), later.end(), value) != later.end()) {
    return fmt::format("{} {} is not built yet; {} is", spec.name, value, listed(spec.choices));
  }
  return fmt::format("{} takes {}, not \"{}\"", spec.name, listed(spec.choices), value);
}

std::string range_complaint(const OptionSpec& spec, std::string_view value, std::optional<int64_t> number) {
  if (!number) return fmt::format("{} takes a number ({}), not \"{}\"", spec.name, spec.unit, value);
  if (*number >= spec.low && *number <= spec.high) return "";
  return fmt::format("{} takes {} to {} ({}), not \"{}\"", spec.name, spec.low, spec.high, spec.unit, value);
}

std::string place_complaint(const OptionSpec& spec, std::string_view value) {
  const auto words = split_choices(spec.choices);
  if (std::find(words.begin(), words.end(), value) != words.end()) return "";
  if (value.substr(0, 1) == "/" && value.size() <= static_cast<size_t>(spec.high)) return "";
  return fmt::format("{} takes {} or an absolute path, not \"{}\"", spec.name, listed(spec.choices), value);
}

}  // namespace

std::optional<int64_t> parse_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<int64_t> parse_size(std::string_view text, int64_t scale) {
  if (text.empty()) return std::nullopt;
  const std::optional<int64_t> suffix = scale_of(text.back());
  if (suffix) {
    scale = *suffix;
    text.remove_suffix(1);
  }
  const std::optional<int64_t> number = parse_number(text);
  if (!number || *number < 0 || *number > INT64_MAX / scale) return std::nullopt;
  return *number * scale;
}

std::optional<Endpoint> parse_endpoint(std::string_view text, bool any_host) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const std::optional<int64_t> port = parse_number(text.substr(colon + 1));
  if (!port || *port < 1 || *port > 65535) return std::nullopt;
  std::string host(text.substr(0, colon));
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    if (!is_ipv6(host)) return std::nullopt;
  } else if (any_host && (host.empty() || host == "*")) {
    host.clear();
  } else if (!is_host(host)) {
    return std::nullopt;
  }
  return Endpoint{host, static_cast<uint16_t>(*port)};
}

std::optional<NbdListen> parse_nbd(std::string_view text) {
  constexpr std::string_view kUnix = "unix:";
  constexpr std::string_view kSystemd = "systemd:";
  constexpr std::string_view kVsock = "vsock:";
  constexpr size_t kLongestSocketPath = 107;  // sun_path less its end
  if (text.substr(0, kUnix.size()) == kUnix) {
    text.remove_prefix(kUnix.size());
    if (text.empty() || text.size() > kLongestSocketPath) return std::nullopt;
    return NbdListen{std::string(text), {}, {}, 0};
  }
  if (text.starts_with(kSystemd)) {
    const std::string_view name = text.substr(kSystemd.size());
    if (!is_name(name)) return std::nullopt;
    return NbdListen{"", {}, std::string(name), 0};
  }
  if (text.starts_with(kVsock)) {
    const std::optional<int64_t> port = parse_number(text.substr(kVsock.size()));
    if (!port || *port < 1 || *port >= UINT32_MAX) return std::nullopt;
    return NbdListen{"", {}, {}, static_cast<uint32_t>(*port)};
  }
  std::optional<Endpoint> tcp = parse_endpoint(text, true);
  if (!tcp) return std::nullopt;
  return NbdListen{"", *tcp, {}, 0};
}

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > 64) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!alphanumeric && (i == 0 || (c != '.' && c != '_' && c != '-'))) return false;
  }
  return true;
}

std::string complaint(const OptionSpec& spec, std::string_view value) {
  if (spec.built == Built::not_yet) return fmt::format("{} is not built yet: {}", spec.name, spec.meaning);
  if (spec.built == Built::meaningless) return fmt::format("{} has no meaning here: {}", spec.name, spec.meaning);
  switch (spec.kind) {
    case Kind::number:
      return range_complaint(spec, value, parse_number(value));
    case Kind::size:
      return range_complaint(spec, value, parse_size(value, spec.scale));
    case Kind::choice:
      return choice_complaint(spec, value);
    case Kind::uuid:
      if (const std::optional<Uuid> id = Uuid::parse(value); id && !id->is_nil()) return "";
      return fmt::format("{} takes a UUID like 01234567-89ab-cdef-0123-456789abcdef, not \"{}\"", spec.name, value);
    case Kind::place:
      return place_complaint(spec, value);
    case Kind::text:
      if (!value.empty() && value.size() <= static_cast<size_t>(spec.high)) return "";
      return fmt::format("{} takes 1 to {} bytes, not {}", spec.name, spec.high, value.size());
  }
  return "";
}

std::string Endpoint::to_string() const {
  if (host.find(':') != std::string::npos) return fmt::format("[{}]:{}", host, port);
  return fmt::format("{}:{}", host, port);
}

std::string NbdListen::to_string() const {
  if (!unix_path.empty()) return "unix:" + unix_path;
  if (!systemd.empty()) return "systemd:" + systemd;
  return vsock_port != 0 ? "vsock:" + std::to_string(vsock_port) : tcp.to_string();
}

}  // namespace lockstep::config
