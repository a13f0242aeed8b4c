#include "shell/metadata_devices.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "core/volumes.h"
#include "meta/volume_label.h"
#include "shell/loop/device_open.h"

namespace lockstep {

namespace {

// How large a missing metadata file has to be. 0: no layout fits this data device.
uint64_t external_bytes_needed(uint64_t data_bytes, NewFile wanted) {
  const LayoutResult made =
      make_layout(Placement::external, data_bytes, UINT64_MAX / 2, wanted.slots, wanted.digests, wanted.beyond_bytes);
  return made.status == MetaStatus::ok ? made.layout.metadata_bytes() : 0;
}

// A file among the device nodes would be gone with the machine's next start; /dev/shm is for files.
bool among_devices(const std::string& path) { return path.substr(0, 5) == "/dev/" && path.substr(0, 9) != "/dev/shm/"; }

}  // namespace

Claimed::~Claimed() {
  close_device(data);
  close_device(meta);
  for (OpenedDevice& device : others) close_device(device);
}

ToolResult refuse(int exit_status, std::string err) { return {exit_status, {}, std::move(err)}; }

ToolResult refuse_open(const std::string& path, const Error& error) {
  if (error.os == EBUSY) {
    return refuse(kExitFailure, fmt::format("{}: the device is in use (another process has it, or it is mounted).\n"
                                            "  Take the resource down or unmount it first.\n",
                                            path));
  }
  const char* advice = error.os == ENOTBLK  ? "  It is neither a block device nor a regular file.\n"
                       : error.os == ENOENT ? "  Correct `disk` or `meta-disk` in the configuration.\n"
                                            : "";
  return refuse(kExitNoDisk, fmt::format("{}: {}: {}.\n{}", path, error.where, std::strerror(error.os), advice));
}

ToolResult refuse_io(const std::string& path, int error) {
  return refuse(kExitFailure, fmt::format("{}: {}.\n", path, std::strerror(error)));
}

ToolResult refuse_layout(const MetadataTarget& target, MetaStatus status, const Layout& layout) {
  // The disk is large enough: it is the metadata device that is not.
  const bool needs_more =
      layout.placement == Placement::external && status == MetaStatus::device_too_small && layout.data_bytes >= kMinDataBytes;
  const std::string needed = needs_more ? fmt::format(", and the metadata of this one takes {}", layout.metadata_bytes()) : "";
  return refuse(kExitFailure, fmt::format("{}: {}: disk of {} bytes, metadata device of {}; a data area has {} to {} bytes{}.\n"
                                          "  {}\n",
                                          target.meta_path(), text_of(status), layout.data_device_bytes, layout.meta_device_bytes,
                                          kMinDataBytes, kMaxDataBytes, needed, remedy_of(status)));
}

std::optional<ToolResult> claim(const MetadataTarget& target, NewFile wanted, Claimed& claimed) {
  Result<OpenedDevice> data = open_device(target.disk);
  if (!data.ok()) return refuse_open(target.disk, data.error());
  claimed.data = data.value();
  for (const OtherVolume& volume : target.others) {
    Result<OpenedDevice> other = open_device(volume.disk);
    if (!other.ok()) return refuse_open(volume.disk, other.error());
    claimed.others.push_back(other.value());
  }
  if (wanted.slots > 0 && !target.others.empty()) {
    ToolResult refused;
    const auto behind = shapes_behind(target, claimed, refused);
    if (!behind) return refused;
    wanted.beyond_bytes = span_of(*behind);
  }
  return target.placement() == Placement::internal ? std::nullopt : claim_meta(target, wanted, claimed);
}

std::optional<ToolResult> claim_meta(const MetadataTarget& target, NewFile wanted, Claimed& claimed) {
  Result<OpenedDevice> meta = open_device(target.meta_disk);
  if (!meta.ok() && meta.error().os == ENOENT && wanted.slots > 0 && !among_devices(target.meta_disk)) {
    const uint64_t bytes = external_bytes_needed(claimed.data.size_bytes, wanted);
    if (bytes > 0) meta = create_file(target.meta_disk, bytes);
  }
  if (!meta.ok()) return refuse_open(target.meta_disk, meta.error());
  claimed.meta = meta.value();
  return std::nullopt;
}

std::optional<VolumeShapes> shapes_behind(const MetadataTarget& target, const Claimed& claimed, ToolResult& refused) {
  VolumeShapes behind;
  for (size_t i = 0; i < target.others.size(); ++i) {
    const OtherVolume& volume = target.others[i];
    const uint64_t bytes = labelled_data_bytes(claimed.others[i].size_bytes);
    if (bytes == 0 || bytes > kMaxDataBytes) {
      const MetaStatus status = bytes == 0 ? MetaStatus::device_too_small : MetaStatus::device_too_large;
      refused = refuse(kExitFailure, fmt::format("{}: {}: {} bytes.\n  {}\n", volume.disk, text_of(status),
                                                 claimed.others[i].size_bytes, remedy_of(status)));
      return std::nullopt;
    }
    behind.push_back({volume.number, bytes});
  }
  return behind;
}

bool is_owned_by(const Superblock& superblock, const MetadataOwner& owner) {
  const NodeRecord& record = superblock.record;
  return record.resource == owner.resource && record.node == owner.node && superblock.volume == owner.volume;
}

int clear_superblock(MetadataIo& io, Placement placement) {
  const SuperblockPlace place = find_superblock(placement, io.size_bytes());
  if (!place.fits) return 0;
  AlignedBytes zeroes(kSuperblockCopies * kSectorBytes);
  return io.write_durable(place.offset, zeroes.bytes());
}

}  // namespace lockstep
