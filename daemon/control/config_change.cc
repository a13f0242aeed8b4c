#include "control/config_change.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace lockstep {

namespace {

constexpr std::string_view kRefused = "State change failed: (-10) State change was refused";

SeatSet voters_of(const config::Resource& resource) {
  SeatSet seats;
  for (const config::Host& host : resource.hosts) seats.insert(host.seat());
  for (size_t i = 0; i < resource.witnesses.size(); ++i) seats.insert(witness_seat(static_cast<uint8_t>(i)));
  return seats;
}

std::string voter_name(Seat seat, const config::Resource* first, const config::Resource& second) {
  const config::Resource* known = first != nullptr && voters_of(*first).contains(seat) ? first : &second;
  if (voters_of(*known).contains(seat)) return known->name_of(seat) + (seat.is_witness() ? " (witness)" : "");
  return seat.is_witness() ? "a witness that the configuration has no more" : fmt::format("node {}", seat.value);
}

std::string voter_names(SeatSet seats, const config::Resource* first, const config::Resource& second) {
  std::string out;
  for (const Seat seat : seats) out += fmt::format("{}{}", out.empty() ? "" : ", ", voter_name(seat, first, second));
  return out;
}

// The lines of the normal form that say something: not those that only open or close a section of options.
std::multiset<std::string> lines_of(const config::Resource& resource) {
  std::multiset<std::string> lines;
  const std::string text = config::dump(resource);
  for (size_t at = 0; at < text.size();) {
    const size_t end = text.find('\n', at);
    const size_t begin = text.find_first_not_of(' ', at);
    const std::string line = text.substr(begin, end - begin);
    const bool section = line.back() == '{' && line.find(' ') == line.size() - 2;
    if (line.front() != '#' && line.front() != '}' && !section) lines.insert(line);
    at = end + 1;
  }
  return lines;
}

void add_words(const std::multiset<std::string>& lines, const std::multiset<std::string>& others, std::set<std::string>& words) {
  for (const std::string& line : lines) {
    if (lines.count(line) <= others.count(line)) continue;
    words.insert(line.back() == '{' ? line.substr(0, line.size() - 2) : line.substr(0, line.find(' ')));
  }
}

}  // namespace

ControlReply voters_unchanged(const config::Resource& wanted, const config::Resource* before, const Tenure& tenure) {
  SeatSet had;
  for (const Voter& voter : tenure.voters) had.insert(voter.seat);
  const SeatSet want = voters_of(wanted);
  // A witness that joins or leaves is the Primary's business; so is a seat that a forced history lacks (membership/goals.cc).
  const auto names_data = [](SeatSet seats) {
    for (const Seat seat : seats) {
      if (!seat.is_witness()) return true;
    }
    return false;
  };
  const SeatSet gone = had - want;
  const SeatSet added = want - had;
  const bool same_nodes = !names_data(gone) && (!tenure.parent.is_nil() || !names_data(added));
  if (same_nodes) return {};
  return {
      11, "",
      fmt::format(
          "{0}: {1}\n  Its voters are {2}; the configuration names {3}.\n"
          "  Changing the data nodes of a resource that has been used is not built yet [not-built].\n"
          "  Put the configuration back. If the resource's data may be lost: lockstep down {0} and create-md --force {0} on all\n"
          "  nodes, remove its file in the state directory of each witness, and create it anew.\n",
          wanted.name, kRefused, voter_names(had, before, wanted), voter_names(want, nullptr, wanted))};
}

ControlReply voters_as_running(const config::Resource& wanted, const config::Resource& running) {
  if (voters_of(wanted) == voters_of(running)) return {};
  return {
      11, "",
      fmt::format("{0}: {1}\n  It runs with the voters {2}; the configuration names {3}. lockstep adjust {0} takes that over.\n",
                  wanted.name, kRefused, voter_names(voters_of(running), nullptr, running),
                  voter_names(voters_of(wanted), nullptr, wanted))};
}

config::Resource as_seen_by(config::Resource resource, std::string_view node) {
  for (config::Host& host : resource.hosts) {
    if (host.name == node) continue;
    host.nbd.clear();
    host.metrics.reset();
    host.volumes.clear();
    host.own.clear();
  }
  return resource;
}

std::string changed_words(const config::Resource& before, const config::Resource& wanted) {
  const auto old_lines = lines_of(before);
  const auto new_lines = lines_of(wanted);
  std::set<std::string> words;
  add_words(old_lines, new_lines, words);
  add_words(new_lines, old_lines, words);
  std::string out;
  for (const std::string& word : words) out += fmt::format("{}{}", out.empty() ? "" : ", ", word);
  return out;
}

ControlReply restart_refused(const config::Resource& before, const config::Resource* wanted) {
  const std::string what =
      wanted == nullptr ? "The configuration has it no more" : fmt::format("Changed: {}", changed_words(before, *wanted));
  return {
      11, "",
      fmt::format(
          "{0}: {1}\n  {2}. That takes effect by going down and up again, which would take the role from this node.\n"
          "  Nothing was changed. First: lockstep secondary {0} here, and lockstep primary {0} on its peer if it is to go on serving.\n",
          before.name, kRefused, what)};
}

}  // namespace lockstep
