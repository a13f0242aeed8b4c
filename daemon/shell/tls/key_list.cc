#include "shell/tls/key_list.h"

#include <fmt/format.h>

#include <algorithm>

namespace lockstep {

namespace {

constexpr size_t kLeastKey = 16;
constexpr size_t kLongestName = 255;

std::optional<unsigned> digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
  return std::nullopt;
}

std::optional<std::vector<std::byte>> bytes_of(std::string_view hex) {
  if (hex.size() % 2 != 0 || hex.size() < 2 * kLeastKey) return std::nullopt;
  std::vector<std::byte> bytes;
  for (size_t i = 0; i < hex.size(); i += 2) {
    const auto high = digit(hex[i]);
    const auto low = digit(hex[i + 1]);
    if (!high || !low) return std::nullopt;
    bytes.push_back(static_cast<std::byte>(*high << 4 | *low));
  }
  return bytes;
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= kLongestName &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c <= '~' && c != ':'; });
}

}  // namespace

std::optional<KeyList> KeyList::parse(std::string_view text, std::string& wrong) {
  KeyList list;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    const size_t colon = line.find(':');
    const std::string_view name = line.substr(0, std::min(colon, line.size()));
    auto key = colon == std::string_view::npos ? std::nullopt : bytes_of(line.substr(colon + 1));
    if (!is_name(name) || !key) {
      wrong = fmt::format(
          "line {} is not NAME:KEY, the name of printable characters, the key of at least {} hexadecimal digits (psktool makes them)",
          number, 2 * kLeastKey);
      return std::nullopt;
    }
    if (!list.keys_.emplace(name, *std::move(key)).second) {
      wrong = fmt::format("line {}: {} has a key already", number, name);
      return std::nullopt;
    }
  }
  if (!list.keys_.empty()) return list;
  wrong = "there is no key in it (psktool makes them)";
  return std::nullopt;
}

const std::vector<std::byte>* KeyList::key_of(std::string_view name) const {
  const auto found = keys_.find(name);
  return found == keys_.end() ? nullptr : &found->second;
}

}  // namespace lockstep
