// Whether a device may lose, at a power loss, what it was given and not told to flush.
#pragma once

#include "shell/block_device.h"

namespace lockstep {

// What the kernel says of the block device (queue/write_cache). "write through" is the only answer that rules a loss out; a file has the
// cache of its file system's device and extents that are not allocated durably before a flush.
bool has_volatile_cache(const OpenedDevice& device);

// From the content of queue/write_cache; for tests.
bool means_volatile(std::string_view write_cache);

}  // namespace lockstep
