#include "shell/resource/block_look.h"

#include <sodium.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "core/durable.h"

namespace lockstep {

namespace {

bool all_zeroes(std::span<const std::byte> bytes) {
  // Each byte equals the one after it, and the first is zero.
  return bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

template <class Each>
void for_each_block(std::span<const std::byte> blocks, Each each) {
  for (size_t i = 0; !blocks.empty(); ++i) {
    const size_t size = std::min<size_t>(blocks.size(), kBlockBytes);
    each(i, blocks.first(size));
    blocks = blocks.subspan(size);
  }
}

}  // namespace

BlockMask leave_out_zeroes(std::span<std::byte> blocks) {
  CHECK(blocks.size() <= kLookBlocks * kBlockBytes);
  BlockMask zeroes = 0;
  std::byte* to = blocks.data();
  for_each_block(blocks, [&](size_t i, std::span<const std::byte> block) {
    if (block.size() == kBlockBytes && all_zeroes(block)) {
      zeroes |= BlockMask{1} << i;
      return;
    }
    if (to != block.data()) std::memmove(to, block.data(), block.size());
    to += block.size();
  });
  return zeroes;
}

BlockDigests::BlockDigests(std::span<const std::byte> secret) {
  static constexpr char kLabel[] = "lockstep block digests 1";
  // BLAKE2b takes keys of up to 64 bytes: a longer secret is digested first.
  std::array<unsigned char, crypto_generichash_KEYBYTES_MAX> seed{};
  crypto_generichash(seed.data(), seed.size(), reinterpret_cast<const unsigned char*>(secret.data()), secret.size(),
                     reinterpret_cast<const unsigned char*>(kLabel), sizeof(kLabel) - 1);
  for (size_t at = 0; at < key_.size(); at += crypto_generichash_BYTES_MAX) {
    const auto counter = static_cast<unsigned char>(at / crypto_generichash_BYTES_MAX);
    crypto_generichash(reinterpret_cast<unsigned char*>(key_.data() + at), crypto_generichash_BYTES_MAX, &counter, 1, seed.data(),
                       seed.size());
  }
  static_assert(sizeof(key_) % crypto_generichash_BYTES_MAX == 0 && sizeof(key_) >= XXH3_SECRET_SIZE_MIN);
}

size_t BlockDigests::bytes_for(size_t bytes) { return (bytes + kBlockBytes - 1) / kBlockBytes * kDigestBytes; }

void BlockDigests::write(std::span<const std::byte> blocks, std::span<std::byte> digests) const {
  CHECK(digests.size() == bytes_for(blocks.size()));
  for_each_block(blocks, [&](size_t i, std::span<const std::byte> block) {
    XXH128_canonical_t digest;
    XXH128_canonicalFromHash(&digest, XXH3_128bits_withSecret(block.data(), block.size(), key_.data(), key_.size()));
    static_assert(sizeof(digest.digest) == kDigestBytes);
    std::memcpy(digests.data() + i * kDigestBytes, digest.digest, kDigestBytes);
  });
}

BlockMask BlockDigests::differing(std::span<const std::byte> blocks, std::span<const std::byte> digests) const {
  CHECK(blocks.size() <= kLookBlocks * kBlockBytes && digests.size() == bytes_for(blocks.size()));
  std::array<std::byte, kLookBlocks * kDigestBytes> own;
  write(blocks, std::span(own).first(digests.size()));
  BlockMask mask = 0;
  for (size_t i = 0; i * kDigestBytes < digests.size(); ++i) {
    if (std::memcmp(own.data() + i * kDigestBytes, digests.data() + i * kDigestBytes, kDigestBytes) != 0)
      mask |= BlockMask{1} << i;
  }
  return mask;
}

}  // namespace lockstep
