// The requests of one connection that the owner has been given and has not completed. A fixed table with a
// free list: no allocation for a request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/check.h"
#include "nbd/transmission.h"

namespace lockstep::nbd {

class InFlight {
 public:
  explicit InFlight(size_t capacity) : slots_(capacity) {
    free_.reserve(capacity);
    for (size_t i = capacity; i > 0; --i) free_.push_back({static_cast<uint32_t>(i - 1)});
  }

  SlotId add(const RequestHeader& header) {
    CHECK(!free_.empty());
    const SlotId id = free_.back();
    free_.pop_back();
    slots_[id.value] = {header, State::waiting};
    ++waiting_;
    return id;
  }

  struct Removed {
    RequestHeader header;
    bool orphaned;
  };
  // To complete a request twice, or one that never was, is a bug of the owner: the client would see a reply
  // to another one.
  Removed remove(SlotId id) {
    CHECK(id.value < slots_.size());
    Slot& slot = slots_[id.value];
    CHECK(slot.state != State::free);
    const bool orphaned = slot.state == State::orphaned;
    if (!orphaned) --waiting_;
    slot.state = State::free;
    free_.push_back(id);
    return {slot.header, orphaned};
  }

  // Nobody waits for their answers any more. `visit(header)` is called for each that had not been orphaned
  // before.
  template <class Visit>
  void orphan_all(Visit visit) {
    for (Slot& slot : slots_) {
      if (slot.state != State::waiting) continue;
      slot.state = State::orphaned;
      visit(slot.header);
    }
    waiting_ = 0;
  }

  size_t waiting() const { return waiting_; }                          // a client waits for their answers
  size_t outstanding() const { return slots_.size() - free_.size(); }  // orphans included

 private:
  enum class State : uint8_t { free, waiting, orphaned };
  struct Slot {
    RequestHeader header;
    State state = State::free;
  };
  std::vector<Slot> slots_;
  std::vector<SlotId> free_;
  size_t waiting_ = 0;
};

}  // namespace lockstep::nbd
