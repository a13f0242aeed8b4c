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

ToolResult run_one(const Arguments& arguments, const config::Resource& resource, const config::Host& host,
                   const config::Volume& volume) {
  const MetadataTarget target{volume.disk, volume.internal() ? "" : volume.meta_disk};
  const MetadataOwner owner{resource.id, host.seat(), volume.number};
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
  ControlReply reply;
  bool found = false;
  for (const config::Volume& volume : host.volumes) {
    if (arguments.target.volume && *arguments.target.volume != volume.number) continue;
    found = true;
    const ToolResult result = run_one(arguments, resource, host, volume);
    reply.out += result.out;
    reply.err += result.err;
    if (reply.exit_status == 0) reply.exit_status = result.exit_status;
  }
  if (!found) {
    reply.exit_status = 10;
    reply.err = fmt::format("lockstep: resource {} has no volume {}\n", resource.name, arguments.target.volume.value_or(0));
  }
  return reply;
}

}  // namespace lockstep::cli
