#include "meta/superblock_quorum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/unit/meta/meta_samples.h"

namespace lockstep {
namespace {

using Image = std::array<Sector, kSuperblockCopies>;

// A chain of superblocks, each knowing its parent.
class Chain {
 public:
  Chain() {
    uint32_t parent = 0;
    for (uint64_t sequence = 1; sequence <= 8; ++sequence) {
      Superblock s = samples::superblock(sequence, parent);
      s.record.memory.lineage.start = sequence;
      Image image;
      for (uint8_t copy = 0; copy < kSuperblockCopies; ++copy) encode_superblock(s, copy, SectorSpan(image[copy]));
      parent = superblock_checksum(SectorView(image[0]));
      images_.push_back(image);
    }
  }
  const Image& at(uint64_t sequence) const { return images_[sequence - 1]; }
  // One sequence a copy; 0: nothing readable there.
  Image mixed(std::array<uint64_t, kSuperblockCopies> sequences) const {
    Image image{};
    for (size_t i = 0; i < sequences.size(); ++i) {
      if (sequences[i] != 0) image[i] = at(sequences[i])[i];
    }
    return image;
  }

 private:
  std::vector<Image> images_;
};

const Chain& chain() {
  static const Chain instance;
  return instance;
}

Quorum choose(const Image& image) {
  std::array<CopyRead, kSuperblockCopies> reads;
  for (size_t i = 0; i < reads.size(); ++i) reads[i].decoded = decode_superblock(SectorView(image[i]));
  return choose_superblock(reads);
}

TEST(Quorum, FourEqualCopiesNeedNoRepair) {
  const Quorum q = choose(chain().at(3));
  EXPECT_EQ(q.status, MetaStatus::ok);
  EXPECT_EQ(q.superblock.sequence, 3u);
  EXPECT_EQ(q.repairs, 0u);
}

TEST(Quorum, OpensWithTwoCopiesThatVouch) {
  for (const auto& sequences : std::vector<std::array<uint64_t, 4>>{
           {3, 3, 0, 0}, {0, 3, 0, 3}, {4, 3, 3, 3}, {4, 0, 3, 3}, {0, 4, 3, 0}, {4, 4, 3, 3}, {4, 4, 1, 0}}) {
    const Quorum q = choose(chain().mixed(sequences));
    EXPECT_EQ(q.status, MetaStatus::ok);
    EXPECT_EQ(q.superblock.sequence, *std::max_element(sequences.begin(), sequences.end()));
  }
}

TEST(Quorum, OneCopyAloneIsNotEnough) {
  EXPECT_EQ(choose(chain().mixed({3, 0, 0, 0})).status, MetaStatus::no_quorum);
  EXPECT_EQ(choose(chain().mixed({5, 3, 3, 3})).status, MetaStatus::no_quorum);  // nothing vouches for 5
}

TEST(Quorum, SaysWhatIsThereWhenNothingIsIntact) {
  EXPECT_EQ(choose(Image{}).status, MetaStatus::no_metadata);
  Image rotten = chain().at(3);
  for (Sector& sector : rotten) sector[500] ^= std::byte{1};
  EXPECT_EQ(choose(rotten).status, MetaStatus::damaged);
  std::array<CopyRead, kSuperblockCopies> unreadable;
  for (CopyRead& copy : unreadable) copy.io_error = true;
  EXPECT_EQ(choose_superblock(unreadable).status, MetaStatus::io_error);
}

TEST(Quorum, SeesAFork) {
  Superblock other = samples::superblock(3, 0x1234);
  Image same_sequence = chain().at(3);
  encode_superblock(other, 2, SectorSpan(same_sequence[2]));
  EXPECT_EQ(choose(same_sequence).status, MetaStatus::fork);

  Image wrong_parent = chain().mixed({4, 4, 3, 3});
  encode_superblock(other, 2, SectorSpan(wrong_parent[2]));
  EXPECT_EQ(choose(wrong_parent).status, MetaStatus::fork);
}

TEST(Quorum, MisdirectedCopyCountsAsDamaged) {
  Image image = chain().at(3);
  image[1] = image[0];
  const Quorum q = choose(image);
  EXPECT_EQ(q.status, MetaStatus::ok);
  EXPECT_EQ(q.states[1], CopyState::damaged);
  EXPECT_EQ(q.repairs, 1u);
  EXPECT_EQ(q.repair_order[0], 1);
}

TEST(Quorum, KeepsItsHandsOffALaterVersion) {
  Image image = chain().at(3);
  image[3][12] = std::byte{9};
  reseal_sector(SectorSpan(image[3]));
  EXPECT_EQ(choose(image).status, MetaStatus::unsupported_version);
}

// Every subset of the 512-byte pieces of the half being written has reached the disk.
TEST(Quorum, AnyTornWriteLeavesTheOldOrTheNewRecord) {
  const Image& before = chain().at(3);
  const Image& after = chain().at(4);
  for (uint32_t half = 0; half < kSuperblockCopies; half += kCopiesPerHalf) {
    // Each torn sector is decoded once; then all pairs are judged.
    std::array<std::array<CopyRead, 256>, kCopiesPerHalf> torn;
    for (uint32_t c = 0; c < kCopiesPerHalf; ++c) {
      for (unsigned pieces = 0; pieces < 256; ++pieces) {
        Sector sector = before[half + c];
        for (size_t i = 0; i < 8; ++i) {
          if ((pieces >> i & 1) != 0) std::copy_n(after[half + c].begin() + i * 512, 512, sector.begin() + i * 512);
        }
        torn[c][pieces].decoded = decode_superblock(SectorView(sector));
      }
    }
    std::array<CopyRead, kSuperblockCopies> reads;
    for (uint32_t c = 0; c < kSuperblockCopies; ++c) {
      reads[c].decoded = decode_superblock(SectorView(c < half ? after[c] : before[c]));
    }
    for (unsigned first = 0; first < 256; ++first) {
      for (unsigned second = 0; second < 256; ++second) {
        reads[half] = torn[0][first];
        reads[half + 1] = torn[1][second];
        const Quorum q = choose_superblock(reads);
        ASSERT_EQ(q.status, MetaStatus::ok) << half << ' ' << first << ' ' << second;
        const uint64_t sequence = q.superblock.sequence;
        ASSERT_TRUE(sequence == 3 || sequence == 4);
        ASSERT_TRUE(half == 0 || sequence == 4);  // the first half is durable already: forward only
      }
    }
  }
}

// From every state in which metadata opens, a repair that is cut off at any piece leaves metadata that opens
// at the same record or, if it was not answered yet, the one before.
TEST(Quorum, RepairMayBeCutOffAnywhere) {
  std::array<uint64_t, 4> sequences{};
  for (unsigned state = 0; state < 256; ++state) {
    for (unsigned i = 0; i < 4; ++i) sequences[i] = std::array<uint64_t, 4>{0, 2, 4, 5}[state >> (2 * i) & 3];
    Image image = chain().mixed(sequences);
    const Quorum q = choose(image);
    if (q.status != MetaStatus::ok) continue;
    for (uint32_t r = 0; r < q.repairs; ++r) {
      const uint8_t copy = q.repair_order[r];
      const Sector& wanted = chain().at(q.superblock.sequence)[copy];
      const Sector old = image[copy];
      for (unsigned pieces = 0; pieces < 256; ++pieces) {
        image[copy] = old;
        for (size_t i = 0; i < 8; ++i) {
          if ((pieces >> i & 1) != 0) std::copy_n(wanted.begin() + i * 512, 512, image[copy].begin() + i * 512);
        }
        const Quorum again = choose(image);
        ASSERT_EQ(again.status, MetaStatus::ok) << state << ' ' << r << ' ' << pieces;
        ASSERT_EQ(again.superblock.sequence, q.superblock.sequence);
      }
      image[copy] = wanted;
    }
    EXPECT_EQ(choose(image).repairs, 0u);
  }
}

}  // namespace
}  // namespace lockstep
