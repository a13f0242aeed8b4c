#include "flight/entry_reader.h"

#include <algorithm>
#include <cstring>

#include "base/endian.h"

namespace lockstep::flight {

Result<EntryReader> EntryReader::open(std::span<const std::byte> file) {
  const auto header = decode_header(file);
  if (!header) return Error{0, "it is no recording of lockstepd, or its header is damaged"};
  if (header->format != kFormat)
    return Error{0, "it was recorded by another version of lockstepd: use that version's lockstep-replay"};
  EntryReader reader;
  for (size_t at = kHeaderBytes; at + kSegmentHeaderBytes <= file.size(); at += header->segment_bytes) {
    const auto bytes = file.subspan(at, std::min<size_t>(header->segment_bytes, file.size() - at));
    const auto segment = decode_segment_header(bytes);
    if (segment && segment->number >= header->oldest_segment) reader.segments_.push_back({*segment, bytes});
  }
  if (reader.segments_.empty()) return Error{0, "nothing in it is whole"};
  std::sort(reader.segments_.begin(), reader.segments_.end(),
            [](const Segment& a, const Segment& b) { return a.header.number < b.header.number; });
  reader.entries_ = reader.segments_.front().header.first_entry;
  reader.events_ = reader.segments_.front().header.first_event;
  return reader;
}

std::optional<std::span<const std::byte>> EntryReader::body_here() const {
  const auto bytes = segments_[segment_].bytes;
  if (bytes.size() - at_ < kFrameBytes) return std::nullopt;
  const size_t length = get_le<uint16_t>(bytes.data() + at_);
  if (length == 0 || length > kMaxBody || length > bytes.size() - at_ - kFrameBytes) return std::nullopt;
  const auto body = bytes.subspan(at_ + kFrameBytes, length);
  if (get_le<uint32_t>(bytes.data() + at_ + 2) != entry_checksum(entries_, body)) return std::nullopt;
  return body;
}

// The segment behind this one begins with the very entry that was not found here; otherwise something in between is lost.
bool EntryReader::next_segment() {
  if (segment_ + 1 >= segments_.size()) return false;
  const SegmentHeader& here = segments_[segment_].header;
  const SegmentHeader& there = segments_[segment_ + 1].header;
  damaged_ = there.number != here.number + 1 || there.first_entry != entries_ || there.first_event != events_;
  if (damaged_) return false;
  ++segment_;
  at_ = kSegmentHeaderBytes;
  fresh_ = true;
  return true;
}

std::optional<Entry> EntryReader::next() {
  if (damaged_) return std::nullopt;
  auto body = body_here();
  if (!body && next_segment()) body = body_here();
  if (!body) return std::nullopt;
  Entry entry;
  entry.kind = static_cast<uint8_t>(body->front());
  entry.body = body->subspan(1);
  entry.event = events_;
  entry.first_of_segment = fresh_;
  entry.segment_now = segments_[segment_].header.now;
  fresh_ = false;
  at_ += kFrameBytes + body->size();
  ++entries_;
  if (entry.is_event()) ++events_;
  return entry;
}

}  // namespace lockstep::flight
