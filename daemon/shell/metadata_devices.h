// What the metadata tools share: a volume's devices, claimed, and the words in which they are refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "meta/superblock.h"
#include "shell/metadata_io.h"
#include "shell/metadata_tool.h"

namespace lockstep {

constexpr int kExitConfiguration = 10;
constexpr int kExitNoDisk = 16;
constexpr int kExitFailure = 20;

ToolResult refuse(int exit_status, std::string err);
ToolResult refuse_open(const std::string& path, const Error& error);
ToolResult refuse_io(const std::string& path, int error);
ToolResult refuse_layout(const MetadataTarget& target, MetaStatus status, const Layout& layout);

// All devices of a resource, claimed. Given up with it.
class Claimed {
 public:
  Claimed() = default;
  ~Claimed();
  Claimed(const Claimed&) = delete;
  Claimed& operator=(const Claimed&) = delete;

  OpenedDevice& metadata(Placement placement) { return placement == Placement::internal ? data : meta; }

  OpenedDevice data;
  OpenedDevice meta;                 // external only
  std::vector<OpenedDevice> others;  // of the other volumes, as in the target
};

// What a metadata file that is missing is created for: its size follows.
struct NewFile {
  uint8_t slots = 0;  // 0: none is created
  bool digests = false;
  uint64_t beyond_bytes = 0;  // of the other volumes, as in Layout
};
// The data areas of the volumes behind the lowest. Nothing: a device is too small or too large, and `refused` says so.
std::optional<VolumeShapes> shapes_behind(const MetadataTarget& target, const Claimed& claimed, ToolResult& refused);
std::optional<ToolResult> claim(const MetadataTarget& target, NewFile wanted, Claimed& claimed);
// The metadata device alone, where the data device has been claimed.
std::optional<ToolResult> claim_meta(const MetadataTarget& target, NewFile wanted, Claimed& claimed);

bool is_owned_by(const Superblock& superblock, const MetadataOwner& owner);
// All four copies, where a device of this size has them. 0 or an errno.
int clear_superblock(MetadataIo& io, Placement placement);

}  // namespace lockstep
