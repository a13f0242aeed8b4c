#include "control/config/draft.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/config/reading.h"

namespace lockstep::config {

namespace {

void read_node_id(const Statement& statement, HostDraft& host, Complaints& complaints) {
  const Word* word = one_value(statement, complaints);
  if (!word) return;
  const std::optional<int64_t> number = parse_number(word->text);
  if (!number || *number < 0 || *number >= kMaxDataNodes) {
    complaints.error(word->at, fmt::format("node-id takes 0 to {}, not \"{}\"", kMaxDataNodes - 1, word->text));
    return;
  }
  if (host.node_id) {
    complaints.error(word->at, fmt::format("node-id is given twice; first in line {}", host.node_id->at.line->number));
    return;
  }
  host.node_id = Placed<uint8_t>{static_cast<uint8_t>(*number), word->at};
}

void set_address(std::optional<Placed<Endpoint>>& slot, const Statement& statement, Complaints& complaints) {
  const auto address = read_address(statement, complaints);
  if (!address) return;
  if (slot) {
    complaints.error(address->at, fmt::format("{} is given twice; first in line {}", statement.keyword(), slot->at.line->number));
    return;
  }
  slot = address;
}

void read_nbd(const Statement& statement, HostDraft& host, Complaints& complaints) {
  const Word* word = one_value(statement, complaints);
  if (!word) return;
  if (const std::optional<NbdListen> listen = parse_nbd(word->text)) {
    host.nbd.push_back({*listen, word->at});
    return;
  }
  complaints.error(word->at, fmt::format("\"{}\" is not an address to listen on: unix:PATH (at most 107 bytes), HOST:PORT, "
                                         "systemd:NAME or vsock:PORT",
                                         word->text));
}

void read_host(const Statement& statement, ResourceDraft& resource, Complaints& complaints) {
  const Word* name = section_name(statement, complaints);
  if (!name) return;
  HostDraft host;
  host.name = {name->text, name->at};
  for (const Statement& inner : statement.block) {
    const std::string& word = inner.keyword();
    if (word == "node-id") {
      read_node_id(inner, host, complaints);
    } else if (word == "address") {
      set_address(host.address, inner, complaints);
    } else if (word == "control-address") {
      set_address(host.control_address, inner, complaints);
    } else if (word == "nbd") {
      read_nbd(inner, host, complaints);
    } else if (word == "metrics") {
      host.metrics = read_metrics(inner, complaints);
    } else if (word == "volume") {
      read_volume(inner, host.volumes, complaints);
    } else if (!read_bare_volume(inner, host.volumes, complaints) && !read_option_section(inner, host.own, complaints)) {
      unknown_word(inner, "on HOST",
                   {"node-id", "address", "control-address", "nbd", "metrics", "volume", "disk", "meta-disk", "options", "net",
                    "handlers"},
                   complaints);
    }
  }
  resource.hosts.push_back(std::move(host));
}

void read_witness(const Statement& statement, ResourceDraft& resource, Complaints& complaints) {
  const Word* name = section_name(statement, complaints);
  if (!name) return;
  WitnessDraft witness{{name->text, name->at}, std::nullopt};
  for (const Statement& inner : statement.block) {
    if (inner.keyword() == "address") {
      set_address(witness.address, inner, complaints);
    } else {
      unknown_word(inner, "witness", {"address"}, complaints);
    }
  }
  resource.witnesses.push_back(std::move(witness));
}

// host NAME; or host NAME address ADDRESS;
void read_connection_host(const Statement& statement, ConnectionDraft& connection, Complaints& complaints) {
  Statement plain = statement;
  if (plain.words.size() >= 4 && plain.words[2].text == "address") {
    Statement address;
    address.words.assign(plain.words.begin() + 2, plain.words.end());
    plain.words.resize(2);
    const auto endpoint = read_address(address, complaints);
    if (endpoint) connection.addresses[plain.words[1].text] = *endpoint;
  }
  const Word* name = one_value(plain, complaints);
  if (name) connection.hosts.push_back({name->text, name->at});
}

// path { host NAME address ADDRESS; host NAME address ADDRESS; }
void read_path(const Statement& statement, ConnectionDraft& connection, Complaints& complaints) {
  if (!plain_section(statement, complaints)) return;
  ConnectionDraft inside;
  for (const Statement& inner : statement.block) {
    if (inner.keyword() == "host") {
      read_connection_host(inner, inside, complaints);
    } else {
      unknown_word(inner, "path", {"host"}, complaints);
    }
  }
  for (const Placed<std::string>& host : inside.hosts) {
    if (!inside.addresses.contains(host.value))
      complaints.error(host.at,
                       fmt::format("host {} has no address in this path: host {} address HOST:PORT;", host.value, host.value));
    const auto same = [&host](const Placed<std::string>& other) { return other.value == host.value; };
    if (std::none_of(connection.hosts.begin(), connection.hosts.end(), same)) connection.hosts.push_back(host);
  }
  if (inside.addresses.size() != 2)
    complaints.error(
        statement.at(),
        "a path has the addresses of two hosts: path { host ALPHA address HOST:PORT; host BETA address HOST:PORT; }");
  connection.paths.push_back({statement.at(), std::move(inside.addresses)});
}

void check_paths(const ConnectionDraft& connection, Complaints& complaints) {
  if (connection.paths.empty()) return;
  if (!connection.addresses.empty())
    complaints.error(connection.addresses.begin()->second.at,
                     "this connection has path sections: the addresses of its hosts belong into them");
  bool alike = true;
  for (const PathDraft& path : connection.paths) {
    for (const auto& [host, address] : connection.paths.front().addresses) {
      if (path.addresses.contains(host)) continue;
      alike = false;
      complaints.error(path.at,
                       fmt::format("all paths of a connection are between the same two hosts: {} has no address here", host));
    }
  }
  if (alike && connection.hosts.size() > 2)
    complaints.error(connection.at, "a connection with path sections is between two hosts");
}

void read_connection(const Statement& statement, ResourceDraft& resource, Complaints& complaints) {
  const bool mesh = statement.keyword() == "connection-mesh";
  if (!statement.has_block || (mesh && statement.words.size() > 1)) {
    plain_section(statement, complaints);
    return;
  }
  ConnectionDraft connection;
  connection.at = statement.at();
  for (const Statement& inner : statement.block) {
    if (inner.keyword() == "net") {
      read_options(Section::net, inner, connection.net, complaints);
    } else if (mesh && inner.keyword() == "hosts" && !inner.has_block) {
      for (size_t i = 1; i < inner.words.size(); ++i) {
        connection.hosts.push_back({inner.words[i].text, inner.words[i].at});
      }
    } else if (!mesh && inner.keyword() == "host") {
      read_connection_host(inner, connection, complaints);
    } else if (!mesh && inner.keyword() == "path") {
      read_path(inner, connection, complaints);
    } else if (mesh && inner.keyword() == "path") {
      complaints.error(
          inner.at(), "paths are between two hosts: write connection { path { ... } } for each pair in place of connection-mesh");
    } else if (!mesh && (inner.keyword() == "volume" || inner.keyword() == "disk")) {
      complaints.error(inner.at(), fmt::format("{} inside connection is not built yet", inner.keyword()));
    } else {
      unknown_word(inner, statement.keyword(), {mesh ? "hosts" : "host", mesh ? "net" : "path", "net"}, complaints);
    }
  }
  check_paths(connection, complaints);
  resource.connections.push_back(std::move(connection));
}

void read_resource(const Statement& statement, Drafts& drafts, Complaints& complaints) {
  const Word* name = section_name(statement, complaints);
  if (!name) return;
  if (name->text == "all") {
    complaints.error(name->at, "a resource cannot be called \"all\": commands mean every resource by it");
    return;
  }
  ResourceDraft resource;
  resource.name = {name->text, name->at};
  for (const Statement& inner : statement.block) {
    const std::string& word = inner.keyword();
    if (word == "on") {
      read_host(inner, resource, complaints);
    } else if (word == "witness") {
      read_witness(inner, resource, complaints);
    } else if (word == "volume") {
      read_volume(inner, resource.volumes, complaints);
    } else if (word == "connection" || word == "connection-mesh") {
      read_connection(inner, resource, complaints);
    } else if (!read_bare_volume(inner, resource.volumes, complaints) && !read_option_section(inner, resource.own, complaints)) {
      unknown_word(
          inner, "resource",
          {"on", "witness", "volume", "connection", "connection-mesh", "options", "net", "disk", "handlers", "meta-disk"},
          complaints);
    }
  }
  drafts.resources.push_back(std::move(resource));
}

void read_global(const Statement& statement, Drafts& drafts, Complaints& complaints) {
  if (!plain_section(statement, complaints)) return;
  for (const Statement& inner : statement.block) {
    if (inner.keyword() == "metrics") {
      drafts.metrics = read_metrics(inner, complaints);
    } else {
      unknown_word(inner, "global", {"metrics"}, complaints);
    }
  }
}

void read_common(const Statement& statement, Drafts& drafts, Complaints& complaints) {
  if (!plain_section(statement, complaints)) return;
  for (const Statement& inner : statement.block) {
    if (!read_option_section(inner, drafts.common, complaints)) {
      unknown_word(inner, "common", {"options", "net", "disk", "handlers"}, complaints);
    }
  }
}

}  // namespace

std::optional<Placed<Endpoint>> first_address_of(const ResourceDraft& resource, const HostDraft& host) {
  for (const ConnectionDraft& connection : resource.connections) {
    const auto found = connection.addresses.find(host.name.value);
    if (found != connection.addresses.end()) return found->second;
    for (const PathDraft& path : connection.paths) {
      const auto here = path.addresses.find(host.name.value);
      if (here != path.addresses.end()) return here->second;
    }
  }
  return host.address;
}

void Scope::overlay(const Scope& inner) {
  static const OptionSpec* const kInline = find_option(Section::net, "shared-secret");
  static const OptionSpec* const kFile = find_option(Section::net, "shared-secret-file");
  if (inner.values.contains(kInline) || inner.values.contains(kFile)) {
    values.erase(kInline);
    values.erase(kFile);
  }
  for (const auto& [spec, value] : inner.values) values[spec] = value;
}

Drafts read_drafts(const std::vector<Statement>& statements, Complaints& complaints) {
  Drafts drafts;
  for (const Statement& statement : statements) {
    const std::string& word = statement.keyword();
    if (word == "global") {
      read_global(statement, drafts, complaints);
    } else if (word == "common") {
      read_common(statement, drafts, complaints);
    } else if (word == "resource") {
      read_resource(statement, drafts, complaints);
    } else {
      unknown_word(statement, "the file", {"global", "common", "resource", "include", "skip"}, complaints);
    }
  }
  return drafts;
}

}  // namespace lockstep::config
