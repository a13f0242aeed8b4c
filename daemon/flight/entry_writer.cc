#include "flight/entry_writer.h"

#include <atomic>
#include <bit>

#include "base/check.h"
#include "base/endian.h"

namespace lockstep::flight {

namespace {

void end_mark(std::span<std::byte> room, size_t at) {
  if (room.size() - at >= kFrameBytes) put_le(room.data() + at, uint16_t{0});
}

// In one piece: a kill finds the old number or the new one.
void store_whole(std::byte* to, uint64_t number) {
  static_assert(std::endian::native == std::endian::little);
  std::atomic_ref<uint64_t>(*reinterpret_cast<uint64_t*>(to)).store(number, std::memory_order_relaxed);
}

}  // namespace

EntryWriter::EntryWriter(Space& space) : space_(space) {
  CHECK(space.segment_bytes() >= kMinSegmentBytes && space.most_segments() >= 2);
  segments_.reserve(space.most_segments());
  const auto first = space.add_segment();
  if (first.empty()) return;
  segments_.push_back(first);
  room_ = first;
  FileHeader header;
  header.segment_bytes = static_cast<uint32_t>(space.segment_bytes());
  encode_header(space.header(), header);
  encode_segment_header(room_, SegmentHeader{});
  at_ = kSegmentHeaderBytes;
  end_mark(room_, at_);
}

// Grows as long as there is room, then begins the ring's next turn. With a single segment there is only that one's beginning.
void EntryWriter::next_segment() {
  ++segment_;
  may_grow_ = may_grow_ && segments_.size() < space_.most_segments();
  const auto added = may_grow_ ? space_.add_segment() : std::span<std::byte>();
  may_grow_ = !added.empty();
  if (may_grow_) {
    segments_.push_back(added);
    room_ = added;
  } else {
    // What is about to be written over is gone from the header first.
    const uint64_t oldest = segment_ - segments_.size() + 1;
    store_whole(space_.header().data() + kOldestAt, oldest);
    room_ = segments_[segment_ % segments_.size()];
  }
  Baselines fresh;
  fresh.now = base_.now;
  base_ = fresh;
  encode_segment_header(room_, {segment_, entries_, events_, base_.now});
  at_ = kSegmentHeaderBytes;
  end_mark(room_, at_);
}

Packer EntryWriter::begin(uint8_t kind) {
  if (room_.size() - at_ < kFrameBytes + kMaxBody) next_segment();
  Packer out(room_.subspan(at_ + kFrameBytes, kMaxBody));
  out.byte(kind);
  if (kind < kEvents) ++events_;
  return out;
}

void EntryWriter::end(const Packer& packed) {
  const auto body = room_.subspan(at_ + kFrameBytes, packed.size());
  put_le(room_.data() + at_ + 2, entry_checksum(entries_++, body));
  put_le(room_.data() + at_, static_cast<uint16_t>(body.size()));
  at_ += kFrameBytes + body.size();
  bytes_written_ += kFrameBytes + body.size();
}

}  // namespace lockstep::flight
