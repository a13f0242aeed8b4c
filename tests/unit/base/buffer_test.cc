#include "base/buffer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "base/slab.h"

namespace lockstep {
namespace {

constexpr size_t kPage = BufferPool::kAlignment;

TEST(Buffer, IsAlignedAndAsLargeAsAsked) {
  BufferPool pool(64 << 20);
  for (const size_t size : {0U, 1U, 512U, 4095U, 4096U, 4097U, 65536U, 100000U, 1U << 20, (1U << 20) + 1, 4U << 20}) {
    const BufferRef buffer = pool.allocate(size);
    ASSERT_TRUE(buffer) << size;
    EXPECT_EQ(buffer->size(), size);
    EXPECT_EQ(buffer->bytes().size(), size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer->data()) % kPage, 0U) << size;
    EXPECT_EQ(buffer->capacity() % kPage, 0U) << size;
    ASSERT_GE(buffer->capacity(), size);
    std::memset(buffer->data(), 0x5a, buffer->capacity());  // the sanitizers see if it is less
  }
}

TEST(BufferPool, CountsWhatIsOut) {
  BufferPool pool(1 << 20);
  EXPECT_EQ(pool.limit_bytes(), size_t{1} << 20);
  BufferRef one = pool.allocate(1);
  EXPECT_EQ(pool.bytes_out(), kPage);
  BufferRef two = pool.allocate(3 * kPage);
  EXPECT_EQ(pool.bytes_out(), kPage + two->capacity());
  one = {};
  EXPECT_EQ(pool.bytes_out(), two->capacity());
  two = {};
  EXPECT_EQ(pool.bytes_out(), 0U);
}

TEST(BufferPool, GivesNothingBeyondItsLimitAndAgainWhenThereIsRoom) {
  BufferPool pool(4 * kPage);
  BufferRef most = pool.allocate(3 * kPage);  // takes the next power of two
  EXPECT_FALSE(pool.allocate(1));
  EXPECT_EQ(pool.bytes_out(), 4 * kPage);
  most = {};
  EXPECT_FALSE(pool.allocate(4 * kPage + 1));
  EXPECT_TRUE(pool.allocate(4 * kPage));
}

TEST(BufferPool, HandsOutWhatCameBackWithTheNewSize) {
  BufferPool pool(1 << 20);
  const std::byte* memory = pool.allocate(100)->data();
  const BufferRef again = pool.allocate(200);
  EXPECT_EQ(again->data(), memory);
  EXPECT_EQ(again->size(), 200U);
  EXPECT_NE(pool.allocate(200)->data(), memory);
}

TEST(BufferPool, LargeBuffersAreCutFromSlabs) {
  BufferPool pool(64 << 20);
  std::vector<BufferRef> out;
  for (int i = 0; i < 8; ++i) out.push_back(pool.allocate(256 * 1024));
  EXPECT_EQ(reinterpret_cast<uintptr_t>(out[0]->data()) % Slab::kBytes, 0U);
  for (size_t i = 1; i < 8; ++i) EXPECT_EQ(out[i]->data(), out[i - 1]->data() + 256 * 1024);
  EXPECT_EQ(pool.slab_bytes(), Slab::kBytes);
  EXPECT_EQ(pool.bytes_out(), Slab::kBytes);
  out.push_back(pool.allocate(64 * 1024));
  EXPECT_EQ(pool.slab_bytes(), 2 * Slab::kBytes) << "a slab for each size";
}

TEST(BufferPool, SlabsTogetherAreNotLargerThanTheLimit) {
  BufferPool pool(Slab::kBytes + (1 << 20));
  const BufferRef cut = pool.allocate(1 << 20);
  const BufferRef own = pool.allocate(1 << 19);
  ASSERT_TRUE(cut && own);
  EXPECT_EQ(pool.slab_bytes(), Slab::kBytes);
  std::memset(own->data(), 1, own->capacity());
}

TEST(BufferPool, ASlabThatNobodyNeedsGoesBack) {
  BufferPool pool(1 << 30);
  std::vector<BufferRef> out;
  for (int i = 0; i < 200; ++i) out.push_back(pool.allocate(1 << 20));
  EXPECT_EQ(pool.slab_bytes(), 100 * Slab::kBytes);
  std::vector<BufferRef> half;  // one of each slab stays out
  for (size_t i = 0; i < out.size(); i += 2) half.push_back(out[i]);
  out.clear();
  EXPECT_EQ(pool.slab_bytes(), 100 * Slab::kBytes);
  half.clear();
  EXPECT_LE(pool.slab_bytes(), 33 * Slab::kBytes);
  EXPECT_GT(pool.slab_bytes(), 0U);
  for (int i = 0; i < 200; ++i) {
    out.push_back(pool.allocate(1 << 20));
    std::memset(out.back()->data(), i, out.back()->capacity());
  }
  for (int i = 0; i < 200; ++i) EXPECT_EQ(out[static_cast<size_t>(i)]->data()[12345], static_cast<std::byte>(i));
}

TEST(BufferRef, TheLastOneGivesTheBufferBack) {
  BufferPool pool(1 << 20);
  BufferRef first = pool.allocate(kPage);
  BufferRef second = first;
  BufferRef moved = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): empty is what it promises
  EXPECT_EQ(moved->data(), second->data());
  moved = {};
  EXPECT_EQ(pool.bytes_out(), kPage);
  BufferRef& self = second;
  second = self;
  EXPECT_EQ(pool.bytes_out(), kPage);
  second = pool.allocate(2 * kPage);  // the old one goes back
  EXPECT_EQ(pool.bytes_out(), 2 * kPage);
  second = {};
  EXPECT_EQ(pool.bytes_out(), 0U);
}

TEST(BufferPoolDeathTest, EndsTheProcessWhenABufferOutlivesIt) {
  EXPECT_DEATH(
      {
        BufferRef kept;
        BufferPool pool(1 << 20);
        kept = pool.allocate(1);
      },
      "bytes_out_ == 0");
}

}  // namespace
}  // namespace lockstep
