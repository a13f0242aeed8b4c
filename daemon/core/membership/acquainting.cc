// Who is at the other end of a new link, and in which run: nothing that comes over it counts before that is known, and remembered.
// A memory that was set back is shut out by whoever met its later runs, and told so; it then never votes again (acquaintance.h).
#include "core/membership/acquaintance.h"
#include "core/replica_impl.h"

namespace lockstep {

namespace {
constexpr size_t kMaxEarly = 64;  // register messages while a run is being remembered; they may be lost, their senders ask again
}

void Membership::greet(Seat seat) {
  forget_word_of(seat);
  r_.send(seat, VoterHello{r_.ctx.record.acceptor.acceptor, r_.ctx.record.boot, r_.ctx.record.memory.lineage});
}

void Membership::voter_hello(Seat from, const VoterHello& hello) {
  Peer& peer = r_.peer(from);
  if (peer.introduced || peer.recording_run || hello.acceptor.is_nil()) return r_.close_link(from, Reason::protocol_violation);
  NodeRecord& record = r_.ctx.record;
  const KnownRun known = remembered(record.memory, from, hello.acceptor);
  const Kinship kin = kinship(known, hello.acceptor, hello.lineage);
  switch (kin) {
    case Kinship::superseded:
      // It ends the link itself, when it has heard why.
      peer.refused = Reason::peer_older_state;
      r_.send(from, Superseded{known});
      return r_.ctx.note(Notice::peer_refused, from, static_cast<uint64_t>(peer.refused));
    case Kinship::stranger:
    case Kinship::later_run:
    case Kinship::same_run:
      break;
  }
  known_boot(from, hello.boot);  // evidence about an earlier boot is void from here on
  peer.run = latest_run(hello.acceptor, hello.lineage);
  // A link that broke while the run was being recorded: it may not be durable yet.
  if (kin == Kinship::same_run && r_.records.idle()) return introduce(from);
  remember(record.memory, from, peer.run, {&record.adopted, &record.acceptor.tenure});
  peer.recording_run = true;
  r_.records.changed([this, from, link = peer.link] {
    if (r_.peer(from).link_up && r_.peer(from).link == link) introduce(from);
  });
}

// A node whose metadata failed remembers nothing any more, and votes no more; it may still be Primary on its peer's disk.
void Membership::introduce_unrecorded() {
  if (!r_.records.failed()) return;
  for (Seat seat : r_.data_peers() | r_.ctx.config.witnesses) {
    if (r_.peer(seat).recording_run && !r_.peer(seat).introduced) introduce(seat);
  }
}

void Membership::introduce(Seat seat) {
  Peer& peer = r_.peer(seat);
  peer.introduced = true;
  peer.recording_run = false;
  if (seat.is_witness()) {
    peer.refused = Reason::none;
    r_.ctx.note(Notice::voter_back, seat);
  }
  peer.seen_acceptor = peer.run.acceptor;
  link_changed(seat);
  std::deque<Message> early;
  early.swap(peer.early);
  for (const Message& message : early) register_message(seat, message);
  r_.meeting.introduced(seat);
}

bool Membership::counts(Seat from, const Message& message) {
  Peer& peer = r_.peer(from);
  if (peer.introduced) return true;
  if (peer.recording_run && peer.early.size() < kMaxEarly) peer.early.push_back(message);
  return false;
}

// Whoever says so proves it by what it remembers; a claim that proves nothing is a mistake.
void Membership::superseded(Seat from, const Superseded& notice) {
  const NodeRecord& record = r_.ctx.record;
  if (!shows_superseded(notice.known, record.acceptor.acceptor, record.memory.lineage))
    return r_.close_link(from, Reason::protocol_violation);
  r_.ctx.note(Notice::superseded, from);
  if (holds_tenure()) depose(from);
  r_.given_up_as_superseded();
}

}  // namespace lockstep
