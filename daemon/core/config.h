// Limits and policy of one Replica. Everything that can grow has its bound here (P10).
#pragma once

#include <cstdint>

#include "base/ids.h"
#include "base/time.h"

namespace lockstep {

enum class FencingPolicy : uint8_t { dont_care, resource_only, resource_and_stonith };

// Which copy of the set answers a read on the Primary; all of them have every acknowledged write.
enum class ReadBalancing : uint8_t {
  prefer_local,
  round_robin,
  least_pending,  // the copy of which fewest reads are under way; of several, this node's
};

// What becomes of a peer under protocol A or B that has not applied congestion_bytes of what was sent to it.
enum class OnCongestion : uint8_t {
  block,       // changes wait until it has caught up that far
  pull_ahead,  // nothing more is sent to it; it is resynced later
  disconnect,  // its link is closed, until an operator connects it again
};

struct CoreConfig {
  Seat self;
  SeatSet data_nodes;  // configured, with self
  SeatSet witnesses;

  // Data nodes under protocol A or B with this one: while this node is Primary they follow it, and are in no set. Of these, those under B.
  SeatSet asynchronous;
  SeatSet by_receipt;
  OnCongestion on_congestion = OnCongestion::block;
  uint64_t congestion_bytes = 32 * 1024 * 1024;

  Duration lease = milliseconds(3000);
  int lease_drift_permille = 50;  // a voter keeps its word this much longer than the holder counts on
  Duration round_timeout = milliseconds(1000);
  Duration retry = milliseconds(200);      // between rounds that did not decide
  Duration promote_patience = seconds(8);  // how long `primary` waits for leases to end
  Duration caretaker_delay = seconds(10);  // without a Primary after an unclean end, before the copies are levelled
  Duration ack_timeout = seconds(6);       // net { timeout }: a peer that acknowledges nothing for so long is dropped

  bool fail_on_no_quorum = false;  // on-no-quorum io-error
  FencingPolicy fencing = FencingPolicy::dont_care;
  bool fence_handler = false;
  Duration witness_timeout;  // with a handler: a witness silent for so long has no vote until it is back; zero: it keeps it

  uint64_t max_op_bytes = 64 * 1024 * 1024;
  uint32_t max_client_ops = 1024;  // in flight and waiting; more is a bug of the shell
  Duration disk_timeout;           // a disk that does not answer for so long is given up, if there is another copy; zero: never
  bool metadata_on_disk = false;   // the metadata is on the same disk, and hangs with it
  bool digests_at_rest = false;    // the disk keeps them: an extent leaves the intent map when its page is written (SealExtent)
  uint32_t max_failed_reads = 32;  // of the local disk, answered by a peer and healed; more, and it is given up
  ReadBalancing read_balancing = ReadBalancing::prefer_local;
  uint32_t max_hot_extents = 256;  // set intent bits (times 4 MiB: what a crash costs in resync)
  uint32_t recent_writes =
      1 << 17;  // remembered one by one until they are settled; with more, a lost copy is in doubt by extents
  Duration settle_interval = milliseconds(500);  // background flush of what was acknowledged and not flushed
  uint64_t resync_chunk_bytes = 256 * 1024;
  uint32_t resync_window = 256;                // chunks in flight, at most
  uint32_t resync_ahead = 64;                  // extents that its target marks before they are copied; at most kMostAhead
  uint64_t resync_max_rate = 0;                // bytes a second of a resync or comparison; 0: no limit
  uint64_t resync_min_rate = 4 * 1024 * 1024;  // what it gets beside clients, whatever that costs them
  Duration resync_latency_target;  // what an operation of a client may take beside it; zero: twice of what it takes alone
  bool resync_by_age = false;      // copy first what became dirty longest ago; else by address
  bool resync_digests = false;     // compare digests first, copy what differs
  bool hold_resync = false;        // as its target, each resync waits until AdminOp::allow_resync
  Duration verify_interval;        // the Primary compares all copies so often; zero: never by itself
  // The target is flushed when so many blocks were copied since, and so much time has passed; or after eight times as many; one that
  // flushes slowly, each time. A flush of a disk that is written as fast as it can takes long and holds the writes up; what is not flushed
  // is copied again after an interruption.
  uint64_t resync_flush_blocks = 16384;
  Duration resync_flush_interval = seconds(1);
};

}  // namespace lockstep
