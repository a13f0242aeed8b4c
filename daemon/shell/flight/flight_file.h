// The file of a recording, mapped: what was stored into it survives the end of the process in whatever way, and is on disk when the
// kernel comes to it. Its blocks are reserved a segment at a time, so that no store finds the file system full.
#pragma once

#include <memory>
#include <string>

#include "flight/layout.h"
#include "shell/flight/guarded_mapping.h"
#include "shell/loop/unique_fd.h"

namespace lockstep {

class FlightFile final : public flight::Space {
 public:
  // Makes the file, which must not exist. It grows to at most about `most_bytes`.
  static Result<std::unique_ptr<FlightFile>> create(const std::string& path, uint64_t most_bytes);

  std::span<std::byte> header() override { return mapping_.bytes().first(flight::kHeaderBytes); }
  size_t segment_bytes() const override { return segment_bytes_; }
  size_t most_segments() const override { return most_segments_; }
  std::span<std::byte> add_segment() override;

  // The file was cut short or its disk failed: nothing that is stored from now on will be found again.
  bool lost() const { return mapping_.lost(); }

 private:
  FlightFile(UniqueFd fd, GuardedMapping mapping, size_t segment_bytes, size_t most_segments)
      : fd_(std::move(fd)), mapping_(std::move(mapping)), segment_bytes_(segment_bytes), most_segments_(most_segments) {}

  UniqueFd fd_;
  GuardedMapping mapping_;
  size_t segment_bytes_;
  size_t most_segments_;
  size_t segments_ = 0;
};

}  // namespace lockstep
