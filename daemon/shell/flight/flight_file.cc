#include "shell/flight/flight_file.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

namespace lockstep {

namespace {

constexpr size_t kSegments = 16;  // a ring of so many loses a sixteenth at a time
constexpr size_t kPage = 4096;
static_assert(flight::kHeaderBytes % kPage == 0);

int reserve(int fd, size_t offset, size_t bytes) {
  int result = 0;
  do {
    result = ::fallocate(fd, 0, static_cast<off_t>(offset), static_cast<off_t>(bytes));
  } while (result != 0 && errno == EINTR);
  return result;
}

}  // namespace

Result<std::unique_ptr<FlightFile>> FlightFile::create(const std::string& path, uint64_t most_bytes) {
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.ok()) return Error{errno, "open"};
  const size_t least = (flight::kMinSegmentBytes + kPage - 1) / kPage * kPage;
  const size_t segment = std::max<size_t>(least, most_bytes / kSegments / kPage * kPage);
  if (reserve(fd.get(), 0, flight::kHeaderBytes) != 0) return Error{errno, "reserve room in"};
  auto mapping = GuardedMapping::create(fd.get(), flight::kHeaderBytes + kSegments * segment);
  if (!mapping) return mapping.error();
  return std::unique_ptr<FlightFile>(new FlightFile(std::move(fd), std::move(mapping).value(), segment, kSegments));
}

std::span<std::byte> FlightFile::add_segment() {
  CHECK(segments_ < most_segments_);
  const size_t at = flight::kHeaderBytes + segments_ * segment_bytes_;
  if (reserve(fd_.get(), at, segment_bytes_) != 0) return {};
  ++segments_;
  return mapping_.bytes().subspan(at, segment_bytes_);
}

}  // namespace lockstep
