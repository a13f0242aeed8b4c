// A 128-bit identity. The nil value means "none" or "not yet known". Made by the shells, never by the core.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lockstep {

struct Uuid {
  std::array<uint8_t, 16> bytes{};

  bool is_nil() const { return *this == Uuid{}; }
  std::string to_string() const;  // 8-4-4-4-12 lower case
  static std::optional<Uuid> parse(std::string_view text);
  // Two words, for tests and the simulator.
  static constexpr Uuid from_words(uint64_t high, uint64_t low) {
    Uuid id;
    for (size_t i = 0; i < 8; ++i) {
      id.bytes[i] = static_cast<uint8_t>(high >> (56 - 8 * i));
      id.bytes[8 + i] = static_cast<uint8_t>(low >> (56 - 8 * i));
    }
    return id;
  }
  // By words: the defaulted one calls memcmp, and the core compares identities more often than anything else.
  friend constexpr bool operator==(const Uuid& a, const Uuid& b) {
    const auto x = std::bit_cast<std::array<uint64_t, 2>>(a.bytes);
    const auto y = std::bit_cast<std::array<uint64_t, 2>>(b.bytes);
    return x[0] == y[0] && x[1] == y[1];
  }
  friend auto operator<=>(const Uuid&, const Uuid&) = default;
};

}  // namespace lockstep
