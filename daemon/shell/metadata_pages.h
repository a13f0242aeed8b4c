// Pages of the bit maps in the order in which they lie on disk.
#pragma once

#include "meta/bit_page.h"
#include "shell/metadata_io.h"

namespace lockstep {

// Writes pages one behind the other, a megabyte at a time.
class PageWriter {
 public:
  PageWriter(MetadataIo& io, uint64_t offset) : io_(io), offset_(offset), buffer_(kBatch * kSectorBytes) {}
  int add(const PageId& id, uint64_t sequence, const BitPage& bits) {
    encode_bit_page(id, sequence, bits, SectorSpan(buffer_.bytes().subspan(used_ * kSectorBytes, kSectorBytes)));
    return ++used_ == kBatch ? flush() : 0;
  }
  int flush() {
    if (used_ == 0) return 0;
    const auto bytes = buffer_.bytes().first(used_ * kSectorBytes);
    const int error = io_.write_durable(offset_, bytes);
    offset_ += bytes.size();
    used_ = 0;
    return error;
  }

 private:
  static constexpr size_t kBatch = 256;
  MetadataIo& io_;
  uint64_t offset_;
  AlignedBytes buffer_;
  size_t used_ = 0;
};

}  // namespace lockstep
