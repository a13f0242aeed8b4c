// What is said arrives as it was said, however its bytes come.
#include "sim/sim_wire.h"

#include <gtest/gtest.h>

namespace lockstep::sim {
namespace {

class WireTest : public testing::Test {
 protected:
  void write(uint64_t block, std::vector<uint64_t> versions) {
    WriteRequest request;
    request.op = OpId{++said_};
    request.range = {block * kBlockBytes, versions.size() * kBlockBytes};
    stream_.send(request, std::make_shared<const std::vector<uint64_t>>(std::move(versions)), prng_);
  }
  // How many messages there were.
  uint64_t hear() {
    uint64_t heard = 0;
    while (const WireStream::Arrival* arrival = stream_.next(prng_, counters_)) {
      last_ = *arrival;
      ++heard;
    }
    EXPECT_EQ(stream_.wrong(), "");
    return heard;
  }
  Prng prng_{7};
  BufferPool pool_{size_t{64} << 20};
  WireStream stream_{pool_, Lane::data};
  WireStream::Counters counters_;
  WireStream::Arrival last_;
  uint64_t said_ = 0;
};

TEST_F(WireTest, EveryPlaceIsAPlaceToBeSplitAt) {
  write(3, {11, 12, 13});
  const uint64_t bytes = stream_.end();
  uint64_t heard = 0;
  for (uint64_t at = 1; at <= bytes; ++at) {
    stream_.arrived(at, prng_);
    heard += hear();
    EXPECT_EQ(heard, at == bytes ? 1U : 0U);
    EXPECT_EQ(stream_.in_frame(), at < bytes);
  }
  EXPECT_EQ(std::get<WriteRequest>(last_.message).range, (Range{3 * kBlockBytes, 3 * kBlockBytes}));
  EXPECT_EQ(*last_.payload, (std::vector<uint64_t>{11, 12, 13}));
}

TEST_F(WireTest, ManyFramesComeInAnyPieces) {
  uint64_t heard = 0;
  for (uint64_t round = 0; round < 500; ++round) {
    write(round, std::vector<uint64_t>(1 + prng_.below(20), round));
    stream_.send(Settled{{}, round}, nullptr, prng_);
    ++said_;
    if (prng_.chance(50)) continue;
    stream_.arrived(stream_.end() - prng_.below(20), prng_);
    heard += hear();
  }
  stream_.arrived(stream_.end(), prng_);
  heard += hear();
  EXPECT_EQ(heard, said_);
  EXPECT_FALSE(stream_.in_frame());
  EXPECT_GT(counters_.split, 0U);
  EXPECT_GT(counters_.joined, 0U);
}

TEST_F(WireTest, AMessageOnTheWrongLaneIsNoticed) {
  stream_.send(LeaseReleased{}, nullptr, prng_);
  stream_.arrived(stream_.end(), prng_);
  EXPECT_EQ(stream_.next(prng_, counters_), nullptr);
  EXPECT_NE(stream_.wrong(), "");
}

}  // namespace
}  // namespace lockstep::sim
