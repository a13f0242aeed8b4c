// A write of which some blocks become zeroes and have no bytes: their room is given back, as a trim does.
#pragma once

#include "base/buffer.h"
#include "core/effect.h"
#include "shell/block_device.h"

namespace lockstep {

// `io.zeroes` is not empty; `payload` holds the bytes of the other blocks, and stays alive until `done` runs. A failure of any piece is
// one of the whole; `done` runs once, when no piece is under way any more.
void write_sparsely(BlockDevice& disk, const DiskIo& io, BufferRef payload, BlockDone done);

}  // namespace lockstep
