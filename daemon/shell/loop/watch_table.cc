#include "shell/loop/watch_table.h"

#include "base/check.h"

namespace lockstep {

uint32_t WatchTable::add(int fd, uint32_t events, FdHandler& handler) {
  CHECK(fd >= 0);
  const auto place = static_cast<size_t>(fd);
  if (place >= by_fd_.size()) by_fd_.resize(place + 1, -1);
  CHECK(by_fd_[place] < 0);
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(watches_.size()));
    watches_.emplace_back();
  }
  const uint32_t index = free_.back();
  free_.pop_back();
  Watch& watch = watches_[index];
  watch.fd = fd;
  watch.events = events;
  watch.handler = &handler;
  watch.armed = false;
  ++watch.generation;
  by_fd_[place] = static_cast<int32_t>(index);
  return index;
}

uint32_t WatchTable::index_of(int fd) const {
  CHECK(fd >= 0 && static_cast<size_t>(fd) < by_fd_.size());
  const int32_t index = by_fd_[static_cast<size_t>(fd)];
  CHECK(index >= 0);
  return static_cast<uint32_t>(index);
}

void WatchTable::remove(uint32_t index) {
  Watch& watch = watches_[index];
  by_fd_[static_cast<size_t>(watch.fd)] = -1;
  watch.fd = -1;
  watch.handler = nullptr;
  ++watch.generation;
  free_.push_back(index);
}

uint64_t WatchTable::key(uint32_t index) const { return (static_cast<uint64_t>(watches_[index].generation) << 32) | index; }

Watch* WatchTable::find(uint64_t key) {
  const uint32_t index = index_in(key);
  CHECK(index < watches_.size());
  Watch& watch = watches_[index];
  return watch.fd >= 0 && watch.generation == static_cast<uint32_t>(key >> 32) ? &watch : nullptr;
}

}  // namespace lockstep
