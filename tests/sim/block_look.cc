#include "sim/block_look.h"

#include "base/check.h"

namespace lockstep::sim {

BlockMask leave_out_zeroes(Payload& blocks) {
  CHECK(blocks->size() <= kLookBlocks);
  BlockMask zeroes = 0;
  auto others = std::make_shared<std::vector<uint64_t>>();
  for (size_t i = 0; i < blocks->size(); ++i) {
    if ((*blocks)[i] == kZeroVersion) {
      zeroes |= BlockMask{1} << i;
    } else {
      others->push_back((*blocks)[i]);
    }
  }
  if (zeroes != 0) blocks = std::move(others);
  return zeroes;
}

Payload with_zeroes(const Payload& others, const DiskIo& io) {
  const size_t blocks = io.range.length / kBlockBytes;
  auto all = std::make_shared<std::vector<uint64_t>>();
  size_t next = 0;
  for (size_t i = 0; i < blocks; ++i) all->push_back((io.zeroes >> i & 1) != 0 ? kZeroVersion : others->at(next++));
  CHECK(next == (others ? others->size() : 0));
  return all;
}

BlockMask differing(const std::vector<uint64_t>& blocks, const std::vector<uint64_t>& digests) {
  CHECK(blocks.size() == digests.size() && blocks.size() <= kLookBlocks);
  BlockMask mask = 0;
  for (size_t i = 0; i < blocks.size(); ++i) mask |= BlockMask{blocks[i] != digests[i]} << i;
  return mask;
}

}  // namespace lockstep::sim
