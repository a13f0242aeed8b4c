#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace lockstep {
namespace {

using Bytes = std::vector<std::byte>;

Bytes counting(int first, int step) {
  Bytes bytes(32);
  for (int i = 0; i < 32; ++i) bytes[static_cast<size_t>(i)] = static_cast<std::byte>(first + step * i);
  return bytes;
}

// RFC 3720, appendix B.4, prints the bytes as they travel: aa 36 91 8a is 0x8a9136aa.
TEST(Crc32c, GivesTheSumsOfRfc3720) {
  EXPECT_EQ(crc32c(Bytes(32, std::byte{0})), 0x8a9136aaU);
  EXPECT_EQ(crc32c(Bytes(32, std::byte{0xff})), 0x62a8ab43U);
  EXPECT_EQ(crc32c(counting(0, 1)), 0x46dd794eU);
  EXPECT_EQ(crc32c(counting(31, -1)), 0x113fdb5cU);
}

TEST(Crc32c, GivesTheSumOfTheIscsiReadCommandOfRfc3720) {
  Bytes command(48);
  const auto put = [&command](size_t at, int value) { command[at] = static_cast<std::byte>(value); };
  put(0, 0x01), put(1, 0xc0), put(16, 0x14), put(22, 0x04), put(27, 0x14), put(31, 0x18), put(32, 0x28), put(40, 0x02);
  EXPECT_EQ(crc32c(command), 0xd9963a56U);
}

TEST(Crc32c, GivesTheCheckValueOfTheCatalogues) {
  const std::string_view digits = "123456789";
  EXPECT_EQ(crc32c({reinterpret_cast<const std::byte*>(digits.data()), digits.size()}), 0xe3069283U);
}

TEST(Crc32c, OfNothingIsZero) { EXPECT_EQ(crc32c({}), 0U); }

TEST(Crc32c, InPiecesIsAsInOne) {
  Bytes data(1000);
  std::generate(data.begin(), data.end(), [n = 0U]() mutable { return static_cast<std::byte>((n += 167) >> 3); });
  const std::span<const std::byte> all(data);
  const uint32_t whole = crc32c(all);
  for (const size_t cut : {0U, 1U, 7U, 8U, 63U, 500U, 999U, 1000U})
    EXPECT_EQ(crc32c_extend(crc32c(all.first(cut)), all.subspan(cut)), whole) << cut;
}

}  // namespace
}  // namespace lockstep
