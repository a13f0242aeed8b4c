// Clients' requests on their way to the core and back: cut where the core would not take one as a whole, waiting where it takes no more at once.
//
// A client whose connection is gone may have sent the same request again on another one, and have it answered, and have written something
// newer since. What was left of the first one must not run after that. In the core, requests that overlap keep the order in which they came, and
// first pieces are handed to it in that order; no further piece of a request is begun once the owner says that it may be old.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>

#include "base/buffer.h"
#include "core/event.h"
#include "nbd/request.h"
#include "shell/resource/client_history.h"
#include "shell/resource/settings.h"

namespace lockstep {

class ClientRequests {
 public:
  using Sequence = ClientSequence;
  struct Owner {
    std::function<void(const ClientRequest&, BufferRef payload)> submit;  // to the core; the answer comes by replied()
    std::function<void(Sequence connection, nbd::SlotId slot, int error_number, BufferRef data)> answer;
    // Whether the rest of a change, in that range and of a request that came then, may be old.
    std::function<bool(Sequence connection, Sequence since, const Range& range)> may_be_old;
  };
  ClientRequests(const ResourceSettings& settings, Owner owner) : settings_(settings), owner_(std::move(owner)) {}

  Sequence next() { return ++last_; }
  Sequence last() const { return last_; }
  // One that a session has let through, of the export that begins at `base` of the resource's addresses. Not a BLOCK_STATUS.
  void take(Sequence connection, uint64_t base, nbd::Request request);
  void replied(ClientIo io, IoStatus status, BufferRef data);
  // The connection is no more: what of its requests the core has not seen is dropped. What it has takes its course, the answer goes nowhere.
  void forget(Sequence connection);
  void clear() { queue_.clear(); }

 private:
  // The core takes it in pieces; what is zeroed or trimmed may be as long as the volume, and is cut as they are taken.
  struct Pending {
    Sequence connection = 0;
    nbd::SlotId slot;
    OpKind kind = OpKind::read;
    bool fua = false;
    Range left;          // to be cut; with `cut` false also an empty one is a piece
    bool begun = false;  // there was a piece
    bool cut = false;    // all of it
    bool queued = true;
    uint32_t pieces = 0;  // in the core
    IoStatus status = IoStatus::ok;
    BufferRef payload;
  };
  void hand_on();
  void hand_on_a_piece(Sequence request, Pending& pending);
  bool may_be_old(Sequence request, const Pending& pending) const;
  void queue_again(Sequence request, Pending& pending);
  void finish(Sequence request, BufferRef data);

  const ResourceSettings& settings_;
  Owner owner_;
  std::map<Sequence, Pending> pending_;
  std::map<uint64_t, Sequence> owners_;  // ClientIo -> request
  std::deque<Sequence> queue_;           // of which there is something to hand on, in turns; some may be over
  Sequence last_ = 0;
  size_t in_core_ = 0;
};

// Neither reads nor flushes.
bool changes(nbd::RequestType type);
int error_number(IoStatus status);

}  // namespace lockstep
