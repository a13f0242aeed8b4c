// Opening the backing store of a volume, or the file with its metadata, for this process alone.
//
// The claim is the descriptor: O_EXCL on a block device, flock() on a file. It lasts until the last reference
// to the open file is gone, and I/O in flight is such a reference: after a kill -9 nobody else gets the claim
// before the dead process's last write has reached the device or failed. Whoever has the claim may therefore
// trust what he reads.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "shell/block_device.h"

namespace lockstep {

struct OpenOptions {
  bool read_only = false;
  bool direct = true;  // ask for O_DIRECT; OpenedDevice::direct says whether the file system gave it
  bool claim = true;   // false: only to look, for tools; what is read may be changing
};

// Errors: EBUSY when somebody else has it (another process, or a mounted file system); ENOTBLK when the path
// is neither a file nor a block device; else what the system said. The caller owns the descriptor:
// adopt_device() or close_device().
Result<OpenedDevice> open_device(const std::string& path, const OpenOptions& options = {});

// Creates a file of `size_bytes` zeroes, with its room reserved, so that a full disk is found now (ENOSPC)
// and not at the first write there, and opens it as above. The file and its name are on stable storage.
// EEXIST when there is one already.
Result<OpenedDevice> create_file(const std::string& path, uint64_t size_bytes, const OpenOptions& options = {});

// Gives up the claim. For a device that was not handed to adopt_device().
void close_device(OpenedDevice& device);

// The size now, in bytes.
Result<uint64_t> device_size(int fd, bool is_block_device);

}  // namespace lockstep
