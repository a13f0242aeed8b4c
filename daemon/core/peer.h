// What is known of one seat other than our own: a data node or a witness.
#pragma once

#include <deque>
#include <optional>

#include "base/ids.h"
#include "base/time.h"
#include "core/message.h"
#include "core/reason.h"

namespace lockstep {

struct Peer {
  Seat seat;
  bool link_up = false;
  // Each has heard who the other is, in which run, and found nothing that went back: only now it counts as a voter or a peer.
  bool introduced = false;
  KnownRun run;                // who it is, from its VoterHello
  bool recording_run = false;  // being remembered, durably
  std::deque<Message> early;   // what it said meanwhile
  LinkId link;
  Instant since;                 // link went up or down
  Instant heard = kLongAgo;      // last message from there on this link
  Instant elsewhere = kLongAgo;  // when it last said that it votes in another history
  bool accepts = false;          // on this link it has accepted what this node proposed in its history
  Uuid seen_acceptor;            // last acceptor that answered from there

  // Data nodes only, valid while link_up:
  bool hello_sent = false;
  std::optional<PeerHello> hello;
  Uuid remembers;               // the disk of ours that its copy was levelled with, as it said last; nil: none
  Uuid told;                    // what we said of that
  bool paused = false;          // its operator paused resyncs with this node
  bool told_paused = false;     // what we said of ours
  SeatSet configured;           // the data nodes of its configuration, as it said on this link; empty: it said nothing
  SeatSet told_configured;      // what we said of ours
  Instant compared = kLongAgo;  // when it last asked for a comparison
  bool met = false;             // both hellos exchanged and judged
  Stamp adopted;                // newest tenure that it said it adopted
  bool disk_usable = false;
  bool inconsistent = false;
  bool doubtful = false;
  bool whole = false;  // by its word its disk belongs to the resource, and is not a mixture: no blank one that took a seat over
  bool caretaker = false;       // it says that it holds the tenure only to level the copies
  size_t writes_in_flight = 0;  // disk writes here that came over its links and are not done
  bool replicating = false;     // new writes flow to it and completions wait for it
  Reason refused = Reason::none;

  // Replication messages that wait until this node has adopted a tenure or recorded a state.
  struct Deferred {
    Message message;
    PayloadId payload;
  };
  std::deque<Deferred> deferred;
};

}  // namespace lockstep
