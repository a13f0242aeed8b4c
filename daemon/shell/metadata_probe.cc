#include "shell/metadata_probe.h"

#include <blkid/blkid.h>
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/endian.h"
#include "shell/loop/device_open.h"
#include "shell/metadata_attach.h"

namespace lockstep {

namespace {

struct CloseOnExit {
  OpenedDevice& device;
  ~CloseOnExit() { close_device(device); }
};

struct FreeProbe {
  void operator()(blkid_probe probe) const { blkid_free_probe(probe); }
};

std::string value_of(blkid_probe probe, const char* name) {
  const char* value = nullptr;
  if (blkid_probe_lookup_value(probe, name, &value, nullptr) != 0 || value == nullptr) return {};
  return value;
}

// ext2/3/4: struct ext4_super_block at 1024; block counts at 4 and 0x150, log2(block size / 1024) at 24,
// feature bit 0x80 (64bit) of the incompatible features at 0x60 says whether the high half counts.
uint64_t ext_bytes(MetadataIo& io) {
  AlignedBytes head(4096);
  if (io.read(0, head.bytes()) != 0) return 0;
  const std::byte* super = head.data() + 1024;
  const auto log_block = get_le<uint32_t>(super + 24);
  if (log_block > 6) return 0;
  const bool wide = (get_le<uint32_t>(super + 0x60) & 0x80) != 0;
  const uint64_t high = wide ? get_le<uint32_t>(super + 0x150) : 0;
  return ((high << 32) | get_le<uint32_t>(super + 4)) << (10 + log_block);
}

// XFS: big-endian; block size at 4, blocks of the data section at 8.
uint64_t xfs_bytes(MetadataIo& io) {
  AlignedBytes head(4096);
  if (io.read(0, head.bytes()) != 0) return 0;
  return get_be<uint64_t>(head.data() + 8) * get_be<uint32_t>(head.data() + 4);
}

uint64_t filesystem_bytes(MetadataIo& io, const std::string& type) {
  if (type == "ext2" || type == "ext3" || type == "ext4") return ext_bytes(io);
  if (type == "xfs") return xfs_bytes(io);
  return 0;
}

Found judge_superblock(MetadataIo& io, const std::string& type, const std::string& usage) {
  if (type == "drbd") return {FoundKind::foreign_replicator, "DRBD metadata", 0};
  if (usage == "filesystem") return {FoundKind::filesystem, type + " file system", filesystem_bytes(io, type)};
  return {FoundKind::container, usage.empty() ? type : fmt::format("{} ({})", type, usage), 0};
}

Result<void> probe_with_blkid(const OpenedDevice& device, MetadataIo& io, std::vector<Found>& found) {
  const std::unique_ptr<std::remove_pointer_t<blkid_probe>, FreeProbe> probe(blkid_new_probe());
  if (!probe) return Error{ENOMEM, "blkid_new_probe"};
  if (blkid_probe_set_device(probe.get(), device.fd, 0, 0) != 0) return Error{EIO, "blkid_probe_set_device"};
  blkid_probe_enable_superblocks(probe.get(), 1);
  blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE | BLKID_SUBLKS_BADCSUM);
  blkid_probe_enable_partitions(probe.get(), 1);
  constexpr int kMostFindings = 32;
  for (int i = 0; i < kMostFindings; ++i) {
    const int status = blkid_do_probe(probe.get());
    if (status == 1) return {};
    if (status != 0) return Error{EIO, "blkid_do_probe"};
    const std::string type = value_of(probe.get(), "TYPE");
    const std::string table = value_of(probe.get(), "PTTYPE");
    if (!type.empty()) {
      found.push_back(judge_superblock(io, type, value_of(probe.get(), "USAGE")));
    } else if (!table.empty()) {
      found.push_back({FoundKind::container, fmt::format("partition table ({})", table), 0});
    }
  }
  return {};
}

// DRBD's superblock: 4 KiB before the end of the device (internal), at its start (flexible external), or at
// multiples of 128 MiB (indexed external; the first is the start). Big-endian magic at byte 60 in versions 8
// and 9.
const char* drbd_version(MetadataIo& io, uint64_t offset) {
  AlignedBytes sector(4096);
  if (io.read(offset, sector.bytes()) != 0) return nullptr;
  const auto magic = get_be<uint32_t>(sector.data() + 60);
  if (magic == 0x8374026b || magic == 0x8374026c) return "DRBD 8 metadata";
  if (magic == 0x8374026d) return "DRBD 9 metadata";
  return nullptr;
}

void probe_for_drbd(MetadataIo& io, std::vector<Found>& found) {
  const uint64_t end = io.size_bytes() - io.size_bytes() % 4096;
  if (end == 0) return;
  for (const uint64_t offset : {uint64_t{0}, end - 4096}) {
    const char* version = drbd_version(io, offset);
    if (version == nullptr) continue;
    for (const Found& earlier : found) {
      if (earlier.kind == FoundKind::foreign_replicator) return;  // libblkid saw the same
    }
    found.push_back({FoundKind::foreign_replicator, version, 0});
  }
}

// Even damaged metadata of ours is somebody's: any copy with our magic counts.
bool has_own(MetadataIo& io, Placement placement) {
  const SuperblockPlace place = find_superblock(placement, io.size_bytes());
  if (!place.fits) return false;
  AlignedBytes sector(kSectorBytes);
  for (uint32_t copy = 0; copy < kSuperblockCopies; ++copy) {
    if (io.read(place.offset + copy * kSectorBytes, sector.bytes()) != 0) continue;
    const OpenedSector opened = open_sector(SectorView(sector.bytes()));
    const bool other_kind = opened.status == MetaStatus::ok && opened.header.kind != SectorKind::superblock &&
                            opened.header.kind != SectorKind::label;
    if (opened.status != MetaStatus::no_metadata && !other_kind) return true;
  }
  return false;
}

}  // namespace

Result<std::vector<Found>> probe_device(const std::string& path) {
  // Without O_DIRECT: libblkid reads into memory of its own.
  Result<OpenedDevice> opened = open_device(path, {.read_only = true, .direct = false, .claim = false});
  if (!opened.ok()) return opened.error();
  OpenedDevice device = opened.value();
  const CloseOnExit closer{device};
  FdMetadataIo io(device);
  std::vector<Found> found;
  if (device.size_bytes == 0) return found;
  const Result<void> probed = probe_with_blkid(device, io, found);
  if (!probed.ok()) return probed.error();
  probe_for_drbd(io, found);
  if (has_own(io, Placement::internal)) found.push_back({FoundKind::own_internal, "Lockstep metadata (internal)", 0});
  if (has_own(io, Placement::external)) found.push_back({FoundKind::own_external, "Lockstep metadata (external)", 0});
  return found;
}

}  // namespace lockstep
