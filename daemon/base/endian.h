// Little- and big-endian integers in byte buffers. Bounds are the caller's business; ByteReader and ByteWriter below check them.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "base/uuid.h"

namespace lockstep {

template <std::unsigned_integral T>
constexpr void put_le(std::byte* to, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) to[i] = static_cast<std::byte>(value >> (8 * i));
}

template <std::unsigned_integral T>
constexpr T get_le(const std::byte* from) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>(value | (static_cast<T>(from[i]) << (8 * i)));
  return value;
}

template <std::unsigned_integral T>
constexpr void put_be(std::byte* to, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) to[i] = static_cast<std::byte>(value >> (8 * (sizeof(T) - 1 - i)));
}

template <std::unsigned_integral T>
constexpr T get_be(const std::byte* from) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>((value << (sizeof(T) > 1 ? 8 : 0)) | static_cast<T>(from[i]));
  return value;
}

// Appends little-endian fields to a byte vector.
class ByteWriter {
 public:
  explicit ByteWriter(std::vector<std::byte>& out) : out_(out) {}
  template <std::unsigned_integral T>
  void put(T value) {
    const size_t at = out_.size();
    out_.resize(at + sizeof(T));
    put_le(out_.data() + at, value);
  }
  void put(const Uuid& id) { put_bytes({reinterpret_cast<const std::byte*>(id.bytes.data()), id.bytes.size()}); }
  void put_bytes(std::span<const std::byte> bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }

 private:
  std::vector<std::byte>& out_;
};

// Takes little-endian fields from a byte span. After the first field that does not fit, ok() is false, every further get
// gives zero, and what was read must not be used.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> in) : in_(in) {}
  bool ok() const { return ok_; }
  size_t remaining() const { return in_.size(); }
  bool at_end() const { return ok_ && in_.empty(); }
  template <std::unsigned_integral T>
  T get() {
    if (!need(sizeof(T))) return 0;
    const T value = get_le<T>(in_.data());
    in_ = in_.subspan(sizeof(T));
    return value;
  }
  Uuid get_uuid() {
    Uuid id;
    if (!need(id.bytes.size())) return id;
    std::memcpy(id.bytes.data(), in_.data(), id.bytes.size());
    in_ = in_.subspan(id.bytes.size());
    return id;
  }
  // A view into the input; empty when it does not fit.
  std::span<const std::byte> get_bytes(size_t count) {
    if (!need(count)) return {};
    auto bytes = in_.first(count);
    in_ = in_.subspan(count);
    return bytes;
  }
  void fail() { ok_ = false; }

 private:
  bool need(size_t count) {
    if (!ok_ || in_.size() < count) ok_ = false;
    return ok_;
  }
  std::span<const std::byte> in_;
  bool ok_ = true;
};

}  // namespace lockstep
