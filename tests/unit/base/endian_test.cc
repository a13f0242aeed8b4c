#include "base/endian.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace lockstep {
namespace {

std::vector<int> ints(std::span<const std::byte> bytes) {
  std::vector<int> out;
  for (const std::byte one : bytes) out.push_back(std::to_integer<int>(one));
  return out;
}

TEST(Endian, LittleHasTheLowestByteFirst) {
  std::array<std::byte, 8> bytes{};
  put_le<uint32_t>(bytes.data(), 0x01020384);
  EXPECT_EQ(ints(std::span(bytes).first(5)), (std::vector<int>{0x84, 3, 2, 1, 0}));
  EXPECT_EQ(get_le<uint32_t>(bytes.data()), 0x01020384U);
}

TEST(Endian, BigHasTheHighestByteFirst) {
  std::array<std::byte, 8> bytes{};
  put_be<uint32_t>(bytes.data(), 0x81020384);
  EXPECT_EQ(ints(std::span(bytes).first(5)), (std::vector<int>{0x81, 2, 3, 0x84, 0}));
  EXPECT_EQ(get_be<uint32_t>(bytes.data()), 0x81020384U);
}

template <class T>
void there_and_back(T value) {
  std::array<std::byte, sizeof(T) + 1> bytes{};
  put_le<T>(bytes.data() + 1, value);
  EXPECT_EQ(get_le<T>(bytes.data() + 1), value);
  std::array<std::byte, sizeof(T)> turned{};
  std::reverse_copy(bytes.begin() + 1, bytes.end(), turned.begin());
  EXPECT_EQ(get_be<T>(turned.data()), value);
  put_be<T>(bytes.data() + 1, value);
  EXPECT_EQ(get_be<T>(bytes.data() + 1), value);
}

TEST(Endian, EveryWidthComesBack) {
  for (const uint64_t value : {uint64_t{0}, uint64_t{1}, uint64_t{0x80}, uint64_t{0xfedcba9876543281}, ~uint64_t{0}}) {
    there_and_back(static_cast<uint8_t>(value));
    there_and_back(static_cast<uint16_t>(value));
    there_and_back(static_cast<uint32_t>(value));
    there_and_back(value);
  }
}

TEST(ByteReader, ReadsWhatByteWriterWrote) {
  const Uuid id = Uuid::from_words(0x1122334455667788, 0x99aabbccddeeff00);
  std::vector<std::byte> bytes;
  ByteWriter writer(bytes);
  writer.put<uint8_t>(1);
  writer.put<uint16_t>(0x0203);
  writer.put<uint64_t>(0x0405060708090a0b);
  writer.put(id);
  writer.put_bytes(std::array{std::byte{0x7e}, std::byte{0x7f}});
  ASSERT_EQ(bytes.size(), 29U);
  EXPECT_EQ(ints(std::span(bytes).first(4)), (std::vector<int>{1, 3, 2, 0xb}));

  ByteReader reader(bytes);
  EXPECT_EQ(reader.get<uint8_t>(), 1);
  EXPECT_EQ(reader.get<uint16_t>(), 0x0203);
  EXPECT_EQ(reader.get<uint64_t>(), 0x0405060708090a0bU);
  EXPECT_EQ(reader.get_uuid(), id);
  EXPECT_EQ(reader.remaining(), 2U);
  EXPECT_FALSE(reader.at_end());
  EXPECT_EQ(ints(reader.get_bytes(2)), (std::vector<int>{0x7e, 0x7f}));
  EXPECT_TRUE(reader.at_end());
}

TEST(ByteReader, AfterAFieldThatDoesNotFitGivesOnlyZeroes) {
  const std::vector<std::byte> bytes(3, std::byte{0xff});
  ByteReader reader(bytes);
  EXPECT_EQ(reader.get<uint32_t>(), 0U);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.get<uint8_t>(), 0U);  // would fit
  EXPECT_TRUE(reader.get_uuid().is_nil());
  EXPECT_TRUE(reader.get_bytes(1).empty());
  EXPECT_FALSE(reader.at_end());
}

TEST(ByteReader, RefusesAUuidOrBytesThatDoNotFit) {
  const std::vector<std::byte> bytes(15, std::byte{0xff});
  ByteReader uuid(bytes);
  EXPECT_TRUE(uuid.get_uuid().is_nil());
  EXPECT_FALSE(uuid.ok());
  ByteReader some(bytes);
  EXPECT_TRUE(some.get_bytes(16).empty());
  EXPECT_FALSE(some.ok());
  ByteReader huge(bytes);
  EXPECT_TRUE(huge.get_bytes(SIZE_MAX).empty());
  EXPECT_FALSE(huge.ok());
}

TEST(ByteReader, FailedByItsCallerIsNotAtItsEnd) {
  ByteReader reader({});
  EXPECT_TRUE(reader.at_end());
  reader.fail();
  EXPECT_FALSE(reader.ok());
  EXPECT_FALSE(reader.at_end());
}

}  // namespace
}  // namespace lockstep
