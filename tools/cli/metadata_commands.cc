#include "tools/cli/metadata_commands.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/config/values.h"
#include "shell/metadata_move.h"
#include "shell/metadata_tool.h"

namespace lockstep::cli {

namespace {

ToolResult move(const Arguments& arguments, const MetadataTarget& target, const MetadataOwner& owner) {
  const auto text = [&arguments](const std::string& name) {
    return arguments.flag(name) ? arguments.options.at(name) : std::string();
  };
  MoveOptions options;
  options.from = text("from");
  options.force = arguments.flag("force");
  if (options.from == "internal") options.from.clear();
  const std::string former = text("former-size");
  if (former.empty()) return move_md(target, owner, options);
  const auto bytes = config::parse_size(former, 1);
  if (!bytes || *bytes <= 0)
    return {1, {}, fmt::format("lockstep: --former-size {}: a number of bytes is expected, as in 1073741824 or 1G\n", former)};
  options.former_bytes = static_cast<uint64_t>(*bytes);
  return move_md(target, owner, options);
}

ToolResult run(const Arguments& arguments, const config::Resource& resource, const config::Host& host) {
  const config::Volume& lowest = host.volumes.front();
  MetadataTarget target{lowest.disk, lowest.internal() ? "" : lowest.meta_disk, {}};
  for (size_t i = 1; i < host.volumes.size(); ++i) target.others.push_back({host.volumes[i].number, host.volumes[i].disk});
  const MetadataOwner owner{resource.id, host.seat(), lowest.number};
  const bool force = arguments.flag("force");
  if (arguments.command->name == "create-md") {
    CreateOptions options;
    for (const config::Host& one : resource.hosts) options.max_peers = std::max(options.max_peers, one.node_id);
    options.force = force;
    options.digests = arguments.flag("digests");
    return create_md(target, owner, options);
  }
  if (arguments.command->name == "move-md") return move(arguments, target, owner);
  if (arguments.command->name == "wipe-md") return wipe_md(target, owner, force);
  return dump_md(target, arguments.flag("json"));
}

}  // namespace

ControlReply run_metadata_command(const Arguments& arguments, const config::Resource& resource, const config::Host& host) {
  const auto asked = arguments.target.volume;
  const bool there = std::any_of(host.volumes.begin(), host.volumes.end(),
                                 [&asked](const config::Volume& volume) { return volume.number == asked; });
  if (asked && !there) return {10, "", fmt::format("lockstep: resource {} has no volume {}\n", resource.name, *asked)};
  if (asked && host.volumes.size() > 1) {
    return {11, "",
            fmt::format("lockstep: {}: the metadata of all volumes of a resource lies together, with volume {}: say {} {}\n",
                        arguments.command->name, host.volumes.front().number, arguments.command->name, resource.name)};
  }
  if (host.volumes.size() > 1 && arguments.command->name == "move-md") {
    return {20, "",
            fmt::format("lockstep: move-md: not built for a resource with several volumes yet: {} has {}\n", resource.name,
                        host.volumes.size())};
  }
  const ToolResult result = run(arguments, resource, host);
  return {result.exit_status, result.out, result.err};
}

}  // namespace lockstep::cli
