// Pages in the order in which they lie on disk.
#pragma once

#include <algorithm>

#include "meta/bit_page.h"
#include "shell/metadata_io.h"

namespace lockstep {

constexpr size_t kReadAheadSectors = 256;

// Reads `count` sectors a megabyte at a time. Where a batch fails, sector by sector, so that one bad sector
// costs one page. each(index, nullptr) for a sector that cannot be read.
template <class Each>
void read_sectors(MetadataIo& io, uint64_t offset, uint64_t count, Each&& each) {
  AlignedBytes buffer(static_cast<size_t>(std::min<uint64_t>(count, kReadAheadSectors)) * kSectorBytes);
  for (uint64_t first = 0; first < count; first += kReadAheadSectors) {
    const size_t batch = static_cast<size_t>(std::min<uint64_t>(count - first, kReadAheadSectors));
    const bool whole = io.read(offset + first * kSectorBytes, buffer.bytes().first(batch * kSectorBytes)) == 0;
    for (size_t i = 0; i < batch; ++i) {
      const auto place = buffer.bytes().subspan(i * kSectorBytes, kSectorBytes);
      const bool readable = whole || io.read(offset + (first + i) * kSectorBytes, place) == 0;
      each(first + i, readable ? place.data() : nullptr);
    }
  }
}

// Writes pages one behind the other, a megabyte at a time.
class PageWriter {
 public:
  PageWriter(MetadataIo& io, uint64_t offset) : io_(io), offset_(offset), buffer_(kBatch * kSectorBytes) {}
  // The next page: to be filled as a whole, then added. What is there before is left over from another one.
  SectorSpan page() { return SectorSpan(buffer_.bytes().subspan(used_ * kSectorBytes, kSectorBytes)); }
  int add() { return ++used_ == kBatch ? flush() : 0; }
  int add(const PageId& id, uint64_t sequence, const BitPage& bits) {
    encode_bit_page(id, sequence, bits, page());
    return add();
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
