#include "shell/metadata_digests.h"

#include <gtest/gtest.h>

#include "tests/unit/meta/meta_samples.h"
#include "tests/unit/shell/meta_fakes.h"

namespace lockstep {
namespace {

using fakes::FakeMetadataIo;
using samples::kMiB;

// Device and layout of one of the two places.
struct Place {
  Place(Placement placement, uint64_t data_bytes)
      : layout(make_layout(placement, data_bytes, 3 * kMiB, 4, true).layout), image(layout.meta_device_bytes), io(image) {}
  void put(uint64_t page, uint64_t seed, const Uuid& disk) {
    encode_digest_page(page, disk, samples::digests(seed), SectorSpan(image.data() + layout.digest_page(page), kSectorBytes));
  }
  void put_all(uint64_t seed, const Uuid& disk) {
    for (uint64_t page = 0; page < layout.digest_pages(); ++page) put(page, seed + page, disk);
  }
  std::optional<DigestPage> look(uint64_t page, const Uuid& disk) const {
    return decode_digest_page(page, disk, SectorView(image.data() + layout.digest_page(page), kSectorBytes));
  }
  Layout layout;
  std::vector<std::byte> image;
  FakeMetadataIo io;
};

struct Move {
  Move(Place& old_place, Place& new_place) : from(old_place), to(new_place) {
    old.layout = from.layout;
    old.record.disk = disk;
    to.put_all(1000, disk);  // an earlier stay
  }
  int run() { return move_digests(from.io, old, to.io, to.layout); }
  // What is known of a block at the new place.
  BlockDigest known(uint64_t block) const {
    const auto page = to.look(digest_page_of(block), disk);
    return page ? (*page)[place_in_digest_page(block)] : kNoDigest;
  }
  BlockDigest told(uint64_t block) const { return samples::digests(digest_page_of(block))[place_in_digest_page(block)]; }
  void expect_known_below(uint64_t end) const {
    for (uint64_t page = 0; page < to.layout.digest_pages(); ++page) {
      DigestPage expected = samples::digests(page);
      for (uint64_t i = 0; i < expected.size(); ++i) {
        if (first_block_of_digest_page(page) + i >= end) expected[i] = kNoDigest;
      }
      ASSERT_EQ(to.look(page, disk).value_or(DigestPage{}), expected) << page;
    }
  }
  Place& from;
  Place& to;
  Uuid disk = Uuid::from_words(0xd, 1);
  Superblock old;
};

TEST(MoveDigests, AreTakenAlongToWhereverTheyGo) {
  for (const Placement there : {Placement::internal, Placement::external}) {
    for (const Placement here : {Placement::internal, Placement::external}) {
      for (const auto& [before, after] : {std::pair{16 * kMiB, 16 * kMiB}, {16 * kMiB, 33 * kMiB}, {33 * kMiB, 16 * kMiB}}) {
        Place from(here, before);
        Place to(there, after);
        Move move(from, to);
        from.put_all(0, move.disk);
        ASSERT_EQ(move.run(), 0);
        move.expect_known_below(std::min(from.layout.blocks(), to.layout.blocks()));
      }
    }
  }
}

// The last extent is in both areas, and some of its blocks only in one: there the metadata lay, or lies now.
TEST(MoveDigests, NothingIsKnownOfBlocksThatOnlyOneDataAreaHas) {
  Place from(Placement::internal, 16 * kMiB);
  Place to(Placement::external, 16 * kMiB);
  ASSERT_EQ(from.layout.extents(), to.layout.extents());
  ASSERT_LT(from.layout.blocks(), to.layout.blocks());
  Move move(from, to);
  from.put_all(0, move.disk);
  ASSERT_EQ(move.run(), 0);
  EXPECT_EQ(move.known(from.layout.blocks() - 1), move.told(from.layout.blocks() - 1));
  EXPECT_EQ(move.known(from.layout.blocks()), kNoDigest);
  EXPECT_TRUE(to.look(digest_page_of(from.layout.blocks()), move.disk));
}

TEST(MoveDigests, APageThatIsNotIntactIsClearedAndNoLeftOverIsBelieved) {
  Place from(Placement::internal, 16 * kMiB);
  Place to(Placement::internal, 48 * kMiB);
  Move move(from, to);
  from.put_all(0, move.disk);
  from.image[from.layout.digest_page(3) + 2000] ^= std::byte{1};
  from.put(5, 5, Uuid::from_words(0xd, 2));  // another life
  from.put(7, 7, move.disk);                 // and what belongs elsewhere:
  std::copy_n(from.image.begin() + static_cast<std::ptrdiff_t>(from.layout.digest_page(7)), kSectorBytes,
              from.image.begin() + static_cast<std::ptrdiff_t>(from.layout.digest_page(8)));
  from.io.bad_sectors.insert(from.layout.digest_page(11));
  ASSERT_EQ(move.run(), 0);
  for (uint64_t page = 0; page < to.layout.digest_pages(); ++page) {
    const bool lost = page == 3 || page == 5 || page == 8 || page == 11 || page >= from.layout.digest_pages();
    EXPECT_EQ(to.look(page, move.disk).has_value(), !lost) << page;
    if (!lost) continue;
    const auto at = to.image.begin() + static_cast<std::ptrdiff_t>(to.layout.digest_page(page));
    EXPECT_TRUE(std::all_of(at, at + kSectorBytes, [](std::byte b) { return b == std::byte{0}; })) << page;
  }
}

// 260 MiB: 325 pages, more than are read and written at a time.
TEST(MoveDigests, GoInBatches) {
  Place from(Placement::external, 260 * kMiB + 4096);
  Place to(Placement::external, 400 * kMiB);
  Move move(from, to);
  from.put_all(0, move.disk);
  ASSERT_EQ(move.run(), 0);
  move.expect_known_below(from.layout.blocks());
}

TEST(MoveDigests, SaysThatItCouldNotWrite) {
  Place from(Placement::internal, 16 * kMiB);
  Place to(Placement::internal, 16 * kMiB);
  Move move(from, to);
  to.io.writes_left = 0;
  EXPECT_EQ(move.run(), EIO);
}

TEST(MoveDigests, WithoutDigestsNothingIsWritten) {
  Place from(Placement::internal, 16 * kMiB);
  Place to(Placement::internal, 16 * kMiB);
  Move move(from, to);
  to.layout = move.old.layout = make_layout(Placement::internal, 16 * kMiB, 0, 4).layout;
  to.io.writes_left = 0;
  EXPECT_EQ(move.run(), 0);
}

}  // namespace
}  // namespace lockstep
