// The intent map of one copy: which coarse extents may differ between copies, or be unflushed somewhere.
//
// A bit is durable before the copy's data in that extent is written, and stays until nothing is in flight there and what was
// written is settled (flushed on every member) or covered by durable dirty bits for whoever missed it. Hot extents stay set, so
// that most writes cost no metadata write (the idea of DRBD's activity log and of HAST's keepdirty list).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "base/range.h"
#include "core/context.h"
#include "core/dirty/bit_vector.h"

namespace lockstep {

class IntentMap {
 public:
  // `loaded` is what was found at attach: every set bit is pinned until the copy is levelled or adopts a settled tenure.
  IntentMap(Context& context, BitVector loaded, const std::array<uint64_t, 8>& sequences);

  // Marks the extents of `range` as in use at `position`. True if their bits are durable already; otherwise the caller waits for
  // durable(range), asked again after each page write.
  bool hold(const Range& range, uint64_t position);
  void let_go(const Range& range);
  bool durable(const Range& range) const;
  // How many extents of `range` are not yet set: what hold() would add.
  uint64_t missing(const Range& range) const;

  uint64_t set_count() const { return wanted_.count(); }
  const BitVector& bits() const { return wanted_; }

  // Clears what is settled up to `position`, covered and idle since `idle_before`. With `room` > 0, that many of the least
  // recently used ones go whatever their age. `covered` says whether an extent's dirty bits for absent peers are durable.
  // On a disk that keeps digests an extent is sealed first, and goes the next time, if nothing was written to it meanwhile; a few at a time.
  void cool(uint64_t position, Instant idle_before, uint64_t room, const std::function<bool(uint64_t)>& covered);

  // Everything written so far is settled everywhere (a clean hand-over, a join): extents may be cleared when they idle.
  void settle_all();
  // This copy was levelled and has joined, and the Primary that levelled it says so: what was pinned is as good as the rest. Positions
  // stay: what flowed since the flush that went before the join is settled when the Primary says so.
  void unpin_all();
  // This copy was levelled and follows: as unpin_all(), and what was pinned is settled when that position is.
  void levelled_at(uint64_t position);
  // This copy left its writer: what is set may differ from others until it is levelled.
  void pin_all();
  bool any_pinned() const;
  // Set, and not known to be settled everywhere.
  std::vector<uint64_t> unsettled() const;
  // New Primary: extents set before count as written at `position`.
  void rebase(uint64_t position);
  void pin(const Range& range);
  // Extents that will be written soon, and stay pinned: one page write for many of them, and none that a write waits for. Bit i of
  // `ahead`: the extent i + 1 behind that of `range`.
  void expect(const Range& range, uint64_t ahead);

  void pump();
  // True if the token was ours; then waiting operations should ask durable() again.
  bool done(MetaToken token, bool ok);
  // True if the token was that of a seal. Then cool() should be called again: at once if a write waits for room, else when wants_cooling().
  bool sealed(MetaToken token, bool ok);
  bool wants_cooling() const;
  void stop() { failed_ = true; }
  bool idle() const;

 private:
  struct Extent {
    uint32_t in_flight = 0;
    bool pinned = false;
    uint64_t position = 0;
    Instant touched;
    bool sealed = false;  // its digests are durable, and nothing was written since that was begun
    MetaToken seal;       // under way; none: 0
  };
  struct Page {
    uint64_t sequence = 0;
    bool dirty = false;
    bool writing = false;
    MetaToken token;
    BitPage content{};
  };
  static uint64_t first_of(const Range& range) { return range.offset / kExtentBytes; }
  static uint64_t count_of(const Range& range) {
    return range.empty() ? 0 : (range.end() - 1) / kExtentBytes - first_of(range) + 1;
  }
  bool may_clear(uint64_t i, uint64_t position, const std::function<bool(uint64_t)>& covered) const;
  void clear_or_seal(uint64_t i);
  bool seals_enough() const;

  Context& ctx_;
  BitVector wanted_;   // as the map should be
  BitVector certain_;  // set in every version of a page that a crash now could leave behind
  std::vector<Extent> extents_;
  std::vector<Page> pages_;
  std::map<MetaToken, uint64_t> seals_;  // under way: of which extent
  uint64_t next_to_cool_ = 0;            // where the last look stopped
  bool failed_ = false;
};

}  // namespace lockstep
