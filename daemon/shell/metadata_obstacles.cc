#include "shell/metadata_obstacles.h"

#include <fmt/format.h>

#include "base/check.h"
#include "shell/metadata_probe.h"

namespace lockstep {

namespace {

// Whether what was found would be damaged, or belongs to somebody who will want it back.
bool stands_in_the_way(const Found& found, const Layout& layout, bool on_data_device) {
  switch (found.kind) {
    case FoundKind::filesystem: {
      if (!on_data_device) return true;
      if (layout.placement == Placement::external) return false;
      return found.bytes == 0 || found.bytes > layout.data_bytes;
    }
    case FoundKind::container:
      // A partition table or a volume group at the start is content like any other, until the metadata lies
      // upon its end.
      return !on_data_device || layout.placement == Placement::internal;
    case FoundKind::foreign_replicator:
    case FoundKind::own_internal:
    case FoundKind::own_external:
      return true;
  }
  UNREACHABLE("FoundKind");
}

bool belongs_to_the_move(const Found& found, const Layout& layout, bool on_data_device, const Moving& moving) {
  const bool content = found.kind == FoundKind::filesystem || found.kind == FoundKind::container;
  if (content && on_data_device) return moving.volume_known;
  const bool internal = layout.placement == Placement::internal;
  if (found.kind == FoundKind::own_internal && on_data_device) return internal ? moving.begun_before : moving.from_data_device;
  return found.kind == FoundKind::own_external && !on_data_device && moving.begun_before;
}

std::string describe(const Found& found, const Layout& layout) {
  if (found.kind != FoundKind::filesystem || layout.placement != Placement::internal) return found.name;
  if (found.bytes == 0) return fmt::format("{} of unknown size", found.name);
  return fmt::format("{} of {} bytes (the data area would have {})", found.name, found.bytes, layout.data_bytes);
}

}  // namespace

Result<std::string> find_obstacles(const MetadataTarget& target, const Layout& layout, const Moving& moving) {
  std::string text;
  const auto look_at = [&](const std::string& path, bool on_data_device) -> Result<void> {
    const Result<std::vector<Found>> found = probe_device(path);
    if (!found.ok()) return found.error();
    for (const Found& item : found.value()) {
      if (belongs_to_the_move(item, layout, on_data_device, moving)) continue;
      if (stands_in_the_way(item, layout, on_data_device)) text += fmt::format("  {}: {}\n", path, describe(item, layout));
    }
    return {};
  };
  const Result<void> data = look_at(target.disk, true);
  if (!data.ok()) return data.error();
  if (target.placement() == Placement::external) {
    const Result<void> meta = look_at(target.meta_disk, false);
    if (!meta.ok()) return meta.error();
  }
  return text;
}

}  // namespace lockstep
