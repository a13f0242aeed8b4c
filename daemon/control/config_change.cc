#include "control/config_change.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "control/config/schema.h"
#include "core/reason.h"

namespace lockstep {

namespace {

ControlReply refused(const config::Resource& resource, Reason reason, const std::string& details) {
  const RefusalClass words = class_of(reason);
  return {words.exit_status, "",
          fmt::format("{}: State change failed: ({}) {}\n  {} [{}]\n{}", resource.name, words.number, words.headline,
                      text_of(reason), code_of(reason), details)};
}

SeatSet voters_of(const config::Resource& resource) {
  SeatSet seats;
  for (const config::Host& host : resource.hosts) seats.insert(host.seat());
  for (size_t i = 0; i < resource.witnesses.size(); ++i) seats.insert(witness_seat(static_cast<uint8_t>(i)));
  return seats;
}

std::string voter_names(const config::Resource& resource) {
  std::string out;
  for (const Seat seat : voters_of(resource))
    out += fmt::format("{}{}{}", out.empty() ? "" : ", ", resource.name_of(seat), seat.is_witness() ? " (witness)" : "");
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

ControlReply voters_as_running(const config::Resource& wanted, const config::Resource& running) {
  if (voters_of(wanted) == voters_of(running)) return {};
  return refused(wanted, Reason::other_voters,
                 fmt::format("  It runs with the voters {1}; the configuration names {2}. lockstep adjust {0} takes that over.\n",
                             wanted.name, voter_names(running), voter_names(wanted)));
}

ControlReply id_unchanged(const config::Resource& running, const config::Resource& wanted) {
  if (running.id == wanted.id) return {};
  return refused(
      wanted, Reason::other_id,
      fmt::format("  It is {1} and would become {2}.\n"
                  "  To keep it, write on every node, new ones too: resource {0} {{ options {{ resource-uuid {1}; }} ... }}\n",
                  wanted.name, running.id.to_string(), wanted.id.to_string()));
}

ControlReply one_place_at_a_time(const config::Resource& running, const config::Resource& wanted) {
  std::string replaced;
  int count = 0;
  for (const Seat seat : voters_of(running) & voters_of(wanted)) {
    if (running.name_of(seat) == wanted.name_of(seat)) continue;
    ++count;
    replaced += fmt::format("{}{} by {}", replaced.empty() ? "" : ", ", running.name_of(seat), wanted.name_of(seat));
  }
  if (count < 2) return {};
  return refused(wanted, Reason::one_place_at_a_time,
                 fmt::format("  It would replace {}.\n  {}\n", replaced, remedy_of(Reason::one_place_at_a_time)));
}

bool only_nodes_differ(const config::Resource& before, const config::Resource& wanted, std::string_view node) {
  const auto alone = [node](const config::Resource& resource) {
    config::Resource left = as_seen_by(resource, node);
    std::erase_if(left.hosts, [node](const config::Host& host) { return host.name != node; });
    for (config::Host& self : left.hosts) {  // the paths to its peers are theirs too
      self.address = {};
      self.control_address.reset();
    }
    left.witnesses.clear();
    return config::dump(left);
  };
  // A protocol that changes, or that of a new node, takes effect with a start.
  const auto protocols_stay = [&] {
    const config::Host* now = before.host(node);
    const config::Host* then = wanted.host(node);
    if (now == nullptr || then == nullptr) return true;
    for (const config::Host& other : wanted.hosts) {
      const config::Host* old = before.by_seat(other.seat());
      const char was = old == nullptr ? 'C' : before.protocol(*now, *old);
      if (other.name != node && was != wanted.protocol(*then, other)) return false;
    }
    return true;
  };
  return protocols_stay() && alone(before) == alone(wanted);
}

config::Resource as_seen_by(config::Resource resource, std::string_view node) {
  // The id is the same or not, wherever it comes from (id_unchanged).
  resource.settings.erase(config::find_option(config::Section::options, "resource-uuid"));
  for (config::Host& host : resource.hosts) {
    if (host.name == node) continue;
    host.address = {};  // the paths to it are compared as such (peers_of)
    host.control_address.reset();
    host.nbd.clear();
    host.metrics.reset();
    host.volumes.clear();
    host.own.clear();
  }
  const config::Host* self = resource.host(node);
  std::erase_if(resource.protocols, [self](const auto& one) {
    return self == nullptr || (one.first.first != self->node_id && one.first.second != self->node_id);
  });
  std::erase_if(resource.connections, [self](const config::Connection& connection) {
    return self == nullptr || (connection.low != self->node_id && connection.high != self->node_id);
  });
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
  return refused(
      before, Reason::needs_restart,
      fmt::format("  {1}. Nothing was taken over.\n"
                  "  First: lockstep secondary {0} here, and lockstep primary {0} on its peer if it is to go on serving.\n",
                  before.name, what));
}

}  // namespace lockstep
