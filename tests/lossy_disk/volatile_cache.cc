#include "lossy_disk/volatile_cache.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>
#include <system_error>

namespace lockstep::lossy {

void Store::read(uint64_t offset, size_t length, std::byte* into) const {
  for (size_t done = 0; done < length;) {
    const ssize_t n = ::pread(file_, into + done, length - done, static_cast<off_t>(offset + done));
    if (n <= 0) throw std::system_error(n < 0 ? errno : EIO, std::generic_category(), "reading the store");
    done += static_cast<size_t>(n);
  }
}

void Store::write(uint64_t offset, size_t length, const std::byte* from) {
  for (size_t done = 0; done < length;) {
    const ssize_t n = ::pwrite(file_, from + done, length - done, static_cast<off_t>(offset + done));
    if (n <= 0) throw std::system_error(n < 0 ? errno : EIO, std::generic_category(), "writing the store");
    done += static_cast<size_t>(n);
  }
}

void Store::zero(uint64_t offset, size_t length) {
  const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  if (::fallocate(file_, mode, static_cast<off_t>(offset), static_cast<off_t>(length)) != 0)
    throw std::system_error(errno, std::generic_category(), "punching a hole into the store");
}

void VolatileCache::enable(bool on) {
  flush();
  enabled_ = on;
}

void VolatileCache::read(uint64_t offset, size_t length, std::byte* into) const {
  store_.read(offset, length, into);
  for (auto at = sectors_.lower_bound(offset); at != sectors_.end() && at->first < offset + length; ++at)
    std::memcpy(into + (at->first - offset), at->second.back().data.data(), kSector);
}

void VolatileCache::put(uint64_t offset, const std::byte* from) {
  if (versions_ == kMostVersions) flush();
  ++versions_;
  Version& version = sectors_[offset].emplace_back();
  version.write = next_write_;
  if (from == nullptr) {
    version.data.fill(std::byte{0});
  } else {
    std::memcpy(version.data.data(), from, kSector);
  }
}

void VolatileCache::write(uint64_t offset, size_t length, const std::byte* from) {
  if (!enabled_) return store_.write(offset, length, from);
  for (size_t at = 0; at < length; at += kSector) put(offset + at, from + at);
  ++next_write_;
}

void VolatileCache::write_through(uint64_t offset, size_t length, const std::byte* from) {
  store_.write(offset, length, from);
  const auto first = sectors_.lower_bound(offset), end = sectors_.lower_bound(offset + length);
  for (auto at = first; at != end; ++at) versions_ -= at->second.size();
  sectors_.erase(first, end);
}

void VolatileCache::zero(uint64_t offset, size_t length) {
  if (!enabled_) return store_.zero(offset, length);
  for (size_t at = 0; at < length; at += kSector) put(offset + at, nullptr);
  ++next_write_;
}

void VolatileCache::flush() {
  for (const auto& [offset, versions] : sectors_) store_.write(offset, kSector, versions.back().data.data());
  forget();
}

void VolatileCache::forget() {
  sectors_.clear();
  next_write_ = versions_ = 0;
}

Loss VolatileCache::crash(uint64_t seed) {
  std::mt19937_64 dice(seed);
  const char* const manners[] = {"nothing stays", "all stays", "a prefix of the writes stays", "some writes stay",
                                 "sectors at random"};
  const size_t manner = dice() % std::size(manners);
  Loss loss{manners[manner], next_write_, sectors_.size(), 0};

  const size_t prefix = dice() % (next_write_ + 1);
  std::vector<bool> stays(next_write_);
  for (size_t w = 0; w < next_write_; ++w)
    stays[w] = manner == 1 || (manner == 2 && w < prefix) || (manner == 3 && dice() % 2 == 0);

  for (const auto& [offset, versions] : sectors_) {
    const Version* shown = nullptr;
    if (manner == 4) {
      const size_t pick = dice() % (versions.size() + 1);
      if (pick > 0) shown = &versions[pick - 1];
    } else {
      const auto newest = std::find_if(versions.rbegin(), versions.rend(), [&](const Version& v) { return stays[v.write]; });
      if (newest != versions.rend()) shown = &*newest;
    }
    if (shown == nullptr) continue;
    store_.write(offset, kSector, shown->data.data());
    ++loss.kept;
  }
  forget();
  return loss;
}

}  // namespace lockstep::lossy
