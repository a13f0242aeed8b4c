// lossy-disk STORE MOUNTPOINT CONTROL: shows the file STORE at the file MOUNTPOINT as a disk with a volatile write cache, through FUSE,
// until it is unmounted or ended by a signal; what is cached then is lost. CONTROL is a Unix socket for commands: see disk.h.
#define FUSE_USE_VERSION 35
#include <fcntl.h>
#include <fuse.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>

#include "lossy_disk/control.h"
#include "lossy_disk/disk.h"

namespace lockstep::lossy {
namespace {

constexpr unsigned kLargestRequest = 1U << 20;

Disk& disk() { return *static_cast<Disk*>(fuse_get_context()->private_data); }

void* begin(fuse_conn_info* connection, fuse_config* config) {
  connection->max_write = kLargestRequest;
  config->kernel_cache = 0;
  return fuse_get_context()->private_data;
}

int get_attributes(const char* path, struct stat* attributes, fuse_file_info*) {
  if (std::strcmp(path, "/") != 0) return -ENOENT;
  *attributes = {};
  attributes->st_mode = S_IFREG | 0600;
  attributes->st_nlink = 1;
  attributes->st_size = static_cast<off_t>(disk().size());
  attributes->st_blocks = static_cast<blkcnt_t>(disk().size() / kSector);
  return 0;
}

int open_it(const char*, fuse_file_info* file) {
  file->fh = disk().epoch();
  return 0;
}

int read_it(const char*, char* into, size_t length, off_t offset, fuse_file_info* file) {
  const uint64_t at = static_cast<uint64_t>(offset);
  if (at >= disk().size()) return 0;
  if (length > disk().size() - at) length = static_cast<size_t>(disk().size() - at);
  const int error = disk().read(file->fh, at, length, reinterpret_cast<std::byte*>(into));
  return error != 0 ? error : static_cast<int>(length);
}

int write_it(const char*, const char* from, size_t length, off_t offset, fuse_file_info* file) {
  // With O_DIRECT the kernel leaves it to the server to sync such a write.
  const bool fua = (file->flags & (O_DSYNC | O_SYNC)) != 0;
  const int error = disk().write(file->fh, static_cast<uint64_t>(offset), length, reinterpret_cast<const std::byte*>(from), fua);
  return error != 0 ? error : static_cast<int>(length);
}

int flush_it(const char*, int, fuse_file_info* file) { return disk().flush(file->fh); }

int punch(const char*, int mode, off_t offset, off_t length, fuse_file_info* file) {
  const int zeroing = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
  if (zeroing == 0) return -EOPNOTSUPP;
  return disk().zero(file->fh, static_cast<uint64_t>(offset), static_cast<size_t>(length));
}

int show(Disk& served, const char* program, const char* mountpoint) {
  fuse_operations operations{};
  operations.init = begin;
  operations.getattr = get_attributes;
  operations.open = open_it;
  operations.read = read_it;
  operations.write = write_it;
  operations.fsync = flush_it;
  operations.fallocate = punch;
  // In the foreground, one request at a time.
  char name[256], place[4096];
  std::snprintf(name, sizeof(name), "%s", program);
  std::snprintf(place, sizeof(place), "%s", mountpoint);
  char foreground[] = "-f", alone[] = "-s";
  char* arguments[] = {name, foreground, alone, place, nullptr};
  return fuse_main(4, arguments, &operations, &served);
}

int run(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: lossy-disk STORE MOUNTPOINT CONTROL\n");
    return 2;
  }
  const int file = ::open(argv[1], O_RDWR | O_CLOEXEC);
  struct stat attributes {};
  if (file < 0 || ::fstat(file, &attributes) != 0) {
    std::fprintf(stderr, "lossy-disk: %s: %s\n", argv[1], std::strerror(errno));
    return 1;
  }
  Disk served(file, static_cast<uint64_t>(attributes.st_size));
  const Control control(served, argv[3]);
  const int status = show(served, argv[0], argv[2]);
  ::close(file);
  return status;
}

}  // namespace
}  // namespace lockstep::lossy

int main(int argc, char** argv) {
  try {
    return lockstep::lossy::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lossy-disk: %s\n", error.what());
    return 1;
  }
}
