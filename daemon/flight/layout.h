// The bytes of a recording: what one run of one resource on one node was told, from its attach on. docs/flight.md has the tables.
//
//   file     a page with the header, then segments of equal length, used in turn as a ring
//   segment  a header, then entries; understood without the segments before it
//   entry    length, checksum, body; the body's first byte is its kind
//
// An entry's number is not written: it is the checksum's start value, so that an entry of the ring's previous turn, or one that was
// torn, is none. A segment that the ring comes to again begins with its new header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/time.h"
#include "core/event.h"

namespace lockstep::flight {

constexpr size_t kHeaderBytes = 4096;
constexpr uint32_t kFormat = 1;
constexpr size_t kOldestAt = 24;  // place of FileHeader::oldest_segment, which changes while the recording grows
constexpr size_t kAboutAt = 64;   // about.h

struct FileHeader {
  uint32_t format = kFormat;
  uint32_t segment_bytes = 0;
  uint64_t oldest_segment = 0;  // 0: the beginning is still there
};

void encode_header(std::span<std::byte> out, const FileHeader& header);
std::optional<FileHeader> decode_header(std::span<const std::byte> in);

constexpr size_t kSegmentHeaderBytes = 40;

struct SegmentHeader {
  uint64_t number = 0;       // counts segments from 0, over all turns of the ring
  uint64_t first_entry = 0;  // number of its first entry
  uint64_t first_event = 0;  // how many events came before
  Instant now;               // what the first event's time is counted from
};

void encode_segment_header(std::span<std::byte> out, const SegmentHeader& header);
std::optional<SegmentHeader> decode_segment_header(std::span<const std::byte> in);

constexpr size_t kFrameBytes = 6;  // u16 length of the body, u32 checksum
constexpr size_t kMaxBody = 8192;  // no entry has more
constexpr size_t kMinSegmentBytes = 4 * (kMaxBody + kFrameBytes);

uint32_t entry_checksum(uint64_t number, std::span<const std::byte> body);

enum class Kind : uint8_t {
  // below: the alternatives of Event, by index
  config = 32,  // CoreConfig
  record,       // NodeRecord at the attach
  map,          // a map of the attach: whose, and its size
  map_page,     // a page of it that is not all zeroes
  sequences,    // of the intent map's pages
  begin,        // the Replica is made, at this time
  note = 48,    // what the step before told: kept for a reading whose beginning is gone
  role,         //
  admin_reply,  //
  state,        // digests after the step before
  closed = 63,  // the resource went down; a recording without it was cut off
};
constexpr uint8_t kEvents = static_cast<uint8_t>(std::variant_size_v<Event>);
static_assert(kEvents < static_cast<uint8_t>(Kind::config));

// Where a recording lies while it is made.
class Space {
 public:
  virtual ~Space() = default;
  virtual std::span<std::byte> header() = 0;  // kHeaderBytes
  virtual size_t segment_bytes() const = 0;
  virtual size_t most_segments() const = 0;
  // Asked once for each, in order, as the recording grows; the memory stays where it is. Empty: there is no room for it.
  virtual std::span<std::byte> add_segment() = 0;
};

}  // namespace lockstep::flight
