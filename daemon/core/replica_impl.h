// The parts of a Replica and how they reach each other. Each part is one job in files of its own; this header is the map.
//
//   Meeting      links, hellos, the handshake table           (meeting.cc)
//   Membership   rounds, leases, adopting, role               (membership/)
//   WritePath    client operations: admission to retirement   (write_path/)
//   Feed         peers under protocol A and B                 (following/)
//   Secondary    applying what the Primary sends              (secondary/)
//   ResyncSource, ResyncTarget, ResyncPace                    (resync/)
//   Verifier     comparing the copies                         (verify/)
//   SplitBrain   two histories meet                           (split_brain.cc)
//   Admin        operators' commands                          (admin.cc)
#pragma once

#include <array>
#include <functional>
#include <set>
#include <vector>

#include "core/admin.h"
#include "core/context.h"
#include "core/dirty/dirty_maps.h"
#include "core/dirty/intent_map.h"
#include "core/disk_table.h"
#include "core/following/feed.h"
#include "core/meeting.h"
#include "core/membership/acceptor.h"
#include "core/membership/membership.h"
#include "core/peer.h"
#include "core/record_writer.h"
#include "core/replica.h"
#include "core/resync/pace.h"
#include "core/resync/source.h"
#include "core/resync/target.h"
#include "core/secondary/apply.h"
#include "core/split_brain.h"
#include "core/verify/verifier.h"
#include "core/write_path/write_path.h"

namespace lockstep {

class ReplicaImpl {
 public:
  ReplicaImpl(const CoreConfig& config, Loaded loaded, Instant now);

  void step(Instant now, const Event& event, Effects& out);
  Instant next_deadline() const;
  Snapshot inspect(Instant now) const;

  // --- shared by the parts ---
  Peer& peer(Seat seat) { return peers_[seat.value]; }
  const Peer& peer(Seat seat) const { return peers_[seat.value]; }
  bool another_copy() const;  // good, and in the set
  void go_on_cooling();
  SeatSet data_peers() const { return ctx.config.data_nodes - SeatSet{ctx.config.self}; }
  Seat self() const { return ctx.config.self; }
  void send(Seat to, Message message, PayloadId payload = {});  // dropped when the link is down
  void release(PayloadId payload);
  void close_link(Seat seat, Reason reason, bool stand_alone = false);
  // The peer has met this node with the very disk that this copy was levelled with, and it is good: only then is a seat in the set
  // a copy in the set. A replaced disk does not inherit its seat's membership.
  bool good_copy(Seat seat) const;
  // Blocks in which that copy may differ from this one, as far as this node knows.
  uint64_t blocks_in_doubt(Seat seat) const;
  VolumeCounts blocks_in_doubt(Seat seat, const VolumeShapes& volumes) const;  // of each; looks at a whole map
  // This copy's disk failed on data or metadata.
  void disk_failed(Reason reason);
  // No data is read or written here from now on; what is under way goes on.
  void stop_using_disk();
  // Nor metadata: nothing of it is under way any more. This node's vote is on it, and answers no more.
  void let_go_of_disk();
  bool disk_released() const { return disk_released_; }
  // Nothing of it is being written, given up or not.
  bool metadata_quiet() const { return ctx.metadata.empty() && abandoned_.empty(); }
  void tell_condition();   // of this copy, to every data node that was met
  void tell_remembered();  // which disk of its own was levelled with this copy, to each that does not know
  // This node's memory was shown to be an older state: its disk and its vote are worth nothing, for good.
  void given_up_as_superseded();
  // Replication messages wait: a tenure is being adopted, or a state recorded.
  bool replication_blocked() const { return membership.adopting() || target.recording(); }
  void run_deferred();
  // Nothing more goes to that peer, be it a target or a follower, until a resync begins.
  void stop_copying(Seat seat);
  // A chunk of a resync or of a comparison holds its range now.
  void range_held(OpId op);

  Context ctx;
  bool disk_usable = true;
  RecordWriter records;
  Acceptor acceptor;
  IntentMap intents;
  DirtyMaps dirty;
  DiskTable disk;
  Meeting meeting;
  Membership membership;
  WritePath write_path;
  Feed feed;
  Secondary secondary;
  ResyncPace pace;
  ResyncSource source;
  ResyncTarget target;
  Verifier verifier;
  SplitBrain split_brain;
  Admin admin;

  // What a peer asked, when nothing is in its way any more.
  void replication_message_now(Seat from, const Message& message, PayloadId payload);

 private:
  void replication_message(Seat from, const Message& message, PayloadId payload);
  void dispatch(const Event& event);
  void message_received(const MessageReceived& event);
  void metadata_done(const MetaDone& event);
  void link_up(const LinkUp& event);
  void link_down(Seat seat);
  void tell_paused();
  void look_around();
  void give_up_a_hanging_disk();
  void abandon_metadata();
  void stop_metadata();
  bool now_past(Instant started) const;
  void settle();  // what follows from the new state, until nothing does

  bool disk_released_ = false;
  Instant next_look_ = kLongAgo;
  std::set<MetaToken> abandoned_;  // writes of metadata that were given up, and may still end
  std::array<Peer, kMaxSeats> peers_;
};

}  // namespace lockstep
