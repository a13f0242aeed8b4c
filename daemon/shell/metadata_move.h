// move-md: a volume's metadata goes to another place, with all that it says: to or from a device of its own, or to the new end of a device
// that has grown. The data stays where it is; its area becomes as large as the new place allows, so that a resource can grow into it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "meta/superblock_quorum.h"
#include "shell/metadata_io.h"
#include "shell/metadata_tool.h"

namespace lockstep {

struct MoveOptions {
  std::string from;           // where it is now: a path, or empty: internal
  uint64_t former_bytes = 0;  // internal: size of the device before it grew; 0: it is looked for, from the end backwards
  bool force = false;         // overwrite whatever is at the new place
};
// `target` is the new place, as the configuration has it. Without a daemon; holds the claims while it works. A move that was interrupted is
// done again by the same command. Exit statuses are create-md's.
ToolResult move_md(const MetadataTarget& target, const MetadataOwner& owner, const MoveOptions& options);

// The steps: the new place is emptied, its maps and digests are written, then its superblock. Until the old superblock is cleared, which is the
// caller's, both places have it all. The two areas must not overlap, and both have digests, or none has. 0 or an errno.
int copy_metadata(MetadataIo& from, const Quorum& old, MetadataIo& to, const Layout& layout);

// Internal metadata that is no longer at the device's end: the size that the device had; nothing if there is none, or it cannot be opened. Only
// what says itself that it was made for a device of that size: an image of metadata among the data is none. 0 or an errno.
int find_former_size(MetadataIo& io, std::optional<uint64_t>& size);

}  // namespace lockstep
