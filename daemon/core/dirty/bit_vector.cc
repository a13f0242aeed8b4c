#include "core/dirty/bit_vector.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace lockstep {

namespace {

// The bits of one word that [first, last) touches, given that first and last - 1 lie in that word.
uint64_t mask_of(uint64_t first_bit, uint64_t bits) {
  return (bits == 64 ? ~uint64_t{0} : ((uint64_t{1} << bits) - 1)) << first_bit;
}

}  // namespace

BitVector::BitVector(uint64_t bits, bool value) : words_((bits + 63) / 64, 0), bits_(bits) {
  if (value) set_all();
}

bool BitVector::set(uint64_t i) { return set_range(i, 1) != 0; }
bool BitVector::clear(uint64_t i) { return clear_range(i, 1) != 0; }

uint64_t BitVector::set_range(uint64_t first, uint64_t n) {
  const uint64_t end = std::min(bits_, first + n);
  uint64_t changed = 0;
  while (first < end) {
    const uint64_t in_word = std::min<uint64_t>(64 - first % 64, end - first);
    const uint64_t mask = mask_of(first % 64, in_word);
    uint64_t& word = words_[first / 64];
    changed += static_cast<uint64_t>(std::popcount(mask & ~word));
    word |= mask;
    first += in_word;
  }
  count_ += changed;
  return changed;
}

uint64_t BitVector::clear_range(uint64_t first, uint64_t n) {
  const uint64_t end = std::min(bits_, first + n);
  uint64_t changed = 0;
  while (first < end) {
    const uint64_t in_word = std::min<uint64_t>(64 - first % 64, end - first);
    const uint64_t mask = mask_of(first % 64, in_word);
    uint64_t& word = words_[first / 64];
    changed += static_cast<uint64_t>(std::popcount(mask & word));
    word &= ~mask;
    first += in_word;
  }
  count_ -= changed;
  return changed;
}

bool BitVector::any_in(uint64_t first, uint64_t n) const { return next_set(first, first + n) < std::min(bits_, first + n); }

uint64_t BitVector::count_in(uint64_t first, uint64_t n) const {
  const uint64_t end = first < bits_ ? std::min(bits_ - first, n) + first : first;
  uint64_t set = 0;
  for (uint64_t i = first; i < end;) {
    const uint64_t here = std::min(end - i, 64 - i % 64);
    const uint64_t mask = here == 64 ? ~uint64_t{0} : ((uint64_t{1} << here) - 1) << (i % 64);
    set += static_cast<uint64_t>(std::popcount(words_[i / 64] & mask));
    i += here;
  }
  return set;
}

uint64_t BitVector::next_set(uint64_t from, uint64_t before) const {
  while (from < std::min(bits_, before)) {
    const uint64_t rest = words_[from / 64] >> (from % 64);
    if (rest != 0) return from + static_cast<uint64_t>(std::countr_zero(rest));
    from = (from / 64 + 1) * 64;
  }
  return bits_;
}

uint64_t BitVector::next_clear(uint64_t from, uint64_t before) const {
  while (from < std::min(bits_, before)) {
    const uint64_t rest = ~words_[from / 64] >> (from % 64);
    if (rest != 0) return std::min(bits_, from + static_cast<uint64_t>(std::countr_zero(rest)));
    from = (from / 64 + 1) * 64;
  }
  return std::min(bits_, from);
}

BitPage BitVector::page(uint32_t index) const {
  CHECK(index < pages());
  BitPage out{};
  const size_t first = size_t{index} * kWordsPerPage;
  const size_t n = std::min(kWordsPerPage, words_.size() - first);
  std::copy_n(words_.begin() + static_cast<std::ptrdiff_t>(first), n, out.begin());
  return out;
}

void BitVector::load_page(uint32_t index, const BitPage& page) {
  CHECK(index < pages());
  const size_t first = size_t{index} * kWordsPerPage;
  const size_t n = std::min(kWordsPerPage, words_.size() - first);
  for (size_t i = 0; i < n; ++i) {
    uint64_t word = page[i];
    const uint64_t bits_left = bits_ - (first + i) * 64;
    if (bits_left < 64) word &= mask_of(0, bits_left);
    count_ -= static_cast<uint64_t>(std::popcount(words_[first + i]));
    words_[first + i] = word;
    count_ += static_cast<uint64_t>(std::popcount(word));
  }
}

VolumeCounts count_by_volume(const BitVector& blocks, const VolumeShapes& volumes) {
  VolumeCounts counts;
  for (size_t i = 0; i < volumes.size(); ++i)
    counts.push_back(blocks.count_in(volume_base(volumes, i) / kBlockBytes, blocks_of_volume(volumes[i])));
  return counts;
}

}  // namespace lockstep
