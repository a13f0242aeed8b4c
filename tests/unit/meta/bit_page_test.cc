#include "meta/bit_page.h"

#include <gtest/gtest.h>

#include "tests/unit/meta/meta_samples.h"

namespace lockstep {
namespace {

const Uuid kDisk = Uuid::from_words(1, 2);

Sector intent(uint32_t page, uint64_t sequence, const BitPage& bits) {
  Sector sector;
  encode_bit_page(intent_page_id(page, sequence, kDisk), sequence, bits, SectorSpan(sector));
  return sector;
}

IntentSlots slots(const Sector& zero, const Sector& one) {
  IntentSlots found;
  found.slots[0] = decode_bit_page(intent_page_id(0, 0, kDisk), SectorView(zero));
  found.slots[1] = decode_bit_page(intent_page_id(0, 1, kDisk), SectorView(one));
  return found;
}

TEST(BitPage, ComesBackAsItWas) {
  const BitPage bits = samples::bits(7);
  const auto page = decode_bit_page(intent_page_id(4, 9, kDisk), SectorView(intent(4, 9, bits)));
  ASSERT_TRUE(page);
  EXPECT_EQ(page->sequence, 9u);
  EXPECT_EQ(page->bits, bits);
}

TEST(BitPage, OnlyTheVeryPageIsTaken) {
  const Sector sector = intent(4, 9, samples::bits(7));
  EXPECT_FALSE(decode_bit_page(intent_page_id(5, 9, kDisk), SectorView(sector)));                   // another page
  EXPECT_FALSE(decode_bit_page(intent_page_id(4, 8, kDisk), SectorView(sector)));                   // the other slot
  EXPECT_FALSE(decode_bit_page(intent_page_id(4, 9, Uuid::from_words(1, 3)), SectorView(sector)));  // an earlier life
  EXPECT_FALSE(decode_bit_page(bitmap_page_id({1}, 4, kDisk), SectorView(sector)));                 // another map
  EXPECT_FALSE(decode_bit_page(intent_page_id(0, 0, kDisk), SectorView(Sector{})));
  Sector wrong_slot;
  encode_bit_page({SectorKind::intent, 0, 0, kDisk}, 9, BitPage{}, SectorSpan(wrong_slot));
  EXPECT_FALSE(decode_bit_page({SectorKind::intent, 0, 0, kDisk}, SectorView(wrong_slot)));
}

TEST(BitPage, EverySingleBitFlipIsSeen) {
  Sector sector;
  const PageId id = bitmap_page_id({3}, 1, kDisk);
  encode_bit_page(id, 0, samples::bits(1), SectorSpan(sector));
  for (size_t bit = 0; bit < kSectorBytes * 8; ++bit) {
    sector[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
    ASSERT_FALSE(decode_bit_page(id, SectorView(sector))) << "bit " << bit;
    sector[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
  }
}

TEST(IntentSlots, NewestIntactSlotWins) {
  const ChosenIntent newer = choose_intent(slots(intent(0, 2, samples::bits(2)), intent(0, 3, samples::bits(3))));
  EXPECT_TRUE(newer.readable);
  EXPECT_EQ(newer.sequence, 3u);
  EXPECT_EQ(newer.bits, samples::bits(3));
  const ChosenIntent torn = choose_intent(slots(intent(0, 2, samples::bits(2)), Sector{}));
  EXPECT_TRUE(torn.readable);
  EXPECT_EQ(torn.sequence, 2u);
  EXPECT_EQ(torn.bits, samples::bits(2));
}

TEST(IntentSlots, UnreadableMeansAllOnes) {
  const ChosenIntent nothing = choose_intent(slots(Sector{}, Sector{}));
  EXPECT_FALSE(nothing.readable);
  EXPECT_EQ(nothing.bits, all_ones_page());
  IntentSlots failing = slots(intent(0, 2, samples::bits(2)), Sector{});
  failing.io_error = true;
  const ChosenIntent chosen = choose_intent(failing);
  EXPECT_FALSE(chosen.readable);
  EXPECT_EQ(chosen.bits, all_ones_page());
  EXPECT_EQ(chosen.sequence, 2u);
}

TEST(IntentSlots, AnyTornWriteLeavesTheOldOrTheNewPage) {
  const Sector other = intent(0, 3, samples::bits(3));
  const Sector before = intent(0, 2, samples::bits(2));
  const Sector after = intent(0, 4, samples::bits(4));
  for (unsigned pieces = 0; pieces < 256; ++pieces) {
    Sector torn = before;
    for (size_t i = 0; i < 8; ++i) {
      if ((pieces >> i & 1) != 0) std::copy_n(after.begin() + i * 512, 512, torn.begin() + i * 512);
    }
    const ChosenIntent chosen = choose_intent(slots(torn, other));
    ASSERT_TRUE(chosen.readable);
    ASSERT_EQ(chosen.sequence, pieces == 255 ? 4u : 3u);
  }
}

}  // namespace
}  // namespace lockstep
