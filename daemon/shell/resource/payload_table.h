// The bytes behind the core's PayloadIds: what clients and peers sent, and what disk reads produced.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "base/buffer.h"
#include "base/check.h"
#include "base/ids.h"

namespace lockstep {

class PayloadTable {
 public:
  // What came from a client or peer; the table chooses the number. Empty buffers have none.
  PayloadId add(BufferRef buffer) {
    if (!buffer) return {};
    const PayloadId id{++last_};
    buffers_.emplace(id.value, std::move(buffer));
    return id;
  }
  // What a disk read is to fill; the core chose the number.
  void put(PayloadId id, BufferRef buffer) { CHECK(buffers_.emplace(id.value, std::move(buffer)).second); }
  BufferRef get(PayloadId id) const {
    if (id.value == 0) return {};
    const auto at = buffers_.find(id.value);
    CHECK(at != buffers_.end());
    return at->second;
  }
  void release(PayloadId id) { buffers_.erase(id.value); }
  size_t size() const { return buffers_.size(); }

 private:
  uint64_t last_ = 0;
  std::unordered_map<uint64_t, BufferRef> buffers_;
};

}  // namespace lockstep
