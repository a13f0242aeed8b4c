// A recording in memory, for the simulator and for tests.
#pragma once

#include <deque>
#include <vector>

#include "flight/layout.h"

namespace lockstep::flight {

class MemorySpace final : public Space {
 public:
  MemorySpace(size_t segment_bytes, size_t most_segments)
      : segment_bytes_(segment_bytes), most_segments_(most_segments), header_(kHeaderBytes) {}

  std::span<std::byte> header() override { return header_; }
  size_t segment_bytes() const override { return segment_bytes_; }
  size_t most_segments() const override { return most_segments_; }
  std::span<std::byte> add_segment() override {
    if (full_) return {};
    return segments_.emplace_back(segment_bytes_);
  }

  // From now on it has no room for further segments, as a full file system.
  void be_full() { full_ = true; }
  // What a file would hold.
  std::vector<std::byte> bytes() const {
    std::vector<std::byte> all = header_;
    for (const auto& segment : segments_) all.insert(all.end(), segment.begin(), segment.end());
    return all;
  }

 private:
  size_t segment_bytes_;
  size_t most_segments_;
  std::vector<std::byte> header_;
  std::deque<std::vector<std::byte>> segments_;
  bool full_ = false;
};

}  // namespace lockstep::flight
