// The label at the end of the disk of a volume that is not its resource's lowest: it says to which metadata, on another device, the disk
// belongs. Written by create-md and never again. Without it a disk of another volume, or of another life, could be taken for this one.
//
//     [ data, from offset 0 | label x 4 ] < 4 KiB unused
//
// It lies where internal metadata would have its superblock (find_superblock in layout.h). docs/ondisk.md has the bytes.
#pragma once

#include <cstdint>

#include "base/ids.h"
#include "meta/layout.h"
#include "meta/sector.h"

namespace lockstep {

struct VolumeLabel {
  Uuid disk;  // NodeRecord::disk of the metadata that it belongs to
  ResourceId resource;
  Seat node;
  uint16_t volume = 0;
  uint64_t data_bytes = 0;  // the data area
  friend bool operator==(const VolumeLabel&, const VolumeLabel&) = default;
};

// What a device of this size holds beside its label; 0: too small for a volume.
uint64_t labelled_data_bytes(uint64_t device_bytes);

void encode_volume_label(const VolumeLabel& label, uint8_t copy, SectorSpan sector);

struct DecodedLabel {
  MetaStatus status = MetaStatus::no_metadata;
  uint8_t copy = 0;
  VolumeLabel label;  // when ok
};
DecodedLabel decode_volume_label(SectorView sector);

}  // namespace lockstep
