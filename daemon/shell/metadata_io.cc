#include "shell/metadata_io.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace lockstep {

AlignedBytes::AlignedBytes(size_t bytes) : data_(static_cast<std::byte*>(::operator new[](bytes, kAlignment))), size_(bytes) {
  std::fill_n(data_.get(), bytes, std::byte{0});
}

int FdMetadataIo::read(uint64_t offset, std::span<std::byte> to) {
  while (!to.empty()) {
    const ssize_t got = pread(fd_, to.data(), to.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    if (got == 0) return EIO;  // behind the end: the device shrank under us
    to = to.subspan(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
  }
  return 0;
}

int FdMetadataIo::write_durable(uint64_t offset, std::span<const std::byte> from) {
  while (!from.empty()) {
    const ssize_t put = pwrite(fd_, from.data(), from.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return errno;
    if (put == 0) return EIO;
    from = from.subspan(static_cast<size_t>(put));
    offset += static_cast<uint64_t>(put);
  }
  return fdatasync(fd_) == 0 ? 0 : errno;
}

}  // namespace lockstep
