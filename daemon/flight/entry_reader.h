// Takes the entries out of a recording's bytes, oldest first, as far as they are whole.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "flight/layout.h"

namespace lockstep::flight {

struct Entry {
  uint8_t kind = 0;
  std::span<const std::byte> body;  // after the kind
  uint64_t event = 0;               // how many events came before it
  bool first_of_segment = false;    // baselines begin anew,
  Instant segment_now;              // with this time
  bool is_event() const { return kind < kEvents; }
};

class EntryReader {
 public:
  // `file` outlives it. Error: what is wrong with it, as Error::where.
  static Result<EntryReader> open(std::span<const std::byte> file);

  // Nothing: the end. Then damaged() says whether more comes behind what cannot be read.
  std::optional<Entry> next();
  bool has_beginning() const { return !segments_.empty() && segments_.front().header.number == 0; }
  bool damaged() const { return damaged_; }

 private:
  struct Segment {
    SegmentHeader header;
    std::span<const std::byte> bytes;
  };
  std::optional<std::span<const std::byte>> body_here() const;
  bool next_segment();

  std::vector<Segment> segments_;  // by number
  size_t segment_ = 0;
  size_t at_ = kSegmentHeaderBytes;
  uint64_t entries_ = 0;
  uint64_t events_ = 0;
  bool fresh_ = true;
  bool damaged_ = false;
};

}  // namespace lockstep::flight
