// The labels on the disks of a resource's other volumes (meta/volume_label.h): written by create-md, judged at each attach.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/durable.h"
#include "meta/volume_label.h"
#include "shell/metadata_attach.h"
#include "shell/metadata_io.h"

namespace lockstep {

// Any of the four that can be read; the status of the best one otherwise.
DecodedLabel read_label(MetadataIo& io);
// All four, durably. 0 or an errno.
int write_label(MetadataIo& io, const VolumeLabel& label);

// Why the disk in `io` is not that of volume `shape` of `record`, found at `path`; nothing if it is.
std::optional<MetadataError> why_not_labelled(MetadataIo& io, const std::string& path, const NodeRecord& record,
                                              const VolumeShape& shape);
// Why the volumes of the configuration are not those of the metadata; nothing if they are.
std::optional<MetadataError> why_other_volumes(const NodeRecord& record, const std::vector<uint16_t>& configured);

}  // namespace lockstep
