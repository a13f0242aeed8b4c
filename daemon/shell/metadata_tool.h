// create-md, wipe-md and dump-md, without a daemon. The CLI forwards its arguments and prints what comes
// back.
//
// Each opens the devices itself; create and wipe hold the claim while they work and refuse a device that
// anybody else uses. Exit statuses are those of the contract: 0 done, 10 the configuration cannot be right,
// 16 no usable disk, 20 other failures.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "meta/layout.h"

namespace lockstep {

// Where a resource lives: `disk` and `meta-disk` of its lowest volume in the configuration, and the disks of the others.
struct OtherVolume {
  uint16_t number = 0;
  std::string disk;
};
struct MetadataTarget {
  std::string disk;
  std::string meta_disk;                 // empty: internal
  std::vector<OtherVolume> others = {};  // by number

  Placement placement() const { return meta_disk.empty() ? Placement::internal : Placement::external; }
  const std::string& meta_path() const { return meta_disk.empty() ? disk : meta_disk; }
};

// Whose metadata it is, by the configuration.
struct MetadataOwner {
  ResourceId resource;
  Seat node;
  uint16_t volume = 0;  // the lowest
};

struct ToolResult {
  int exit_status = 0;
  std::string out;  // for standard output, with line ends
  std::string err;  // for standard error, with line ends
};

struct CreateOptions {
  uint8_t max_peers = 7;  // bitmaps for node ids 0..max_peers
  bool force = false;     // overwrite whatever is there
  bool digests = false;   // room for block digests: 0.49 % of the device
};
// Refuses without `force`: file systems that reach into the metadata, partition tables, LVM, RAID,
// encryption, swap, DRBD's metadata, our own. A file system that ends before the metadata area stays as it is
// and becomes the volume's content. An external metadata file that does not exist is created in the size that
// is needed. The disks of other volumes get their labels.
ToolResult create_md(const MetadataTarget& target, const MetadataOwner& owner, const CreateOptions& options);

// Clears the four superblock copies, and the labels of the other volumes. Nothing there: done already. Refuses metadata of another resource, node
// or volume without `force`, and never touches anything that is not ours. With intact metadata the rest of
// the area stays as it is.
ToolResult wipe_md(const MetadataTarget& target, const MetadataOwner& owner, bool force);

// The whole record, for a person or (json) for a program. Takes no claim: of a running resource it may show a
// moment between two writes. Exit status 20 when there is no metadata that could be opened; what is known of
// the copies is shown all the same.
ToolResult dump_md(const MetadataTarget& target, bool json);

}  // namespace lockstep
