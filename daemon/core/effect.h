// Everything that a Replica can ask of its shell.
//
// Effects of one step are unordered, except that messages to one link and lane are sent in the order given. Whatever needs
// durability first is emitted by the step that receives the MetaDone or DiskDone: the shell cannot get an order wrong.
#pragma once

#include <memory>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/range.h"
#include "core/durable.h"
#include "core/io.h"
#include "core/message.h"
#include "core/reason.h"

namespace lockstep {

// Submit to the local disk; answer with DiskDone. A read produces `payload` (with Look::compare it takes the digests from it); a write
// takes its bytes from it. fua: durable before it is done. write_zeroes and trim must leave zeroes behind.
struct DiskIo {
  DiskIoId io;
  OpKind kind = OpKind::read;
  Range range;
  bool fua = false;
  PayloadId payload;
  Look look = Look::nothing;  // of a read
  BlockMask zeroes = 0;       // of a write: blocks that become zeroes, as by a trim, and have no bytes in the payload
};

// Metadata writes: durable (flushed or FUA) before MetaDone. At most one of each kind and page is outstanding.
struct WriteRecord {
  MetaToken token;
  std::shared_ptr<const NodeRecord> record;
};
struct WriteIntentPage {
  MetaToken token;
  uint32_t page = 0;
  uint64_t sequence = 0;  // the slot is sequence % 2
  std::shared_ptr<const BitPage> bits;
};
struct WriteBitmapPage {
  MetaToken token;
  Seat peer;
  uint32_t page = 0;
  std::shared_ptr<const BitPage> bits;
};

// With CoreConfig::digests_at_rest: makes durable what is known of the extent's blocks, so that its intent bit may be cleared. What is
// written to it meanwhile need not be in it.
struct SealExtent {
  MetaToken token;
  uint64_t extent = 0;
};

struct Send {
  Seat to;
  LinkId link;
  Message message;
  PayloadId payload;
};

struct CloseLink {
  Seat peer;
  LinkId link;
  Reason reason = Reason::none;
  bool stand_alone = false;  // do not reconnect until the operator says so
};

struct ClientReply {
  ClientIo io;
  IoStatus status = IoStatus::ok;
  PayloadId payload;  // of a successful read; released by the core afterwards
};

// The shell may drop the bytes once effects emitted before have used them.
struct Release {
  PayloadId payload;
};

struct AdminReply {
  AdminId id;
  bool ok = false;
  Reason reason = Reason::none;  // with ok: a stop that could not hand over, and why
};

// Exports are served while primary; on false the shell fails waiting requests with ESHUTDOWN and closes its clients.
struct RoleChanged {
  bool primary = false;
};

struct RunFence {
  Seat peer;
  Boot evidence;
};

// For log and `events`: something worth a line happened. Numbers as the notice says.
enum class Notice : uint8_t {
  peer_connected,
  peer_refused,  // a: Reason
  peer_lost,
  round_started,   // a: counter
  tenure_decided,  // a: number
  tenure_adopted,  // a: number
  became_primary,
  became_secondary,
  deposed,  // seat: by whom
  frozen,   // a: Reason
  thawed,
  peer_dropped,     // from the set; a: dirty blocks
  resync_started,   // a: blocks to copy
  resync_finished,  // a: blocks copied
  resync_aborted,
  peer_joined,
  disk_failed,
  metadata_failed,
  voter_lost,
  voter_back,
  voter_replaced,
  fence_started,
  fence_finished,  // a: exit status
  fence_ignored,   // a: exit status
  caretaker_begins,
  caretaker_ends,
  superseded,      // seat: who has met a later run of this node's memory
  voter_seated,    // it had no seat before
  voter_unseated,  // it votes no more
  resync_paused,   // by an operator, here or there
  resync_resumed,
  verify_started,   // a: blocks to compare
  verify_finished,  // a: blocks that differ
  verify_aborted,
  read_failed,  // seat: whose copy answers (on a Secondary: who asked), and from which the range is written anew; a: its offset
  repair_finished,  // a: blocks written anew
  disk_hangs,       // and is given up; a: for how many seconds
  resync_wanted,    // from that peer, and held until AdminOp::allow_resync; a: which time of waiting
  joined,           // this copy is in the current set again
  node_added,       // to the configuration, and to what runs
  node_removed,
  rot_found,      // as read_failed: a block that was read does not have the digest that is kept of it
  disk_detached,  // an operator's wish, and done
  outdated,       // this copy, by an operator's word or a handler's
  outdated_no_more,
  left_behind,  // a peer under protocol A or B is too far behind; a: bytes that it has not applied
  resized,      // the volume has another end; a: bytes
};
struct Note {
  Notice notice = Notice::peer_connected;
  Seat seat;
  uint64_t a = 0;
};

using Effect = std::variant<DiskIo, WriteRecord, WriteIntentPage, WriteBitmapPage, SealExtent, Send, CloseLink, ClientReply,
                            Release, AdminReply, RoleChanged, RunFence, Note>;
using Effects = std::vector<Effect>;

}  // namespace lockstep
