// What nodes and witnesses say to each other, as plain structs. daemon/wire gives them bytes.
//
// Register messages go between a data node and any voter. Replication messages go between data nodes and carry the stamp of
// the tenure that their sender has adopted: a receiver adopts a newer tenure first and refuses an older one.
// On one link, messages of the same lane arrive in the order in which they were sent; between lanes there is no order.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "base/ids.h"
#include "base/inplace_vector.h"
#include "base/range.h"
#include "base/time.h"
#include "core/ballot.h"
#include "core/durable.h"
#include "core/io.h"
#include "core/tenure.h"

namespace lockstep {

// --- register (control lane) ---------------------------------------------------------------------------------------------

// Who answers as a voter. Carried by every promise, acceptance and refusal.
struct VoterIdentity {
  Uuid acceptor;
  Boot boot;
  friend bool operator==(const VoterIdentity&, const VoterIdentity&) = default;
};

struct Prepare {
  Ballot ballot;
  Holder candidate;
  uint32_t voter_set = 0;
  Uuid history;        // in which it asks; nil: the creation
  bool moves = false;  // an operator forces a new history: a voter of any other one is to follow
  friend bool operator==(const Prepare&, const Prepare&) = default;
};

struct Promise {
  Ballot ballot;
  VoterIdentity who;
  Ballot accepted;
  std::optional<Tenure> tenure;  // what was accepted under `accepted`
  friend bool operator==(const Promise&, const Promise&) = default;
};

struct Accept {
  Ballot ballot;
  Holder candidate;
  Tenure tenure;
  bool moves = false;  // a voter of another history is to follow into this one
  friend bool operator==(const Accept&, const Accept&) = default;
};

struct Accepted {
  Ballot ballot;
  VoterIdentity who;
  friend bool operator==(const Accepted&, const Accepted&) = default;
};

enum class VoteRefusal : uint8_t {
  lower_ballot,     // promised a higher one
  lease_running,    // somebody else holds a lease here
  just_started,     // silent for the longest lease granted before the start
  later_voter_set,  // the asker's voter set is out of date; `tenure` tells the newer
  storage_failed,   // this acceptor will never answer again
  not_my_tenure,    // lease: this voter has not accepted that tenure
  other_history,    // this voter belongs to another history, and is not asked to follow
};

struct VoteRefused {
  Ballot ballot;  // of the Prepare or Accept refused
  VoteRefusal why = VoteRefusal::lower_ballot;
  VoterIdentity who;
  Ballot promised;
  Duration wait;                 // how long the lease or the silence lasts yet
  Seat holder;                   // who holds the lease
  std::optional<Tenure> tenure;  // with later_voter_set and lease_running: what this voter accepted last
  friend bool operator==(const VoteRefused&, const VoteRefused&) = default;
};

struct LeaseRequest {
  uint64_t sequence = 0;
  Holder holder;
  Stamp tenure;
  Ballot origin;  // of that tenure: a voter grants only for the very value that it accepted
  Duration length;
  friend bool operator==(const LeaseRequest&, const LeaseRequest&) = default;
};

struct LeaseGranted {
  uint64_t sequence = 0;
  VoterIdentity who;
  friend bool operator==(const LeaseGranted&, const LeaseGranted&) = default;
};

struct LeaseRefused {
  uint64_t sequence = 0;
  VoteRefusal why = VoteRefusal::lower_ballot;
  VoterIdentity who;
  Ballot promised;
  Duration wait;
  friend bool operator==(const LeaseRefused&, const LeaseRefused&) = default;
};

// The holder gives its lease back: a clean hand-over need not wait for it.
struct LeaseReleased {
  Holder holder;
  friend bool operator==(const LeaseReleased&, const LeaseReleased&) = default;
};

// Evidence that a boot has ended (a fence handler's exit 7): ends the leases that this boot holds.
struct BootEnded {
  Seat node;
  Boot boot;
  friend bool operator==(const BootEnded&, const BootEnded&) = default;
};

// "Your acceptance, given in this boot, was one of a real majority": what a half needs before a fence may break a tie.
struct AcceptanceCounted {
  Ballot ballot;
  Boot boot;
  friend bool operator==(const AcceptanceCounted&, const AcceptanceCounted&) = default;
};

// The first message of a data node on the control lane of a new link; a voter answers it with its own, or with Superseded. Other
// register messages count only behind it.
struct VoterHello {
  Uuid acceptor;
  Boot boot;
  Lineage lineage;
  friend bool operator==(const VoterHello&, const VoterHello&) = default;
};

// "I have met this later, or other, run of yours: your memory was set back or copied." Instead of a VoterHello; nothing that comes
// over this link counts.
struct Superseded {
  KnownRun known;
  friend bool operator==(const Superseded&, const Superseded&) = default;
};

// --- meeting (data lane) -------------------------------------------------------------------------------------------------

// The first message of each side on a new link. Sent only when every disk write that came over an earlier link is done.
struct PeerHello {
  Seat node;
  Boot boot;
  uint64_t start = 0;
  Uuid acceptor;
  Uuid disk;             // nil: diskless
  Uuid remembered_disk;  // the disk of yours against which my bitmap for you is valid; nil: none
  uint64_t size_bytes = 0;
  bool disk_usable = false;  // attached and not failed
  bool inconsistent = false;
  bool doubtful = false;
  std::optional<Tenure> tenure;  // adopted, hence decided; none: never used
  uint64_t dirty_blocks = 0;     // what my bitmap has against you (for status)
  uint8_t protocol = 'C';
  Uuid given_up;         // the history that this copy left by an operator's word, while it is in none
  VolumeShapes volumes;  // that my disks have room for, as in NodeRecord: empty is one of size_bytes
  friend bool operator==(const PeerHello&, const PeerHello&) = default;
};

// A decided tenure. Sent on the data lane before the first frame stamped with it.
struct TenureDecided {
  Tenure tenure;
  friend bool operator==(const TenureDecided&, const TenureDecided&) = default;
};

// Adopted, durably (control lane).
struct TenureAdopted {
  Stamp stamp;
  friend bool operator==(const TenureAdopted&, const TenureAdopted&) = default;
};

// A change of what a peer's disk is good for: failed, invalidated, Inconsistent, or again Consistent and beyond doubt.
struct DiskCondition {
  bool usable = false;
  bool inconsistent = false;
  bool doubtful = false;
  friend bool operator==(const DiskCondition&, const DiskCondition&) = default;
};

// --- replication: requests on the data lane, replies on the control lane ------------------------------------------------------

struct WriteRequest {  // kind write carries a payload of range.length bytes
  Stamp stamp;
  OpId op;
  uint64_t position = 0;  // grows by one with each write of this tenure's Primary
  OpKind kind = OpKind::write;
  Range range;
  bool fua = false;
  friend bool operator==(const WriteRequest&, const WriteRequest&) = default;
};

struct WriteReply {
  Stamp stamp;
  OpId op;
  IoStatus status = IoStatus::ok;
  friend bool operator==(const WriteReply&, const WriteReply&) = default;
};

struct FlushRequest {
  Stamp stamp;
  OpId op;
  friend bool operator==(const FlushRequest&, const FlushRequest&) = default;
};

struct FlushReply {
  Stamp stamp;
  OpId op;
  IoStatus status = IoStatus::ok;
  friend bool operator==(const FlushReply&, const FlushReply&) = default;
};

struct ReadRequest {  // a Primary without a usable copy reads from a member
  Stamp stamp;
  OpId op;
  Range range;
  friend bool operator==(const ReadRequest&, const ReadRequest&) = default;
};

struct ReadReply {  // with a payload when ok (data lane)
  Stamp stamp;
  OpId op;
  IoStatus status = IoStatus::ok;
  Range range;
  friend bool operator==(const ReadReply&, const ReadReply&) = default;
};

// Everything up to this position is on stable storage on every member: intent bits of extents last written at or before it
// may be cleared.
struct Settled {
  Stamp stamp;
  uint64_t position = 0;
  friend bool operator==(const Settled&, const Settled&) = default;
};

// --- resync ------------------------------------------------------------------------------------------------------------------

// Source to target: a resync begins. From here on new writes flow to the target and completions wait for it.
// The target marks itself Inconsistent, durably, then sends its map.
struct ResyncBegin {
  Stamp stamp;
  bool full = false;  // no common ground: everything is copied
  friend bool operator==(const ResyncBegin&, const ResyncBegin&) = default;
};

struct BlockRun {
  uint64_t first = 0;
  uint64_t count = 0;
  friend bool operator==(const BlockRun&, const BlockRun&) = default;
};
constexpr size_t kRunsPerMessage = 64;

// Target to source (data lane): runs of blocks that may differ, from the target's bitmap for the source and its intent map.
struct ResyncMap {
  Stamp stamp;
  InplaceVector<BlockRun, kRunsPerMessage> runs;
  bool last = false;
  friend bool operator==(const ResyncMap&, const ResyncMap&) = default;
};

constexpr uint32_t kMostAhead = 64;  // extents, as bits of ResyncWrite::ahead

struct ResyncWrite {  // kind write carries a payload: the bytes of the blocks that are not in `zeroes`
  Stamp stamp;
  OpId op;
  OpKind kind = OpKind::write;
  Range range;
  BlockMask zeroes = 0;  // with any: the range has at most kLookBlocks blocks
  uint64_t ahead = 0;    // bit i: the extent i + 1 behind that of `range` is about to be copied as well
  friend bool operator==(const ResyncWrite&, const ResyncWrite&) = default;
};
// Answered with WriteReply.

// Source to target: every bit is zero; flush, record the copy as Consistent, and say so.
struct JoinPrepare {
  Stamp stamp;
  OpId op;
  friend bool operator==(const JoinPrepare&, const JoinPrepare&) = default;
};

struct JoinReady {
  Stamp stamp;
  OpId op;
  IoStatus status = IoStatus::ok;
  friend bool operator==(const JoinReady&, const JoinReady&) = default;
};

// Asks a member to drop the sender from the set (invalidate, detach on a Secondary, a clean leave).
struct DropMe {
  Stamp stamp;
  friend bool operator==(const DropMe&, const DropMe&) = default;
};

// From who holds the tenure, to the peers: whether it does so only to level the copies, and serves nobody.
struct Caretaking {
  Stamp stamp;
  bool on = false;
  friend bool operator==(const Caretaking&, const Caretaking&) = default;
};

// To a caretaker: another node is to be Primary.
struct YieldRequest {
  Stamp stamp;
  friend bool operator==(const YieldRequest&, const YieldRequest&) = default;
};

// Between two histories that meet (split brain), on the data lane: runs of blocks that may differ, from the sender's bitmap for the
// receiver and its intent map. Each side lists them for its operator; then both stand alone.
struct Differences {
  InplaceVector<BlockRun, kRunsPerMessage> runs;
  bool last = false;
  friend bool operator==(const Differences&, const Differences&) = default;
};

// To a source, instead of its map: another one is copying to this disk. It may ask again later.
struct ResyncDeclined {
  Stamp stamp;
  friend bool operator==(const ResyncDeclined&, const ResyncDeclined&) = default;
};

// What PeerHello said of this changed while the link was up: it was levelled with the sender, or is to be copied in full.
struct DiskRemembered {
  Uuid disk;  // of yours; nil: none
  friend bool operator==(const DiskRemembered&, const DiskRemembered&) = default;
};

// Source or verifier to a copy: digests of the blocks of a range (payload: kDigestBytes a block), taken while no write to it is under way.
struct CompareRequest {
  Stamp stamp;
  OpId op;
  Range range;  // at most kLookBlocks blocks
  friend bool operator==(const CompareRequest&, const CompareRequest&) = default;
};

struct CompareReply {
  Stamp stamp;
  OpId op;
  IoStatus status = IoStatus::ok;
  BlockMask differing = 0;
  friend bool operator==(const CompareReply&, const CompareReply&) = default;
};

// An operator paused resyncs with the receiver, or let them go on, at the sender's side.
struct ResyncPaused {
  bool on = false;
  friend bool operator==(const ResyncPaused&, const ResyncPaused&) = default;
};

// Which data nodes the sender's configuration has (control lane): a data node gets a vote when all of them know it.
struct NodesConfigured {
  SeatSet data_nodes;
  friend bool operator==(const NodesConfigured&, const NodesConfigured&) = default;
};

// To a follower, under protocol A or B: a change. Answered with WriteReply when it is applied. Changes are applied in such an order that whatever
// was answered to a client before this one was asked for comes first.
struct FollowerWrite {  // kind write carries a payload of range.length bytes
  Stamp stamp;
  uint64_t position = 0;  // as in WriteRequest; its WriteReply has it in its op
  uint64_t previous = 0;  // of the one that was sent before; 0: the first since ResyncBegin
  uint64_t after = 0;     // all up to this position have to be applied before
  OpKind kind = OpKind::write;
  Range range;
  bool receipt = false;  // B: to be told at once that it came (WriteReceived)
  friend bool operator==(const FollowerWrite&, const FollowerWrite&) = default;
};

struct WriteReceived {
  OpId op;
  friend bool operator==(const WriteReceived&, const WriteReceived&) = default;
};

// All up to that position is to be applied and flushed; FlushReply follows.
struct FollowerFlush {
  Stamp stamp;
  OpId op;
  uint64_t position = 0;  // of the last FollowerWrite
  friend bool operator==(const FollowerFlush&, const FollowerFlush&) = default;
};

// To a copy whose resync is done: it follows from here on. Or not any more, as it was too far behind: nothing more is sent to it until a resync.
struct Following {
  Stamp stamp;
  bool on = false;
  uint64_t position = 0;  // the newest of the Primary: what the resync copied may be as new, and is settled with it
  friend bool operator==(const Following&, const Following&) = default;
};

using Message = std::variant<Prepare, Promise, Accept, Accepted, VoteRefused, LeaseRequest, LeaseGranted, LeaseRefused,
                             LeaseReleased, BootEnded, AcceptanceCounted, PeerHello, TenureDecided, TenureAdopted, DiskCondition,
                             WriteRequest, WriteReply, FlushRequest, FlushReply, ReadRequest, ReadReply, Settled, ResyncBegin,
                             ResyncMap, ResyncWrite, JoinPrepare, JoinReady, DropMe, VoterHello, Superseded, Caretaking,
                             YieldRequest, Differences, ResyncDeclined, DiskRemembered, CompareRequest, CompareReply,
                             ResyncPaused, NodesConfigured, FollowerWrite, WriteReceived, FollowerFlush, Following>;

constexpr size_t kLastRegisterMessage = 10;  // alternatives 0..10 of Message belong to the register
static_assert(std::is_same_v<std::variant_alternative_t<kLastRegisterMessage, Message>, AcceptanceCounted>);
inline bool is_register_message(const Message& message) { return message.index() <= kLastRegisterMessage; }

enum class Lane : uint8_t { data, control };
Lane lane_of(const Message& message);

}  // namespace lockstep
