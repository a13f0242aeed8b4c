#include "shell/loop/disk_io.h"

namespace lockstep {

BlockIo& DiskIoSlab::take() {
  if (free_ == nullptr) return all_.emplace_back();
  BlockIo& io = *free_;
  free_ = io.next;
  io.next = nullptr;
  return io;
}

void DiskIoSlab::give_back(BlockIo& io) {
  io.done = nullptr;
  io.device = nullptr;
  io.next = free_;
  free_ = &io;
}

void DiskIoQueue::push_back(BlockIo& io) {
  io.next = nullptr;
  (first_ == nullptr ? first_ : last_->next) = &io;
  last_ = &io;
}

void DiskIoQueue::pop_front() {
  BlockIo* io = first_;
  first_ = io->next;
  io->next = nullptr;
}

}  // namespace lockstep
