// Since when what a connection asks for now may have been waiting: what lies in its socket, or in its session, was there before other
// connections' changes that were made meanwhile (docs/nbd.md, "Old writes").
//
// Nobody notes when bytes arrive. But what is in the socket at a moment can be counted then, and what comes after so many bytes has arrived later.
#pragma once

#include <cstdint>

#include "shell/resource/client_history.h"

namespace lockstep {

class ClientBacklog {
 public:
  bool any() const { return since_ != 0; }
  ClientSequence since() const { return since_; }

  // At the end of reading for now. `turn`: when it began; nothing was left unread before that, if any() was false. `judged` of all the bytes
  // that have ever arrived are behind; so many are in the session or the socket and are not.
  void looked(ClientSequence turn, ClientSequence now, uint64_t judged, uint64_t waiting) {
    if (waiting == 0) {
      since_ = 0;
      mark_ = {};
      return;
    }
    if (since_ == 0) since_ = turn;
    if (mark_.at != 0 && judged < mark_.behind) return;
    if (mark_.at != 0) since_ = mark_.at;
    mark_ = {now, judged + waiting};
  }

 private:
  struct Mark {
    ClientSequence at = 0;
    uint64_t behind = 0;  // so many bytes is what had arrived by then
  };
  ClientSequence since_ = 0;
  Mark mark_;
};

}  // namespace lockstep
