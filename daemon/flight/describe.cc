#include "flight/describe.h"

#include <fmt/format.h>

namespace lockstep {
namespace {

std::string holder(const Holder& h) { return fmt::format("{}/{}/s{}", describe(h.node), describe(h.boot), h.start); }
std::string ballot(const Ballot& b) { return b.none() ? "-" : fmt::format("{}.{}.{}", b.counter, describe(b.node), b.start); }
std::string stamp(const Stamp& s) { return fmt::format("{}#{}", describe(s.history), s.number); }
std::string who(const VoterIdentity& w) { return fmt::format("acc {} boot {}", describe(w.acceptor), describe(w.boot)); }
std::string maybe(const std::optional<Tenure>& tenure) { return tenure ? describe(*tenure) : "none"; }
double ms(Duration d) { return static_cast<double>(d.ns) / 1e6; }

struct MessageText {
  std::string operator()(const Prepare& m) const {
    return fmt::format("Prepare {} by {} vs{}{}", ballot(m.ballot), holder(m.candidate), m.voter_set, m.moves ? " moves" : "");
  }
  std::string operator()(const Promise& m) const {
    return fmt::format("Promise {} {} accepted {} {}", ballot(m.ballot), who(m.who), ballot(m.accepted), maybe(m.tenure));
  }
  std::string operator()(const Accept& m) const {
    return fmt::format("Accept {} by {} {}{}", ballot(m.ballot), holder(m.candidate), describe(m.tenure),
                       m.moves ? " moves" : "");
  }
  std::string operator()(const Accepted& m) const { return fmt::format("Accepted {} {}", ballot(m.ballot), who(m.who)); }
  std::string operator()(const VoteRefused& m) const {
    return fmt::format("VoteRefused {} {} {} promised {} wait {}ms holder {} {}", ballot(m.ballot), name_of(m.why), who(m.who),
                       ballot(m.promised), ms(m.wait), describe(m.holder), maybe(m.tenure));
  }
  std::string operator()(const LeaseRequest& m) const {
    return fmt::format("LeaseRequest {} by {} {} origin {} for {}ms", m.sequence, holder(m.holder), stamp(m.tenure),
                       ballot(m.origin), ms(m.length));
  }
  std::string operator()(const LeaseGranted& m) const { return fmt::format("LeaseGranted {} {}", m.sequence, who(m.who)); }
  std::string operator()(const LeaseRefused& m) const {
    return fmt::format("LeaseRefused {} {} {} promised {} wait {}ms", m.sequence, name_of(m.why), who(m.who), ballot(m.promised),
                       ms(m.wait));
  }
  std::string operator()(const LeaseReleased& m) const { return "LeaseReleased by " + holder(m.holder); }
  std::string operator()(const BootEnded& m) const { return fmt::format("BootEnded {} {}", describe(m.node), describe(m.boot)); }
  std::string operator()(const AcceptanceCounted& m) const {
    return fmt::format("AcceptanceCounted {} boot {}", ballot(m.ballot), describe(m.boot));
  }
  std::string operator()(const PeerHello& m) const {
    return fmt::format("PeerHello {} boot {} start {} acc {} disk {} remembers {} size {} {}{} dirty {} tenure {}{}",
                       describe(m.node), describe(m.boot), m.start, describe(m.acceptor), describe(m.disk),
                       describe(m.remembered_disk), m.size_bytes, m.disk_usable ? "usable" : "unusable",
                       m.inconsistent ? " inconsistent" : "", m.dirty_blocks, maybe(m.tenure),
                       m.given_up.is_nil() ? "" : " gave up " + describe(m.given_up));
  }
  std::string operator()(const TenureDecided& m) const { return "TenureDecided " + describe(m.tenure); }
  std::string operator()(const TenureAdopted& m) const { return "TenureAdopted " + stamp(m.stamp); }
  std::string operator()(const DiskCondition& m) const {
    return fmt::format("DiskCondition usable {} inconsistent {}", m.usable, m.inconsistent);
  }
  std::string operator()(const WriteRequest& m) const {
    return fmt::format("WriteRequest {} op {} pos {} {} {}{}", stamp(m.stamp), m.op.value, m.position, name_of(m.kind),
                       describe(m.range), m.fua ? " fua" : "");
  }
  std::string operator()(const WriteReply& m) const {
    return fmt::format("WriteReply {} op {} {}", stamp(m.stamp), m.op.value, name_of(m.status));
  }
  std::string operator()(const FlushRequest& m) const { return fmt::format("FlushRequest {} op {}", stamp(m.stamp), m.op.value); }
  std::string operator()(const FlushReply& m) const {
    return fmt::format("FlushReply {} op {} {}", stamp(m.stamp), m.op.value, name_of(m.status));
  }
  std::string operator()(const ReadRequest& m) const {
    return fmt::format("ReadRequest {} op {} {}", stamp(m.stamp), m.op.value, describe(m.range));
  }
  std::string operator()(const ReadReply& m) const {
    return fmt::format("ReadReply {} op {} {} {}", stamp(m.stamp), m.op.value, describe(m.range), name_of(m.status));
  }
  std::string operator()(const Settled& m) const { return fmt::format("Settled {} pos {}", stamp(m.stamp), m.position); }
  std::string operator()(const ResyncBegin& m) const {
    return fmt::format("ResyncBegin {}{}", stamp(m.stamp), m.full ? " full" : "");
  }
  std::string operator()(const ResyncMap& m) const {
    std::string text = fmt::format("ResyncMap {}{}", stamp(m.stamp), m.last ? " last" : "");
    for (const BlockRun& run : m.runs) text += fmt::format(" {}+{}", run.first, run.count);
    return text;
  }
  std::string operator()(const ResyncWrite& m) const {
    return fmt::format("ResyncWrite {} op {} {} {}{}{}", stamp(m.stamp), m.op.value, name_of(m.kind), describe(m.range),
                       m.zeroes != 0 ? fmt::format(" zeroes {:#x}", m.zeroes) : "",
                       m.ahead != 0 ? fmt::format(" ahead {:#x}", m.ahead) : "");
  }
  std::string operator()(const JoinPrepare& m) const { return fmt::format("JoinPrepare {} op {}", stamp(m.stamp), m.op.value); }
  std::string operator()(const JoinReady& m) const {
    return fmt::format("JoinReady {} op {} {}", stamp(m.stamp), m.op.value, name_of(m.status));
  }
  std::string operator()(const DropMe& m) const { return "DropMe " + stamp(m.stamp); }
  std::string operator()(const VoterHello& m) const {
    return fmt::format("VoterHello acc {} start {} token {:x}", describe(m.acceptor), m.lineage.start, m.lineage.tokens[0]);
  }
  std::string operator()(const Caretaking& m) const { return fmt::format("Caretaking {} {}", stamp(m.stamp), m.on); }
  std::string operator()(const Differences& m) const {
    return fmt::format("Differences {}{}", m.runs.size(), m.last ? " last" : "");
  }
  std::string operator()(const ResyncDeclined& m) const { return "ResyncDeclined " + stamp(m.stamp); }
  std::string operator()(const DiskRemembered& m) const { return "DiskRemembered " + describe(m.disk); }
  std::string operator()(const CompareRequest& m) const {
    return fmt::format("CompareRequest {} op {} {}", stamp(m.stamp), m.op.value, describe(m.range));
  }
  std::string operator()(const CompareReply& m) const {
    return fmt::format("CompareReply {} op {} {} differing {:#x}", stamp(m.stamp), m.op.value, name_of(m.status), m.differing);
  }
  std::string operator()(const ResyncPaused& m) const { return fmt::format("ResyncPaused {}", m.on); }
  std::string operator()(const NodesConfigured& m) const { return fmt::format("NodesConfigured {}", describe(m.data_nodes)); }
  std::string operator()(const FollowerWrite& m) const {
    return fmt::format("FollowerWrite {} pos {} previous {} after {} {} {}{}", stamp(m.stamp), m.position, m.previous, m.after,
                       name_of(m.kind), describe(m.range), m.receipt ? " receipt" : "");
  }
  std::string operator()(const WriteReceived& m) const { return fmt::format("WriteReceived op {}", m.op.value); }
  std::string operator()(const FollowerFlush& m) const {
    return fmt::format("FollowerFlush {} op {} pos {}", stamp(m.stamp), m.op.value, m.position);
  }
  std::string operator()(const Following& m) const {
    return fmt::format("Following {} {} pos {}", stamp(m.stamp), m.on, m.position);
  }
  std::string operator()(const YieldRequest& m) const { return "YieldRequest " + stamp(m.stamp); }
  std::string operator()(const Superseded& m) const {
    return fmt::format("Superseded acc {} start {} token {:x}", describe(m.known.acceptor), m.known.start, m.known.token);
  }
};

struct EventText {
  std::string operator()(const ClientRequest& e) const {
    return fmt::format("ClientRequest io {} {} {}{} payload {}", e.io.value, name_of(e.kind), describe(e.range),
                       e.fua ? " fua" : "", e.payload.value);
  }
  std::string operator()(const DiskDone& e) const {
    return fmt::format("DiskDone {} {}{}", e.io.value, name_of(e.status),
                       e.blocks != 0 ? fmt::format(" blocks {:#x}", e.blocks) : "");
  }
  std::string operator()(const MetaDone& e) const { return fmt::format("MetaDone {} {}", e.token.value, e.ok ? "ok" : "FAILED"); }
  std::string operator()(const LinkUp& e) const { return fmt::format("LinkUp {} link {}", describe(e.peer), e.link.value); }
  std::string operator()(const LinkDown& e) const { return fmt::format("LinkDown {} link {}", describe(e.peer), e.link.value); }
  std::string operator()(const MessageReceived& e) const {
    return fmt::format("<- {} link {}: {} payload {}", describe(e.from), e.link.value, describe(e.message),
                       e.payload.value & ~kCorePayloadBit);
  }
  std::string operator()(const AdminRequest& e) const { return fmt::format("AdminRequest {} {}", e.id.value, name_of(e.op)); }
  std::string operator()(const FenceDone& e) const {
    return fmt::format("FenceDone {} evidence {} exit {}", describe(e.peer), describe(e.evidence), e.exit_status);
  }
  std::string operator()(const Tick&) const { return "Tick"; }
};

std::string payload(PayloadId id) {
  if (id.value == 0) return "";
  return fmt::format(" payload {}{}", (id.value & kCorePayloadBit) != 0 ? "c" : "", id.value & ~kCorePayloadBit);
}

struct EffectText {
  std::string operator()(const DiskIo& e) const {
    return fmt::format("DiskIo {} {} {}{}{}", e.io.value, name_of(e.kind), describe(e.range), e.fua ? " fua" : "",
                       payload(e.payload));
  }
  std::string operator()(const WriteRecord& e) const {
    return fmt::format("WriteRecord token {} {}", e.token.value, describe(*e.record));
  }
  std::string operator()(const WriteIntentPage& e) const {
    uint64_t bits = (*e.bits)[0];
    return fmt::format("WriteIntentPage token {} page {} seq {} bits {:#x}", e.token.value, e.page, e.sequence, bits);
  }
  std::string operator()(const WriteBitmapPage& e) const {
    int count = 0;
    for (uint64_t word : *e.bits) count += __builtin_popcountll(word);
    return fmt::format("WriteBitmapPage token {} peer {} page {} {} bits", e.token.value, describe(e.peer), e.page, count);
  }
  std::string operator()(const SealExtent& e) const {
    return fmt::format("SealExtent token {} extent {}", e.token.value, e.extent);
  }
  std::string operator()(const Send& e) const {
    return fmt::format("-> {} link {}: {}{}", describe(e.to), e.link.value, describe(e.message), payload(e.payload));
  }
  std::string operator()(const CloseLink& e) const {
    return fmt::format("CloseLink {} link {} {}{}", describe(e.peer), e.link.value, code_of(e.reason),
                       e.stand_alone ? " stand-alone" : "");
  }
  std::string operator()(const ClientReply& e) const {
    return fmt::format("ClientReply io {} {}{}", e.io.value, name_of(e.status), payload(e.payload));
  }
  std::string operator()(const Release& e) const { return "Release" + payload(e.payload); }
  std::string operator()(const AdminReply& e) const {
    return fmt::format("AdminReply {} {} {}", e.id.value, e.ok ? "ok" : "refused", code_of(e.reason));
  }
  std::string operator()(const RoleChanged& e) const { return e.primary ? "RoleChanged primary" : "RoleChanged secondary"; }
  std::string operator()(const RunFence& e) const {
    return fmt::format("RunFence {} evidence {}", describe(e.peer), describe(e.evidence));
  }
  std::string operator()(const Note& e) const { return fmt::format("Note {} {} {}", name_of(e.notice), describe(e.seat), e.a); }
};

}  // namespace

std::string describe(const Uuid& id) { return id.is_nil() ? "nil" : id.to_string().substr(30); }
std::string describe(Seat seat) {
  if (seat == kNoSeat) return "-";
  return seat.is_witness() ? fmt::format("w{}", seat.value - kMaxDataNodes) : fmt::format("n{}", seat.value);
}
std::string describe(SeatSet seats) {
  std::string text;
  for (Seat seat : seats) text += (text.empty() ? "" : ",") + describe(seat);
  return "{" + text + "}";
}
std::string describe(const Range& range) {
  return fmt::format("{}+{}", range.offset / kBlockBytes, range.length / kBlockBytes);  // in blocks
}
std::string describe(const Tenure& t) {
  std::string voters;
  for (const Voter& voter : t.voters) voters += fmt::format(" {}:{}", describe(voter.seat), describe(voter.acceptor));
  return fmt::format("[{}#{} origin {} primary {}{} members {} vs{}{}]", describe(t.history), t.number, ballot(t.origin),
                     t.primary ? holder(*t.primary) : "none", t.clean ? " clean" : "", describe(t.members), t.voter_set, voters);
}
std::string describe(const NodeRecord& r) {
  std::string peers;
  for (const PeerSlot& slot : r.peers) {
    if (!slot.disk.is_nil()) peers += " " + describe(slot.disk);
  }
  return fmt::format("start {} disk {}{} peers{} adopted {} | promised {} accepted {} {} longest {}ms", r.start(),
                     describe(r.disk),
                     r.inconsistent ? " INCONSISTENT"
                     : r.doubtful   ? " DOUBTFUL"
                     : r.outdated   ? " OUTDATED"
                                    : "",
                     peers, maybe(r.adopted), ballot(r.acceptor.promised), ballot(r.acceptor.accepted), maybe(r.acceptor.tenure),
                     ms(r.acceptor.longest_lease));
}
std::string describe(const Message& message) { return std::visit(MessageText{}, message); }
std::string describe(const Event& event) { return std::visit(EventText{}, event); }
std::string describe(const Effect& effect) { return std::visit(EffectText{}, effect); }

std::string_view name_of(OpKind kind) {
  switch (kind) {
    case OpKind::read:
      return "read";
    case OpKind::write:
      return "write";
    case OpKind::write_zeroes:
      return "write-zeroes";
    case OpKind::trim:
      return "trim";
    case OpKind::flush:
      return "flush";
  }
  return "?";
}
std::string_view name_of(IoStatus status) {
  switch (status) {
    case IoStatus::ok:
      return "ok";
    case IoStatus::io_error:
      return "EIO";
    case IoStatus::no_space:
      return "ENOSPC";
    case IoStatus::invalid:
      return "EINVAL";
    case IoStatus::shut_down:
      return "ESHUTDOWN";
    case IoStatus::corrupt:
      return "corrupt";
  }
  return "?";
}
std::string_view name_of(AdminOp op) {
  switch (op) {
    case AdminOp::primary:
      return "primary";
    case AdminOp::primary_force:
      return "primary-force";
    case AdminOp::secondary:
      return "secondary";
    case AdminOp::new_current_uuid:
      return "new-current-uuid";
    case AdminOp::invalidate:
      return "invalidate";
    case AdminOp::invalidate_remote:
      return "invalidate-remote";
    case AdminOp::discard_history:
      return "discard-history";
    case AdminOp::stop:
      return "stop";
    case AdminOp::pause_sync:
      return "pause-sync";
    case AdminOp::allow_resync:
      return "allow-resync";
    case AdminOp::suspend_io:
      return "suspend-io";
    case AdminOp::resume_io:
      return "resume-io";
    case AdminOp::resize:
      return "resize";
    case AdminOp::change_nodes:
      return "change-nodes";
    case AdminOp::detach:
      return "detach";
    case AdminOp::outdate:
      return "outdate";
    case AdminOp::shrink:
      return "shrink";
    case AdminOp::resume_sync:
      return "resume-sync";
    case AdminOp::verify:
      return "verify";
    case AdminOp::verify_stop:
      return "verify-stop";
    case AdminOp::repair:
      return "repair";
  }
  return "?";
}
std::string_view name_of(VoteRefusal why) {
  switch (why) {
    case VoteRefusal::lower_ballot:
      return "lower-ballot";
    case VoteRefusal::lease_running:
      return "lease-running";
    case VoteRefusal::just_started:
      return "just-started";
    case VoteRefusal::later_voter_set:
      return "later-voter-set";
    case VoteRefusal::storage_failed:
      return "storage-failed";
    case VoteRefusal::other_history:
      return "other-history";
    case VoteRefusal::not_my_tenure:
      return "not-my-tenure";
  }
  return "?";
}
std::string_view name_of(Notice notice) {
  switch (notice) {
    case Notice::peer_connected:
      return "peer-connected";
    case Notice::peer_refused:
      return "peer-refused";
    case Notice::peer_lost:
      return "peer-lost";
    case Notice::round_started:
      return "round-started";
    case Notice::tenure_decided:
      return "tenure-decided";
    case Notice::tenure_adopted:
      return "tenure-adopted";
    case Notice::became_primary:
      return "became-primary";
    case Notice::became_secondary:
      return "became-secondary";
    case Notice::deposed:
      return "deposed";
    case Notice::frozen:
      return "frozen";
    case Notice::thawed:
      return "thawed";
    case Notice::peer_dropped:
      return "peer-dropped";
    case Notice::resync_started:
      return "resync-started";
    case Notice::resync_finished:
      return "resync-finished";
    case Notice::resync_paused:
      return "resync-paused";
    case Notice::resync_resumed:
      return "resync-resumed";
    case Notice::verify_started:
      return "verify-started";
    case Notice::verify_finished:
      return "verify-finished";
    case Notice::read_failed:
      return "read-failed";
    case Notice::repair_finished:
      return "repair-finished";
    case Notice::resync_wanted:
      return "resync-wanted";
    case Notice::joined:
      return "joined";
    case Notice::node_added:
      return "node-added";
    case Notice::node_removed:
      return "node-removed";
    case Notice::rot_found:
      return "rot-found";
    case Notice::disk_detached:
      return "disk-detached";
    case Notice::outdated:
      return "outdated";
    case Notice::resized:
      return "resized";
    case Notice::left_behind:
      return "left-behind";
    case Notice::outdated_no_more:
      return "outdated-no-more";
    case Notice::disk_hangs:
      return "disk-hangs";
    case Notice::verify_aborted:
      return "verify-aborted";
    case Notice::resync_aborted:
      return "resync-aborted";
    case Notice::peer_joined:
      return "peer-joined";
    case Notice::disk_failed:
      return "disk-failed";
    case Notice::metadata_failed:
      return "metadata-failed";
    case Notice::voter_lost:
      return "voter-lost";
    case Notice::voter_back:
      return "voter-back";
    case Notice::voter_replaced:
      return "voter-replaced";
    case Notice::fence_started:
      return "fence-started";
    case Notice::fence_finished:
      return "fence-finished";
    case Notice::caretaker_begins:
      return "caretaker-begins";
    case Notice::caretaker_ends:
      return "caretaker-ends";
    case Notice::superseded:
      return "superseded";
    case Notice::voter_seated:
      return "voter-seated";
    case Notice::voter_unseated:
      return "voter-unseated";
    case Notice::fence_ignored:
      return "fence-ignored";
  }
  return "?";
}

}  // namespace lockstep
