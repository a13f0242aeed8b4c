#include "shell/tls/allow_list.h"

#include <fmt/format.h>

#include <algorithm>

namespace lockstep {

namespace {

constexpr std::string_view kKinds[] = {"dn:", "dns:", "ip:", "email:", "uri:", "psk:"};

bool names_a_kind(std::string_view line) {
  return std::any_of(std::begin(kKinds), std::end(kKinds),
                     [line](std::string_view kind) { return line.starts_with(kind) && line.size() > kind.size(); });
}

std::string_view trimmed(std::string_view line) {
  constexpr std::string_view kBlank = " \t\r";
  const size_t first = line.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(kBlank) - first + 1);
}

}  // namespace

std::optional<AllowList> AllowList::parse(std::string_view text, std::string& wrong) {
  AllowList list;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    if (!names_a_kind(line)) {
      wrong = fmt::format("line {}: \"{}\" is no name; write dn:, dns:, ip:, email:, uri: or psk: and the name", number, line);
      return std::nullopt;
    }
    list.names_.emplace(line);
  }
  return list;
}

bool AllowList::has_any_of(const std::vector<std::string>& names) const {
  return std::any_of(names.begin(), names.end(), [this](const std::string& name) { return names_.contains(name); });
}

}  // namespace lockstep
