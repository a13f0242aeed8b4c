#include "core/dirty/bit_vector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace lockstep {
namespace {

void expect_same(const BitVector& bits, const std::vector<bool>& model) {
  ASSERT_EQ(bits.size(), model.size());
  ASSERT_EQ(bits.count(), static_cast<uint64_t>(std::count(model.begin(), model.end(), true)));
  for (size_t i = 0; i < model.size(); ++i) ASSERT_EQ(bits.test(i), model[i]) << i;
}

uint64_t next_of(const std::vector<bool>& model, uint64_t from, bool wanted) {
  while (from < model.size() && model[from] != wanted) ++from;
  return std::min<uint64_t>(from, model.size());
}

TEST(BitVector, AgreesWithAVectorOfBool) {
  std::mt19937_64 random(2);
  for (const uint64_t size : {1U, 63U, 64U, 65U, 200U, 1000U}) {
    BitVector bits(size);
    std::vector<bool> model(size, false);
    for (int step = 0; step < 400; ++step) {
      const uint64_t first = random() % size;
      const uint64_t n = random() % (size + 10);  // reaches beyond the end: clipped
      const bool value = random() % 2 == 0;
      uint64_t changed = 0;
      const auto end = std::min(size, first + n);
      for (uint64_t i = first; i < end; ++i) {
        changed += model[i] != value ? 1 : 0;
        model[i] = value;
      }
      ASSERT_EQ(value ? bits.set_range(first, n) : bits.clear_range(first, n), changed);
      const uint64_t one = random() % size;
      ASSERT_EQ(bits.set(one), !model[one]);
      model[one] = true;
      const uint64_t other = random() % size;
      ASSERT_EQ(bits.clear(other), static_cast<bool>(model[other]));
      model[other] = false;
      const uint64_t from = random() % (size + 2);
      ASSERT_EQ(bits.next_set(from), next_of(model, from, true) < size ? next_of(model, from, true) : size);
      ASSERT_EQ(bits.next_clear(from), next_of(model, from, false) < size ? next_of(model, from, false) : size);
      const uint64_t before = random() % (size + 70);
      ASSERT_EQ(bits.next_set(from, before) < std::min(before, size), next_of(model, from, true) < std::min(before, size));
      ASSERT_EQ(bits.any_in(first, n), next_of(model, first, true) < end);
      ASSERT_EQ(bits.count_in(first, n),
                std::count(model.begin() + static_cast<long>(first), model.begin() + static_cast<long>(end), true));
      expect_same(bits, model);
    }
  }
}

TEST(BitVector, AllSetAndAllClear) {
  BitVector bits(130, true);
  EXPECT_EQ(bits.count(), 130u);
  EXPECT_EQ(bits.next_clear(0), 130u);
  bits.clear_all();
  EXPECT_EQ(bits.count(), 0u);
  EXPECT_EQ(bits.next_set(0), 130u);
  bits.set_all();
  EXPECT_EQ(bits.count(), 130u);
  EXPECT_EQ(BitVector().pages(), 0u);
}

TEST(BitVector, PagesCarryEveryBitAndNothingBeyondTheEnd) {
  std::mt19937_64 random(3);
  const uint64_t size = 2 * kBitsPerPage + 70;
  BitVector bits(size);
  for (int i = 0; i < 3000; ++i) bits.set(random() % size);
  ASSERT_EQ(bits.pages(), 3u);
  BitVector copy(size, true);
  for (uint32_t page = 0; page < bits.pages(); ++page) copy.load_page(page, bits.page(page));
  EXPECT_EQ(copy.count(), bits.count());
  for (uint64_t i = 0; i < size; ++i) ASSERT_EQ(copy.test(i), bits.test(i)) << i;

  BitPage ones;
  ones.fill(~uint64_t{0});
  copy.clear_all();
  copy.load_page(2, ones);
  EXPECT_EQ(copy.count(), 70u);
  EXPECT_EQ(copy.next_set(0), 2 * kBitsPerPage);
}

TEST(BitVectorDeathTest, APageThatIsNotThereIsABug) {
  BitVector bits(10);
  EXPECT_DEATH((void)bits.page(1), "index < pages");
  EXPECT_DEATH(bits.load_page(1, BitPage{}), "index < pages");
}

}  // namespace
}  // namespace lockstep
