// What the daemon's shell finds out about blocks (shell/resource/block_look.h), for blocks that are versions. The digest of a block is what
// it holds: two that differ never have the same one.
#pragma once

#include "core/effect.h"
#include "sim/sim_disk.h"

namespace lockstep::sim {

// Takes the blocks that are zero out of `blocks`; their bits.
BlockMask leave_out_zeroes(Payload& blocks);
// All blocks of a write of which some are left out.
Payload with_zeroes(const Payload& others, const DiskIo& io);
BlockMask differing(const std::vector<uint64_t>& blocks, const std::vector<uint64_t>& digests);

}  // namespace lockstep::sim
