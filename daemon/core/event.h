// Everything that can happen to a Replica.
#pragma once

#include <variant>

#include "base/ids.h"
#include "base/range.h"
#include "core/io.h"
#include "core/message.h"

namespace lockstep {

// A client's request. The shell has checked bounds and alignment and split requests longer than CoreConfig::max_op_bytes;
// `payload` holds range.length bytes for a write and is released by the core.
struct ClientRequest {
  ClientIo io;
  OpKind kind = OpKind::read;
  Range range;
  bool fua = false;
  PayloadId payload;
};

struct DiskDone {
  DiskIoId io;
  IoStatus status = IoStatus::ok;
  BlockMask blocks = 0;  // what a read with a Look found
};

// A metadata write is durable, or has failed.
struct MetaDone {
  MetaToken token;
  bool ok = true;
};

// Both lanes to a seat are up and its identity is proved. For a witness: the one connection.
struct LinkUp {
  Seat peer;
  LinkId link;
};

struct LinkDown {
  Seat peer;
  LinkId link;
};

struct MessageReceived {
  Seat from;
  LinkId link;
  Message message;
  PayloadId payload;  // zero when the message has none
};

enum class AdminOp : uint8_t {
  primary,
  primary_force,
  secondary,         // the shell has waited for clients to leave, or refuses before it comes here
  new_current_uuid,  // with --clear-bitmap: declares fresh disks identical
  invalidate,
  invalidate_remote,
  stop,             // down: drain, flush, leave cleanly. No effect follows its reply.
  discard_history,  // this copy's history is given up for the peer's (split brain): to be followed by a new start
  pause_sync,
  resume_sync,
  verify,  // compare the copies, block by block
  verify_stop,
  repair,        // what was found to differ is written anew from `peer`'s copy, or from this node's
  allow_resync,  // the shell's: what had to happen before a resync from `peer` is done (Notice::resync_wanted)
  suspend_io,  // on the Primary: requests wait from now on; answered when those before are done and flushed on every copy of the set
  resume_io,
  resize,        // on the Primary: the volume grows to `range.length`, or as far as the smallest disk allows (zero)
  change_nodes,  // the configuration names other data nodes or witnesses now: `nodes`
  detach,        // this node goes on without its disk, data and metadata, which no effect uses after the reply
  outdate,       // this copy may be lacking what others acknowledge, somebody who sees more says: durable when it is answered
  shrink,        // on the Primary: the volume ends at `range.length`, and what lies behind it is given up
};

struct AdminRequest {
  AdminId id;
  AdminOp op = AdminOp::primary;
  Seat peer;   // invalidate_remote, discard_history, repair; pause_sync, resume_sync, verify, verify_stop: kNoSeat is all
  Uuid fresh;  // randomness for operations that begin a history or a voter
  // verify: empty is everything. resize: see there. new_current_uuid, primary_force: the size of a new volume, empty is all of the disk
  Range range;
  uint64_t episode = 0;       // allow_resync: which time of waiting (Note::a of Notice::resync_wanted)
  bool assume_clean = false;  // resize: what is new is the same on all disks, says the operator
  SeatSet nodes{};            // change_nodes: every data node, this one among them, and every witness
};

// The fence-peer handler ended. `evidence` is the boot that was known when it was started.
struct FenceDone {
  Seat peer;
  Boot evidence;
  int exit_status = 0;  // as the contract numbers them; -1: signal, time-out, could not be run
};

// Time passed and nothing else happened. The shell sends it at next_deadline().
struct Tick {};

using Event = std::variant<ClientRequest, DiskDone, MetaDone, LinkUp, LinkDown, MessageReceived, AdminRequest, FenceDone, Tick>;

}  // namespace lockstep
