// Bytes received and not yet understood: handshake options, and request headers, many of them at once when
// the client pipelines.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include "base/check.h"

namespace lockstep::nbd {

class InputBuffer {
 public:
  explicit InputBuffer(size_t capacity) : bytes_(capacity) {}

  std::span<const std::byte> unread() const { return {bytes_.data() + begin_, end_ - begin_}; }

  // Where to receive up to `most` bytes more. Moves what is unread to the front: pointers into unread() end
  // here.
  std::span<std::byte> free_space(size_t most) {
    if (begin_ > 0) {
      std::memmove(bytes_.data(), bytes_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    return {bytes_.data() + end_, std::min(most, bytes_.size() - end_)};
  }
  void commit(size_t received) {
    CHECK(received <= bytes_.size() - end_);
    end_ += received;
  }
  void consume(size_t count) {
    CHECK(count <= end_ - begin_);
    begin_ += count;
  }

 private:
  std::vector<std::byte> bytes_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace lockstep::nbd
