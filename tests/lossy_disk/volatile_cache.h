// What a disk holds that it has acknowledged and not yet made durable. When power is lost, each sector shows what was durable or any
// version that was written since: whole disks reorder, and blocks tear at sectors.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace lockstep::lossy {

constexpr size_t kSector = 512;
constexpr size_t kMostVersions = 32768;  // of sectors, not yet durable: then all is written back

// The durable part: a file. It throws std::system_error where the file can't be read or written.
class Store {
 public:
  explicit Store(int file) : file_(file) {}  // the caller's, and stays open
  void read(uint64_t offset, size_t length, std::byte* into) const;
  void write(uint64_t offset, size_t length, const std::byte* from);
  void zero(uint64_t offset, size_t length);  // a hole

 private:
  int file_;
};

// What became of the writes that were not flushed.
struct Loss {
  const char* manner = "";
  size_t writes = 0;
  size_t sectors = 0;
  size_t kept = 0;  // sectors that show something newer than what was durable
};

// Offsets and lengths are multiples of a sector.
class VolatileCache {
 public:
  explicit VolatileCache(Store& store) : store_(store) {}
  void read(uint64_t offset, size_t length, std::byte* into) const;
  void write(uint64_t offset, size_t length, const std::byte* from);
  // FUA: durable at once, alone.
  void write_through(uint64_t offset, size_t length, const std::byte* from);
  void zero(uint64_t offset, size_t length);
  void flush();
  // Without a cache all is durable at once.
  void enable(bool on);
  // Power is lost. The seed draws one of: nothing stays; all stays; a prefix of the writes; some of the writes; any version of each sector.
  Loss crash(uint64_t seed);

  size_t unflushed_writes() const { return next_write_; }

 private:
  using Sector = std::array<std::byte, kSector>;
  struct Version {
    size_t write;  // counted since the last flush
    Sector data;
  };
  void put(uint64_t offset, const std::byte* from);
  void forget();

  Store& store_;
  std::map<uint64_t, std::vector<Version>> sectors_;  // by offset; versions from the oldest to the newest
  bool enabled_ = true;
  size_t next_write_ = 0;
  size_t versions_ = 0;
};

}  // namespace lockstep::lossy
