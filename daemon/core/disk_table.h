// The local disk's I/O in flight: what each submission was for. Changes are counted, because adopting a tenure waits until every
// disk write that was begun under an older one is done.
#pragma once

#include <functional>
#include <vector>

#include "core/context.h"
#include "core/event.h"

namespace lockstep {

class DiskTable {
 public:
  using Then = std::function<void(IoStatus)>;
  using Found = std::function<void(IoStatus, BlockMask)>;
  explicit DiskTable(Context& context) : ctx_(context) {}

  void submit(OpKind kind, const Range& range, bool fua, PayloadId payload, Then then);
  // A read that finds something out, or a write with zeroes among its blocks. `io.io` is filled in.
  void submit(DiskIo io, Found found);
  void done(const DiskDone& done);
  // What is under way for longer than so many looks: none of it is waited for any more.
  bool hangs(uint64_t looks) const;
  // Fails all of it. What comes of it later is nobody's business; until then it counts as in flight.
  void abandon();
  size_t changes_in_flight() const { return changes_; }
  size_t in_flight() const { return slots_.size() - free_.size(); }

 private:
  struct Slot {
    uint64_t id = 0;  // 0: free
    bool change = false;
    bool abandoned = false;
    uint64_t born = 0;  // in looks
    Then then;
    Found found;  // instead of `then`
  };
  Slot& take(OpKind kind);

  Context& ctx_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  uint64_t generation_ = 0;
  size_t changes_ = 0;
};

}  // namespace lockstep
