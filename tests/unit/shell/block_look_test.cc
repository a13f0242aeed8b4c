#include "shell/resource/block_look.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/buffer.h"
#include "core/durable.h"
#include "shell/resource/sparse_write.h"

namespace lockstep {
namespace {

std::vector<std::byte> blocks(std::initializer_list<int> contents) {
  std::vector<std::byte> all;
  for (int content : contents) all.insert(all.end(), kBlockBytes, static_cast<std::byte>(content));
  return all;
}

TEST(LeaveOutZeroes, MovesTheOthersTogether) {
  auto data = blocks({1, 0, 2, 0, 0, 3});
  EXPECT_EQ(leave_out_zeroes(data), 0b011010u);
  data.resize(3 * kBlockBytes);
  EXPECT_EQ(data, blocks({1, 2, 3}));
}

TEST(LeaveOutZeroes, OneByteIsEnough) {
  for (size_t at : {size_t{0}, size_t{1}, kBlockBytes / 2, kBlockBytes - 1}) {
    auto data = blocks({0});
    data[at] = std::byte{1};
    EXPECT_EQ(leave_out_zeroes(data), 0u) << at;
  }
  auto data = blocks({0});
  EXPECT_EQ(leave_out_zeroes(data), 1u);
}

TEST(LeaveOutZeroes, ALastBlockThatIsNotWholeStays) {
  auto data = blocks({0, 0});
  data.resize(kBlockBytes + 512);
  EXPECT_EQ(leave_out_zeroes(data), 0b01u);
}

TEST(LeaveOutZeroes, TakesAsManyBlocksAsAMaskHasBits) {
  std::vector<std::byte> data(kLookBlocks * kBlockBytes);
  EXPECT_EQ(leave_out_zeroes(data), ~BlockMask{0});
}

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
  return {bytes.begin(), bytes.end()};
}

TEST(BlockDigests, FindTheBlocksThatDiffer) {
  const BlockDigests mine(bytes_of("secret"));
  const BlockDigests theirs(bytes_of("secret"));
  auto data = blocks({1, 2, 3, 4});
  std::vector<std::byte> digests(BlockDigests::bytes_for(data.size()));
  mine.write(data, digests);
  EXPECT_EQ(theirs.differing(data, digests), 0u);
  data[kBlockBytes] ^= std::byte{1};
  data[4 * kBlockBytes - 1] ^= std::byte{0x80};
  EXPECT_EQ(theirs.differing(data, digests), 0b1010u);
}

TEST(BlockDigests, AnotherSecretGivesOthers) {
  const auto data = blocks({1, 2});
  std::vector<std::byte> digests(BlockDigests::bytes_for(data.size()));
  BlockDigests(bytes_of("one")).write(data, digests);
  EXPECT_EQ(BlockDigests(bytes_of("two")).differing(data, digests), 0b11u);
}

TEST(BlockDigests, WriteOverTheBlocksThemselves) {
  const BlockDigests digests(bytes_of("secret"));
  auto data = blocks({1, 2, 3});
  data.resize(2 * kBlockBytes + 512);
  const auto before = data;
  digests.write(data, std::span(data).first(BlockDigests::bytes_for(data.size())));
  EXPECT_EQ(digests.differing(before, std::span(data).first(3 * kDigestBytes)), 0u);
}

// Notes what is asked of it, and answers when it is told to.
struct FakeDisk final : BlockDevice {
  struct Call {
    BlockOp op;
    uint64_t offset, length;
    std::byte first;
    BlockDone done;
  };
  OpenedDevice opened;
  std::vector<Call> calls;
  const OpenedDevice& info() const override { return opened; }
  void submit(BlockOp op, uint64_t offset, uint64_t length, std::byte* data, bool, BlockDone done) override {
    calls.push_back({op, offset, length, data != nullptr ? *data : std::byte{0}, std::move(done)});
  }
  size_t outstanding() const override { return calls.size(); }
};

TEST(WriteSparsely, TrimsWhatHasNoBytesAndWritesTheRest) {
  BufferPool pool(1 << 20);
  BufferRef payload = pool.allocate(3 * kBlockBytes);
  const auto data = blocks({1, 2, 3});
  std::copy(data.begin(), data.end(), payload->data());
  FakeDisk disk;
  int ended = 0;
  int error = -1;
  DiskIo io{{1}, OpKind::write, {1 << 20, 5 * kBlockBytes + 512}, false, {1}, Look::nothing, 0b01101};
  io.range.length = 6 * kBlockBytes;
  write_sparsely(disk, io, std::move(payload), [&](int e) {
    ++ended;
    error = e;
  });
  ASSERT_EQ(disk.calls.size(), 4u);
  EXPECT_EQ(disk.calls[0].op, BlockOp::trim);
  EXPECT_EQ(disk.calls[1].op, BlockOp::write);
  EXPECT_EQ(disk.calls[1].first, std::byte{1});
  EXPECT_EQ(disk.calls[2].op, BlockOp::trim);
  EXPECT_EQ(disk.calls[2].length, 2 * kBlockBytes);
  EXPECT_EQ(disk.calls[3].op, BlockOp::write);
  EXPECT_EQ(disk.calls[3].offset, (1 << 20) + 4 * kBlockBytes);
  EXPECT_EQ(disk.calls[3].length, 2 * kBlockBytes);
  EXPECT_EQ(disk.calls[3].first, std::byte{2});
  for (size_t i : {3, 0, 1}) disk.calls[i].done(i == 0 ? EIO : 0);
  EXPECT_EQ(ended, 0);
  disk.calls[2].done(0);
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(error, EIO);
  disk.calls.clear();
}

TEST(WriteSparsely, WhatIsAllZeroHasNoPayload) {
  FakeDisk disk;
  int ended = 0;
  const DiskIo io{{1}, OpKind::write, {0, 2 * kBlockBytes}, false, {}, Look::nothing, 0b11};
  write_sparsely(disk, io, {}, [&](int) { ++ended; });
  ASSERT_EQ(disk.calls.size(), 1u);
  EXPECT_EQ(disk.calls[0].op, BlockOp::trim);
  disk.calls[0].done(0);
  EXPECT_EQ(ended, 1);
}

}  // namespace
}  // namespace lockstep
