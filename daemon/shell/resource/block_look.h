// What is found out about blocks while they are read (core/io.h, Look): which hold zeroes only, what their digests are, and which do not
// have the digests that the other side has sent.
//
// A digest is XXH3 with 128 bits (xxHash, algorithm specification 0.1.1) under a secret that both nodes derive from the resource's: who
// writes the blocks cannot look for two that have the same one. It finds accidents, not a forger who knows the secret.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "core/io.h"

namespace lockstep {

// Moves the blocks that are not all zeroes to the front, in order. The bits of those that are.
BlockMask leave_out_zeroes(std::span<std::byte> blocks);

class BlockDigests {
 public:
  // `secret`: the resource's, of any length; empty where there is none.
  explicit BlockDigests(std::span<const std::byte> secret);

  // kDigestBytes for each block; the last one may be short.
  static size_t bytes_for(size_t bytes);
  void write(std::span<const std::byte> blocks, std::span<std::byte> digests) const;
  // The bits of the blocks whose digest is another one. digests.size() is bytes_for(blocks.size()).
  BlockMask differing(std::span<const std::byte> blocks, std::span<const std::byte> digests) const;

 private:
  std::array<std::byte, 192> key_{};
};

}  // namespace lockstep
