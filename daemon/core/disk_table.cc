#include "core/disk_table.h"

namespace lockstep {

namespace {
constexpr uint64_t kSlotBits = 20;
}

void DiskTable::submit(OpKind kind, const Range& range, bool fua, PayloadId payload, Then then) {
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
  slot.then = std::move(then);
  changes_ += slot.change ? 1 : 0;
  ctx_.emit(DiskIo{{slot.id}, kind, range, fua, payload});
}

void DiskTable::done(DiskIoId io, IoStatus status) {
  const uint64_t at = io.value & ((uint64_t{1} << kSlotBits) - 1);
  CHECK(at < slots_.size() && slots_[at].id == io.value);
  Slot& slot = slots_[at];
  Then then = std::move(slot.then);
  changes_ -= slot.change ? 1 : 0;
  slot = {};
  free_.push_back(static_cast<uint32_t>(at));
  then(status);
}

}  // namespace lockstep
