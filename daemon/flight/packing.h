// Small numbers in few bytes: varints (LEB128), signed ones in zigzag order. For recordings, where most numbers are close to the one
// before.
#pragma once

#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/endian.h"

namespace lockstep::flight {

// Writes into a buffer of its caller's, which is large enough (CHECK); nothing is allocated.
class Packer {
 public:
  explicit Packer(std::span<std::byte> out) : out_(out) {}
  size_t size() const { return at_; }

  void byte(uint8_t value) { *room(1) = static_cast<std::byte>(value); }
  void varint(uint64_t value) {
    while (value >= 0x80) {
      byte(static_cast<uint8_t>(value | 0x80));
      value >>= 7;
    }
    byte(static_cast<uint8_t>(value));
  }
  void zigzag(int64_t value) { varint((static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63)); }
  void bytes(std::span<const std::byte> from) {
    if (!from.empty()) std::memcpy(room(from.size()), from.data(), from.size());
  }
  void uuid(const Uuid& id) { bytes(std::as_bytes(std::span(id.bytes))); }
  void text(std::string_view words) {
    varint(words.size());
    bytes(std::as_bytes(std::span(words.data(), words.size())));
  }

 private:
  std::byte* room(size_t count) {
    CHECK(count <= out_.size() - at_);
    std::byte* to = out_.data() + at_;
    at_ += count;
    return to;
  }
  std::span<std::byte> out_;
  size_t at_ = 0;
};

// After the first value that does not fit or that no Packer writes, ok() is false and what was read must not be used.
class Unpacker {
 public:
  explicit Unpacker(std::span<const std::byte> in) : in_(in) {}
  bool ok() const { return in_.ok(); }
  bool at_end() const { return in_.at_end(); }
  void fail() { in_.fail(); }

  uint8_t byte() { return in_.get<uint8_t>(); }
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t next = byte();
      if (shift == 63 && next > 1) break;
      value |= static_cast<uint64_t>(next & 0x7f) << shift;
      if ((next & 0x80) == 0) return value;
    }
    fail();
    return 0;
  }
  int64_t zigzag() {
    const uint64_t value = varint();
    return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
  }
  Uuid uuid() { return in_.get_uuid(); }
  std::span<const std::byte> bytes(size_t count) { return in_.get_bytes(count); }
  std::span<const std::byte> rest() { return in_.get_bytes(in_.remaining()); }
  std::string text() {
    const auto words = bytes(varint());
    return {reinterpret_cast<const char*>(words.data()), words.size()};
  }
  ByteReader& reader() { return in_; }  // for the codecs of core/codec

 private:
  ByteReader in_;
};

}  // namespace lockstep::flight
