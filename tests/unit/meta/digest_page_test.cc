#include "meta/digest_page.h"

#include <gtest/gtest.h>

#include <set>
#include <utility>

namespace lockstep {
namespace {

const Uuid kDisk = Uuid::from_words(1, 2);

DigestPage sample() {
  DigestPage page{};
  for (size_t i = 0; i < page.size(); ++i) page[i].fill(static_cast<std::byte>(i + 1));
  return page;
}

TEST(DigestPage, ComesBackAsItWas) {
  Sector sector;
  encode_digest_page(5 * 255999 + 3, kDisk, sample(), SectorSpan(sector));
  const auto page = decode_digest_page(5 * 255999 + 3, kDisk, SectorView(sector));
  ASSERT_TRUE(page);
  EXPECT_EQ(*page, sample());
}

TEST(DigestPage, OnlyTheVeryPageIsTaken) {
  Sector sector;
  encode_digest_page(7, kDisk, sample(), SectorSpan(sector));
  EXPECT_FALSE(decode_digest_page(8, kDisk, SectorView(sector)));                   // another fifth
  EXPECT_FALSE(decode_digest_page(12, kDisk, SectorView(sector)));                  // another extent
  EXPECT_FALSE(decode_digest_page(7, Uuid::from_words(1, 3), SectorView(sector)));  // an earlier life
  EXPECT_FALSE(decode_digest_page(7, kDisk, SectorView(Sector{})));                 // never written
  sector[2000] ^= std::byte{1};
  EXPECT_FALSE(decode_digest_page(7, kDisk, SectorView(sector)));  // rot
}

TEST(DigestPage, EachBlockHasAPlaceOfItsOwnAndNoPageHasBlocksOfTwoExtents) {
  std::set<std::pair<uint64_t, uint64_t>> places;
  for (uint64_t block = 0; block < 3 * kBlocksPerExtent; ++block) {
    const uint64_t page = digest_page_of(block);
    ASSERT_EQ(page / kDigestPagesPerExtent, block / kBlocksPerExtent);
    ASSERT_LT(place_in_digest_page(block), kDigestsPerPage);
    ASSERT_EQ(first_block_of_digest_page(page) + place_in_digest_page(block), block);
    ASSERT_TRUE(places.emplace(page, place_in_digest_page(block)).second) << block;
  }
  EXPECT_EQ(digest_page_of(3 * kBlocksPerExtent - 1), 14u);
}

}  // namespace
}  // namespace lockstep
