// A vector with a fixed capacity and no heap. Exceeding the capacity is a bug of the caller (CHECK).
#pragma once

#include <array>
#include <cstddef>

#include "base/check.h"

namespace lockstep {

template <class T, size_t Capacity>
class InplaceVector {
 public:
  InplaceVector() = default;
  InplaceVector(std::initializer_list<T> items) {
    for (const T& item : items) push_back(item);
  }
  void push_back(T item) {
    CHECK(size_ < Capacity);
    items_[size_++] = std::move(item);
  }
  void clear() {
    while (size_ > 0) items_[--size_] = T{};
  }
  bool full() const { return size_ == Capacity; }
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }
  static constexpr size_t capacity() { return Capacity; }
  T& operator[](size_t i) {
    CHECK(i < size_);
    return items_[i];
  }
  const T& operator[](size_t i) const {
    CHECK(i < size_);
    return items_[i];
  }
  T* begin() { return items_.data(); }
  T* end() { return items_.data() + size_; }
  const T* begin() const { return items_.data(); }
  const T* end() const { return items_.data() + size_; }
  friend bool operator==(const InplaceVector& a, const InplaceVector& b) {
    if (a.size_ != b.size_) return false;
    for (size_t i = 0; i < a.size_; ++i) {
      if (!(a.items_[i] == b.items_[i])) return false;
    }
    return true;
  }

 private:
  std::array<T, Capacity> items_{};
  size_t size_ = 0;
};

}  // namespace lockstep
