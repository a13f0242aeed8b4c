#include "shell/loop/device_open.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "shell/loop/unique_fd.h"

namespace lockstep {
namespace {

constexpr uint32_t kSmallestBlock = 512;
constexpr uint32_t kLargestBlock = 4096;

Result<void> claim_file(int fd) {
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return {};
  return Error{errno == EWOULDBLOCK ? EBUSY : errno, "flock"};
}

// Alignment that the file system asks for; 0 when it refuses direct I/O on this file; 512 when it does not
// say.
uint32_t promised_alignment(int fd) {
#ifdef STATX_DIOALIGN
  struct statx about {};
  if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &about) == 0 && (about.stx_mask & STATX_DIOALIGN) != 0) {
    if (about.stx_dio_offset_align == 0) return 0;
    return std::max({kSmallestBlock, about.stx_dio_offset_align, about.stx_dio_mem_align});
  }
#else
  static_cast<void>(fd);
#endif
  return kSmallestBlock;
}

// Whether one block can be read that way. An empty file proves nothing, and nothing speaks against it.
bool reads_blocks_of(int fd, uint32_t block_bytes) {
  alignas(kLargestBlock) std::array<std::byte, 2 * kLargestBlock> memory;
  // Aligned to one block and not to two, so that a greater need shows.
  return pread(fd, memory.data() + (block_bytes % kLargestBlock), block_bytes, 0) >= 0 || errno != EINVAL;
}

bool set_direct(int fd, bool on) {
  const int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && fcntl(fd, F_SETFL, on ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

// Turns O_DIRECT on after the claim rather than at open(), so that a refusal costs no second open, which
// would drop the claim.
void try_direct(OpenedDevice& device) {
  uint32_t block = device.is_block_device ? device.block_bytes : promised_alignment(device.fd);
  if (block == 0 || block > kLargestBlock || !set_direct(device.fd, true)) return;
  while (!reads_blocks_of(device.fd, block)) {
    if (block >= kLargestBlock) {
      CHECK(set_direct(device.fd, false));
      return;
    }
    block = kLargestBlock;
  }
  device.direct = true;
  device.block_bytes = block;
}

Result<OpenedDevice> describe(UniqueFd fd, const std::string& path, bool is_block_device, bool direct) {
  OpenedDevice device;
  device.path = path;
  device.is_block_device = is_block_device;
  device.fd = fd.get();
  const Result<uint64_t> size = device_size(fd.get(), is_block_device);
  if (!size.ok()) return size.error();
  device.size_bytes = size.value();
  if (is_block_device) {
    int sector = 0;
    if (ioctl(fd.get(), BLKSSZGET, &sector) != 0) return Error{errno, "ioctl BLKSSZGET"};
    device.block_bytes = static_cast<uint32_t>(sector);
  }
  if (direct) try_direct(device);
  static_cast<void>(fd.release());
  return device;
}

// fsync() of the directory: a new name is durable only after that.
Result<void> sync_directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  const UniqueFd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.ok()) return Error{errno, "open directory"};
  if (fsync(fd.get()) != 0) return Error{errno, "fsync directory"};
  return {};
}

Result<void> reserve(int fd, uint64_t size_bytes) {
  // posix_fallocate() gives the error as its value and, unlike fallocate(), writes where a file system has no
  // such call.
  const int error = posix_fallocate(fd, 0, static_cast<off_t>(size_bytes));
  if (error != 0) return Error{error, "posix_fallocate"};
  if (fsync(fd) != 0) return Error{errno, "fsync"};
  return {};
}

}  // namespace

Result<OpenedDevice> open_device(const std::string& path, const OpenOptions& options) {
  struct stat about {};
  if (stat(path.c_str(), &about) != 0) return Error{errno, "stat"};
  const bool is_block_device = S_ISBLK(about.st_mode);
  if (!is_block_device && !S_ISREG(about.st_mode)) return Error{ENOTBLK, "stat"};

  int flags = O_CLOEXEC | (options.read_only ? O_RDONLY : O_RDWR);
  if (is_block_device && options.claim) flags |= O_EXCL;
  UniqueFd fd(open(path.c_str(), flags));
  if (!fd.ok()) return Error{errno, "open"};
  if (fstat(fd.get(), &about) != 0) return Error{errno, "fstat"};
  if (S_ISBLK(about.st_mode) != is_block_device) return Error{EBUSY, "open"};  // replaced between stat and open
  if (!is_block_device && options.claim) {
    const Result<void> claimed = claim_file(fd.get());
    if (!claimed.ok()) return claimed.error();
  }
  return describe(std::move(fd), path, is_block_device, options.direct);
}

Result<OpenedDevice> create_file(const std::string& path, uint64_t size_bytes, const OpenOptions& options) {
  UniqueFd fd(open(path.c_str(), O_CLOEXEC | O_RDWR | O_CREAT | O_EXCL, 0600));
  if (!fd.ok()) return Error{errno, "create"};
  Result<void> made = options.claim ? claim_file(fd.get()) : Result<void>();
  if (made.ok()) made = reserve(fd.get(), size_bytes);
  if (made.ok()) made = sync_directory_of(path);
  if (!made.ok()) {
    static_cast<void>(unlink(path.c_str()));  // half a file would be taken for metadata by the next attempt
    return made.error();
  }
  return describe(std::move(fd), path, false, options.direct);
}

void close_device(OpenedDevice& device) {
  if (device.fd >= 0) ::close(device.fd);
  device.fd = -1;
}

Result<uint64_t> device_size(int fd, bool is_block_device) {
  if (is_block_device) {
    uint64_t bytes = 0;
    if (ioctl(fd, BLKGETSIZE64, &bytes) != 0) return Error{errno, "ioctl BLKGETSIZE64"};
    return bytes;
  }
  struct stat about {};
  if (fstat(fd, &about) != 0) return Error{errno, "fstat"};
  return static_cast<uint64_t>(about.st_size);
}

}  // namespace lockstep
