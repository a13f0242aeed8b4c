#include "core/disk_table.h"

#include <algorithm>
#include <utility>

namespace lockstep {

namespace {
constexpr uint64_t kSlotBits = 20;
}

DiskTable::Slot& DiskTable::take(OpKind kind) {
  if (free_.empty()) {
    CHECK(slots_.size() < (uint64_t{1} << kSlotBits));
    free_.push_back(static_cast<uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const uint32_t at = free_.back();
  free_.pop_back();
  Slot& slot = slots_[at];
  slot.id = (++generation_ << kSlotBits) | at;
  slot.change = is_change(kind);
  slot.born = ctx_.looks;
  changes_ += slot.change ? 1 : 0;
  return slot;
}

void DiskTable::submit(OpKind kind, const Range& range, bool fua, PayloadId payload, Then then) {
  Slot& slot = take(kind);
  slot.then = std::move(then);
  ctx_.emit(DiskIo{{slot.id}, kind, range, fua, payload, Look::nothing, 0});
}

void DiskTable::submit(DiskIo io, Found found) {
  Slot& slot = take(io.kind);
  slot.found = std::move(found);
  io.io = {slot.id};
  ctx_.emit(io);
}

void DiskTable::done(const DiskDone& done) {
  const uint64_t at = done.io.value & ((uint64_t{1} << kSlotBits) - 1);
  CHECK(at < slots_.size() && slots_[at].id == done.io.value);
  Slot& slot = slots_[at];
  const bool abandoned = slot.abandoned;
  const Then then = std::move(slot.then);
  const Found found = std::move(slot.found);
  changes_ -= slot.change ? 1 : 0;
  slot = {};
  free_.push_back(static_cast<uint32_t>(at));
  if (abandoned) return;
  if (then) return then(done.status);
  found(done.status, done.blocks);
}

bool DiskTable::hangs(uint64_t looks) const {
  return std::any_of(slots_.begin(), slots_.end(),
                     [&](const Slot& slot) { return slot.id != 0 && !slot.abandoned && ctx_.looks - slot.born > looks; });
}

void DiskTable::abandon() {
  std::vector<std::pair<Then, Found>> waiting;
  for (Slot& slot : slots_) {
    if (slot.id == 0 || slot.abandoned) continue;
    slot.abandoned = true;
    changes_ -= std::exchange(slot.change, false) ? 1 : 0;
    waiting.emplace_back(std::move(slot.then), std::move(slot.found));
    slot.then = nullptr;
    slot.found = nullptr;
  }
  for (const auto& [then, found] : waiting) {
    if (then) {
      then(IoStatus::io_error);
    } else {
      found(IoStatus::io_error, 0);
    }
  }
}

}  // namespace lockstep
