// Puts entries into a Space, segment after segment. An entry is written where it stays: no copy, no allocation, no system call
// except when a segment is full.
#pragma once

#include <vector>

#include "flight/event_codec.h"
#include "flight/layout.h"
#include "flight/packing.h"

namespace lockstep::flight {

class EntryWriter {
 public:
  // `space` outlives it. Without a first segment, ok() is false and nothing may be written.
  explicit EntryWriter(Space& space);
  bool ok() const { return !segments_.empty(); }

  // Packs the entry with what begin() gives, then ends it. Between the two, baselines() are those to encode an event with.
  Packer begin(Kind kind) { return begin(static_cast<uint8_t>(kind)); }
  Packer begin(uint8_t kind);
  void end(const Packer& packed);
  Baselines& baselines() { return base_; }
  uint64_t bytes_written() const { return bytes_written_; }  // entries with their frames

 private:
  void next_segment();

  Space& space_;
  std::vector<std::span<std::byte>> segments_;  // in the order of the file
  bool may_grow_ = true;
  uint64_t segment_ = 0;  // number of the one that is written
  std::span<std::byte> room_;
  size_t at_ = 0;
  uint64_t entries_ = 0;
  uint64_t events_ = 0;
  uint64_t bytes_written_ = 0;
  Baselines base_;
};

}  // namespace lockstep::flight
