#include <fmt/format.h>

#include <algorithm>

#include "control/config/model.h"

namespace lockstep::config {

namespace {

// Words that the lexer would read differently are quoted.
std::string word(std::string_view text) {
  const bool plain = !text.empty() && text.find_first_of(" \t\\\"{};#") == std::string_view::npos;
  if (plain) return std::string(text);
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "\"";
}

void dump_settings(const Settings& settings, std::string_view indent, std::string& out) {
  for (size_t i = 0; i < std::size(kSectionNames); ++i) {
    std::string body;
    for (const OptionSpec& spec : all_options()) {  // in the table's order
      const auto found = settings.find(&spec);
      if (spec.section != static_cast<Section>(i) || found == settings.end()) continue;
      body += fmt::format("{}    {:<20} {};\n", indent, spec.name, word(found->second));
    }
    if (!body.empty()) out += fmt::format("{0}{1} {{\n{2}{0}}}\n", indent, kSectionNames[i], body);
  }
}

std::string endpoint(const Endpoint& at) {
  return at.host.find(':') != std::string::npos ? "ipv6 " + at.to_string() : at.to_string();
}

void dump_volume(const Volume& volume, const Host& host, std::string& out) {
  out += fmt::format("        volume {} {{\n            {:<16} {};\n            {:<16} {};\n", volume.number, "disk",
                     word(volume.disk), "meta-disk", word(volume.meta_disk));
  // Inherited settings are printed where they were given; only what this volume changes is printed here.
  if (volume.options != host.disk) {
    const Disk& disk = volume.options;
    out += fmt::format("            disk {{ c-max-rate {}s; c-min-rate {}s; disk-timeout {}; resync-latency-target {}; }}\n",
                       disk.c_max_rate / 512, disk.c_min_rate / 512, disk.disk_timeout.ns / 100'000'000,
                       disk.resync_latency_target.ns / 100'000);
  }
  out += "        }\n";
}

void dump_host(const Host& host, std::string& out) {
  out += fmt::format("    on {} {{\n        {:<20} {};\n        {:<20} {};\n", host.name, "node-id", host.node_id, "address",
                     endpoint(host.address));
  if (host.control_address) out += fmt::format("        {:<20} {};\n", "control-address", endpoint(*host.control_address));
  for (const NbdListen& listen : host.nbd) out += fmt::format("        {:<20} {};\n", "nbd", word(listen.to_string()));
  if (host.metrics) out += fmt::format("        {:<20} {};\n", "metrics", host.metrics->to_string());
  dump_settings(host.own, "        ", out);
  for (const Volume& volume : host.volumes) dump_volume(volume, host, out);
  out += "    }\n";
}

// A mesh, unless some pair has addresses of its own: then each pair.
void dump_connections(const Resource& resource, std::string& out) {
  if (resource.hosts.size() < 2) return;
  if (resource.connections.empty() && resource.protocols.empty()) {
    out += "    connection-mesh {\n        hosts               ";
    for (const Host& host : resource.hosts) out += " " + host.name;
    out += ";\n    }\n";
    return;
  }
  for (size_t i = 0; i < resource.hosts.size(); ++i) {
    for (size_t j = i + 1; j < resource.hosts.size(); ++j) {
      const Host& low = resource.hosts[i];
      const Host& high = resource.hosts[j];
      out += "    connection {\n";
      const auto protocol = resource.protocols.find({low.node_id, high.node_id});
      if (protocol != resource.protocols.end()) out += fmt::format("        net {{ protocol {}; }}\n", protocol->second);
      if (resource.connections.empty()) out += fmt::format("        host {};\n        host {};\n", low.name, high.name);
      for (const OwnPath& path : resource.paths(low, high)) {
        if (path.control_only || resource.connections.empty()) continue;
        out += fmt::format("        path {{\n            host {} address {};\n            host {} address {};\n        }}\n",
                           low.name, endpoint(path.local), high.name, endpoint(path.remote));
      }
      out += "    }\n";
    }
  }
}

}  // namespace

std::string dump(const Resource& resource) {
  std::string out = fmt::format("# resource {}: id {}\nresource {} {{\n", resource.name, resource.id.to_string(), resource.name);
  dump_settings(resource.settings, "    ", out);
  for (const Host& host : resource.hosts) dump_host(host, out);
  for (const Witness& witness : resource.witnesses) {
    out += fmt::format("    witness {} {{\n        {:<20} {};\n    }}\n", witness.name, "address", endpoint(witness.address));
  }
  dump_connections(resource, out);
  return out + "}\n";
}

std::string dump(const Config& config) {
  std::string out;
  if (config.metrics) out += fmt::format("global {{\n    {:<20} {};\n}}\n\n", "metrics", config.metrics->to_string());
  for (size_t i = 0; i < config.resources.size(); ++i) out += (i > 0 ? "\n" : "") + dump(config.resources[i]);
  return out;
}

}  // namespace lockstep::config
