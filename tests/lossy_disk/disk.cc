#include "lossy_disk/disk.h"

#include <cerrno>
#include <sstream>
#include <system_error>

namespace lockstep::lossy {

uint64_t Disk::epoch() const {
  const std::lock_guard lock(mutex_);
  return epoch_;
}

template <typename Action>
int Disk::answer(uint64_t epoch, Kind kind, uint64_t offset, size_t length, Action action) {
  const std::lock_guard lock(mutex_);
  if (epoch != epoch_) return -EIO;
  if (offset > size_ || length > size_ - offset || offset % kSector != 0 || length % kSector != 0) return -EINVAL;
  if (troubles_.strikes(kind, offset, length)) return -EIO;
  ++(kind == Kind::read ? reads_ : kind == Kind::write ? writes_ : flushes_);
  try {
    action();
  } catch (const std::system_error& error) {
    return -error.code().value();
  }
  return 0;
}

int Disk::read(uint64_t epoch, uint64_t offset, size_t length, std::byte* into) {
  return answer(epoch, Kind::read, offset, length, [&] { cache_.read(offset, length, into); });
}

int Disk::write(uint64_t epoch, uint64_t offset, size_t length, const std::byte* from, bool fua) {
  return answer(epoch, Kind::write, offset, length,
                [&] { fua ? cache_.write_through(offset, length, from) : cache_.write(offset, length, from); });
}

int Disk::zero(uint64_t epoch, uint64_t offset, size_t length) {
  return answer(epoch, Kind::write, offset, length, [&] { cache_.zero(offset, length); });
}

int Disk::flush(uint64_t epoch) {
  return answer(epoch, Kind::flush, 0, 0, [&] { cache_.flush(); });
}

std::string Disk::crash(uint64_t seed) {
  ++epoch_;
  const Loss loss = cache_.crash(seed);
  std::ostringstream said;
  said << loss.kept << " of " << loss.sectors << " sectors of " << loss.writes << " writes: " << loss.manner;
  return said.str();
}

namespace {

unsigned kinds_of(const std::string& letters) {
  unsigned kinds = 0;
  for (const char letter : letters) {
    const auto kind = letter == 'r' ? Kind::read : letter == 'w' ? Kind::write : Kind::flush;
    kinds |= static_cast<unsigned>(kind);
  }
  return kinds;
}

}  // namespace

std::string Disk::command(const std::string& line) {
  const std::lock_guard lock(mutex_);
  std::istringstream words(line);
  std::string what, kinds;
  words >> what;
  try {
    if (uint64_t seed = 0; what == "crash" && words >> seed) return crash(seed);
    if (std::string how; what == "cache" && words >> how) {
      cache_.enable(how != "off");
      return "cache " + how;
    }
    if (Trouble trouble; what == "fail" && words >> trouble.first >> trouble.count >> kinds >> trouble.from >> trouble.to) {
      trouble.kinds = kinds_of(kinds);
      troubles_.set(trouble);
      return "will fail";
    }
  } catch (const std::system_error& error) {
    return std::string("error: ") + error.what();
  }
  std::ostringstream said;
  said << "matched " << troubles_.matched() << " failed " << troubles_.failed() << " reads " << reads_ << " writes " << writes_
       << " flushes " << flushes_ << " unflushed " << cache_.unflushed_writes();
  if (what == "well") troubles_.set({});
  return what == "well" || what == "counts" ? said.str() : "error: no such command";
}

}  // namespace lockstep::lossy
