#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>

#include "control/config/resolve.h"

namespace lockstep::config {

Loaded load(const std::string& path, SourceReader& reader) {
  Loaded loaded;
  Tree tree = parse_files(path, reader);
  if (!tree.errors.empty()) {
    loaded.diagnostics = std::move(tree.errors);
    return loaded;
  }
  Complaints complaints(loaded.diagnostics);
  const Drafts drafts = read_drafts(tree.statements, complaints);
  if (!loaded.ok()) return loaded;  // what could not be read cannot be compared
  loaded.config = resolve(drafts, complaints);
  check_shared_use(drafts, complaints);
  return loaded;
}

Loaded load(const std::string& path) {
  FileReader reader;
  return load(path, reader);
}

bool Loaded::ok() const {
  return std::none_of(diagnostics.begin(), diagnostics.end(),
                      [](const Diagnostic& one) { return one.severity == Severity::error; });
}

std::string Loaded::errors() const {
  std::string out;
  for (const Diagnostic& one : diagnostics) {
    if (one.severity == Severity::error) out += render(one);
  }
  return out;
}

std::string Loaded::warnings() const {
  std::string out;
  for (const Diagnostic& one : diagnostics) {
    if (one.severity == Severity::warning) out += render(one);
  }
  return out;
}

// BLAKE2b-128 over a versioned prefix and length-free, zero-separated fields; names hold no zero byte.
// Changing this changes the identity of every resource in the field.
ResourceId resource_id_of(std::string_view name, std::vector<std::pair<uint8_t, std::string>> nodes) {
  std::sort(nodes.begin(), nodes.end());
  std::string text = "lockstep resource 1";
  text.push_back('\0');
  text += name;
  text.push_back('\0');
  for (const auto& [id, host] : nodes) {
    text.push_back(static_cast<char>(id));
    text += host;
    text.push_back('\0');
  }
  ResourceId id;
  const int failed = crypto_generichash(id.bytes.data(), id.bytes.size(), reinterpret_cast<const unsigned char*>(text.data()),
                                        text.size(), nullptr, 0);
  CHECK(failed == 0);
  id.bytes[6] = static_cast<uint8_t>((id.bytes[6] & 0x0f) | 0x80);  // RFC 9562: version 8, made by the application
  id.bytes[8] = static_cast<uint8_t>((id.bytes[8] & 0x3f) | 0x80);
  return id;
}

const Resource* Config::resource(std::string_view name) const {
  for (const Resource& resource : resources) {
    if (resource.name == name) return &resource;
  }
  return nullptr;
}

const Host* Resource::host(std::string_view node) const {
  for (const Host& host : hosts) {
    if (host.name == node) return &host;
  }
  // uname may give a full name where the file has the short one.
  const size_t dot = node.find('.');
  return dot == std::string_view::npos ? nullptr : host(node.substr(0, dot));
}

const Host* Resource::by_seat(Seat seat) const {
  for (const Host& host : hosts) {
    if (host.seat() == seat) return &host;
  }
  return nullptr;
}

std::vector<OwnPath> Resource::paths(const Host& from, const Host& to) const {
  const bool is_low = from.node_id < to.node_id;
  std::vector<OwnPath> paths;
  for (const Connection& connection : connections) {
    if (connection.low != std::min(from.node_id, to.node_id) || connection.high != std::max(from.node_id, to.node_id)) continue;
    for (const PathBetween& path : connection.paths)
      paths.push_back({is_low ? path.low : path.high, is_low ? path.high : path.low, false});
  }
  if (paths.empty()) paths.push_back({from.address, to.address, false});
  if (from.control_address && to.control_address) paths.push_back({*from.control_address, *to.control_address, true});
  return paths;
}

// host > connection > resource > common.
char Resource::protocol(const Host& from, const Host& to) const {
  const auto found = protocols.find(std::minmax(from.node_id, to.node_id));
  const bool own = from.own.contains(find_option(Section::net, "protocol"));
  return found == protocols.end() || own ? from.net.protocol : found->second;
}

std::string Resource::name_of(Seat seat) const {
  if (const Host* host = by_seat(seat)) return host->name;
  const size_t index = static_cast<size_t>(seat.value) - kMaxDataNodes;
  if (seat.is_witness() && index < witnesses.size()) return witnesses[index].name;
  return fmt::format("node {}", seat.value);
}

}  // namespace lockstep::config
