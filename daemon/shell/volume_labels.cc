#include "shell/volume_labels.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cerrno>

#include "core/volumes.h"
#include "shell/metadata_pages.h"

namespace lockstep {

namespace {

MetadataError wrong(MetaStatus status, const std::string& path, const std::string& details, const std::string& remedy) {
  return {status, status == MetaStatus::io_error ? EIO : 0, fmt::format("{}: {}.\n  {}\n", path, details, remedy)};
}

}  // namespace

DecodedLabel read_label(MetadataIo& io) {
  DecodedLabel best;
  const SuperblockPlace place = find_superblock(Placement::internal, io.size_bytes());
  if (!place.fits) return best;
  bool read = false;
  read_sectors(io, place.offset, kSuperblockCopies, [&](uint64_t, const std::byte* sector) {
    if (sector == nullptr || best.status == MetaStatus::ok) return;
    const DecodedLabel decoded = decode_volume_label(SectorView(sector, kSectorBytes));
    // One that was there says more than one that never was.
    if (!read || decoded.status == MetaStatus::ok || best.status == MetaStatus::no_metadata) best = decoded;
    read = true;
  });
  if (!read) best.status = MetaStatus::io_error;
  return best;
}

int write_label(MetadataIo& io, const VolumeLabel& label) {
  const SuperblockPlace place = find_superblock(Placement::internal, io.size_bytes());
  if (!place.fits) return ENOSPC;
  AlignedBytes copies(kSuperblockCopies * kSectorBytes);
  for (uint8_t i = 0; i < kSuperblockCopies; ++i)
    encode_volume_label(label, i, SectorSpan(copies.bytes().subspan(i * kSectorBytes, kSectorBytes)));
  return io.write_durable(place.offset, copies.bytes());
}

std::optional<MetadataError> why_not_labelled(MetadataIo& io, const std::string& path, const NodeRecord& record,
                                              const VolumeShape& shape) {
  const DecodedLabel found = read_label(io);
  const char* which = "Check which disk is configured for which volume.";
  if (found.status == MetaStatus::io_error)
    return wrong(MetaStatus::io_error, path, "none of the 4 labels at its end can be read", "Replace the disk.");
  if (found.status == MetaStatus::no_metadata)
    return wrong(
        MetaStatus::no_metadata, path, fmt::format("it has no label of volume {}", shape.number),
        fmt::format("{} create-md writes one, and begins a new life of all volumes; or the device has another size than it had.",
                    which));
  if (found.status != MetaStatus::ok)
    return wrong(found.status, path, fmt::format("its label cannot be used: {}", text_of(found.status)),
                 std::string(remedy_of(found.status)));
  const VolumeLabel& label = found.label;
  if (label.resource != record.resource || label.node != record.node)
    return wrong(MetaStatus::other_resource, path,
                 fmt::format("its label names resource id {}, node-id {}; expected {}, node-id {}", label.resource.to_string(),
                             label.node.value, record.resource.to_string(), record.node.value),
                 which);
  if (label.volume != shape.number)
    return wrong(MetaStatus::other_volume, path, fmt::format("its label names volume {}, not {}", label.volume, shape.number),
                 which);
  if (label.disk != record.disk)
    return wrong(MetaStatus::other_volume, path,
                 fmt::format("its label belongs to metadata that was made at another time (disk {}, not {})",
                             label.disk.to_string(), record.disk.to_string()),
                 which);
  if (label.data_bytes != shape.size_bytes || labelled_data_bytes(io.size_bytes()) < shape.size_bytes)
    return wrong(
        MetaStatus::layout_mismatch, path,
        fmt::format("it holds {} bytes, and its volume was made with {}", labelled_data_bytes(io.size_bytes()), shape.size_bytes),
        "Give it back its size.");
  return std::nullopt;
}

std::optional<MetadataError> why_other_volumes(const NodeRecord& record, const std::vector<uint16_t>& configured) {
  std::vector<uint16_t> made;
  for (const VolumeShape& shape : volumes_of(record)) made.push_back(shape.number);
  if (made == configured) return std::nullopt;
  return MetadataError{MetaStatus::other_volume, 0,
                       fmt::format("the metadata was made for volume{} {}, and the configuration has {}.\n"
                                   "  A resource keeps the volumes that it had at create-md; for others, make a new resource.\n",
                                   made.size() == 1 ? "" : "s", fmt::join(made, ", "), fmt::join(configured, ", "))};
}

}  // namespace lockstep
