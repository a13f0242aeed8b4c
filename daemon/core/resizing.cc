// resize and shrink: the volume gets another end (docs/adr/0016-growing-a-volume.md).
#include <algorithm>

#include "core/admin.h"
#include "core/replica_impl.h"
#include "core/volumes.h"

namespace lockstep {

// Of the smallest data area; zero while some copy is not connected: one that is behind would be shut out.
uint64_t Admin::room_everywhere() const {
  uint64_t room = r_.ctx.record.size_bytes;
  for (Seat seat : r_.data_peers()) {
    if (!r_.peer(seat).met) return 0;
    room = std::min(room, r_.peer(seat).hello->size_bytes);
  }
  return room;
}

// To what size; none is refused. All copies have to have room for it, and to be current.
Reason Admin::choose_size(uint64_t volume) {
  if (!r_.disk_usable) return Reason::no_disk;
  if (r_.membership.adopted()->volumes.size() > 1) return Reason::several_volumes;
  const uint64_t room = room_everywhere();
  if (room == 0 || !r_.membership.all_current()) return Reason::not_all_current;
  uint64_t wanted = current_->range.length;
  if (wanted == 0 && running(AdminOp::resize)) wanted = std::max(room, volume);
  wanted -= wanted % kBlockBytes;
  if (running(AdminOp::resize) && wanted < volume) return Reason::would_shrink;
  if (running(AdminOp::resize) && wanted > room) return Reason::disks_too_small;
  if (running(AdminOp::shrink)) {
    if (wanted > volume || wanted == 0) return Reason::would_grow;
    for (Seat seat : r_.data_peers()) {
      if (r_.verifier.active(seat) || r_.verifier.repairing(seat)) return Reason::verify_active;
    }
  }
  resizing_to_ = wanted;
  return Reason::none;
}

// A tenure says the new size. Where it is larger, it also says that this copy alone is current: what is new may differ elsewhere, and is copied
// as anything else that a copy lacks (Membership::desired, size_marked).
void Admin::pump_resize() {
  if (!r_.membership.serves_clients()) return finish(false, Reason::not_primary);
  // An image of the disks is being taken: what grows would be copied into it.
  if (r_.write_path.suspended()) return finish(false, Reason::io_suspended);
  const uint64_t volume = span_of(*r_.membership.adopted());
  if (resizing_to_ == 0) {
    const Reason refused = choose_size(volume);
    if (refused != Reason::none) return finish(false, refused);
  }
  if (running(AdminOp::shrink) ? volume <= resizing_to_ : volume >= resizing_to_) return finish(true);
  if (!r_.disk_usable) return finish(false, Reason::no_disk);
  if (!r_.membership.all_current() && !r_.membership.changing()) return finish(false, Reason::not_all_current);
  if (r_.ctx.now < deadline_) return;
  if (r_.membership.size_undecided()) return finish(false, Reason::resize_undecided);
  finish(false, r_.membership.serving() ? Reason::timed_out : Reason::no_quorum);
}

}  // namespace lockstep
