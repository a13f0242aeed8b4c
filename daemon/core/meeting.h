// Two data nodes meet on a new link: each says who it is and what it has, and both come to the same verdict.
#pragma once

#include <string_view>

#include "base/ids.h"
#include "core/message.h"
#include "core/reason.h"

namespace lockstep {

class ReplicaImpl;

// The handshake table: what to do with a peer, from both hellos. Data, so that tests enumerate it and the CLI can print it.
enum class Verdict : uint8_t {
  connect,       // equal tenures, or neither has one
  adopt_theirs,  // they know a later decided tenure, or I have none
  they_adopt_mine,
  refuse,
};
struct Judgement {
  Verdict verdict;
  Reason reason;  // of a refusal
};
Judgement judge(const PeerHello& mine, const PeerHello& theirs);

class Meeting {
 public:
  explicit Meeting(ReplicaImpl& replica) : r_(replica) {}
  // Sends our hello as soon as every disk write of earlier links is done: in-flight writes of an old link must not land on
  // top of what the new one brings.
  void pump();
  void hello(Seat from, const PeerHello& hello);
  void introduced(Seat seat);  // the voter at that end is known

 private:
  PeerHello own_hello(Seat to) const;
  void meet_if_ready(Seat seat);
  void meet(Seat from);
  ReplicaImpl& r_;
};

}  // namespace lockstep
