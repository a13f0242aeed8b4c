// What a node (and a witness) keeps on stable storage, as plain structs. daemon/meta turns them into sectors; the core says when.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/ids.h"
#include "base/time.h"
#include "core/tenure.h"

namespace lockstep {

// Acceptor state: one a voter and resource. Written and flushed before any answer that depends on it.
struct AcceptorRecord {
  Uuid acceptor;  // drawn when the storage was empty; a voter is (seat, this)
  Ballot promised;
  Ballot accepted;
  std::optional<Tenure> tenure;  // present exactly when `accepted` is not none
  Duration longest_lease;        // longest lease ever granted; after a start nothing is answered for as long

  friend bool operator==(const AcceptorRecord&, const AcceptorRecord&) = default;
};

// One run of a voter's program: the value of its start counter, which grows by one with each start, durably, before anything else,
// and a token drawn at that start. Two runs of one number, or a number that comes again, mean that a memory was set back or copied.
constexpr size_t kLineageRuns = 8;
struct Lineage {
  uint64_t start = 0;                           // of this run
  std::array<uint64_t, kLineageRuns> tokens{};  // of this run and of those before it, newest first; 0: none

  friend bool operator==(const Lineage&, const Lineage&) = default;
};

// The latest run of another voter that this one has met.
struct KnownRun {
  Uuid acceptor;  // nil: none
  uint64_t start = 0;
  uint64_t token = 0;
  friend bool operator==(const KnownRun&, const KnownRun&) = default;
};

// What a voter remembers of runs, its own and others'. core/membership/acquaintance.h judges by it. Two a seat: the acceptor that the
// tenure names stays remembered when another one, an empty disk for instance, is met in its place.
constexpr size_t kRunsOfSeat = 2;
struct VoterMemory {
  Lineage lineage;
  std::array<std::array<KnownRun, kRunsOfSeat>, kMaxSeats> known{};
  bool superseded = false;  // somebody has met a later run of this very memory: it is an older state, and never votes again
  friend bool operator==(const VoterMemory&, const VoterMemory&) = default;
};

// What this node knows of a peer's disk. A bitmap for a peer is valid only against the disk named here.
struct PeerSlot {
  Uuid disk;  // nil: never levelled with that peer; a resync is full
  friend bool operator==(const PeerSlot&, const PeerSlot&) = default;
};

// A data node's record. One a resource and node.
struct NodeRecord {
  ResourceId resource;
  Seat node;
  Uuid disk;  // drawn by create-md
  uint64_t size_bytes =
      0;  // that the maps cover: the data area of the backing device, or with several volumes what span_of() says of them
  VolumeShapes volumes;  // several: what each one's device has room for; empty: one volume, of size_bytes
  Boot boot;             // at the last attach
  // This copy's disk has a volatile cache and lost power, perhaps, while it held writes that were not flushed: it may lack some that
  // were acknowledged. Never a source, and promoted only where no copy is better; levelling it ends the doubt.
  bool doubtful = false;
  bool inconsistent = false;  // this copy is a mixture of old and new: never a source, never promoted
  // Somebody who sees more says that others may go on without this copy: it takes over alone from nobody, whatever fence completes, until it
  // has heard a voter besides its own.
  bool outdated = false;
  std::optional<Tenure> adopted;  // the newest decided tenure that this copy has adopted; none: never used
  std::array<PeerSlot, kMaxDataNodes> peers{};
  AcceptorRecord acceptor;
  VoterMemory memory;  // the start counter begins at a random base (create-md)
  Uuid
      given_up;  // the history that an operator gave up here: this copy does not go back to it by itself; nil once it is in another

  uint64_t start() const { return memory.lineage.start; }
  friend bool operator==(const NodeRecord&, const NodeRecord&) = default;
};

// The unit in which intent maps and dirty bitmaps are written: fits a 4 KiB sector with its header and checksum.
constexpr size_t kWordsPerPage = 500;
constexpr uint64_t kBitsPerPage = kWordsPerPage * 64;
using BitPage = std::array<uint64_t, kWordsPerPage>;

constexpr uint64_t kBlockBytes = 4096;              // one bit of a dirty bitmap
constexpr uint64_t kExtentBytes = 4 * 1024 * 1024;  // one bit of the intent map
constexpr uint64_t kBlocksPerExtent = kExtentBytes / kBlockBytes;
constexpr uint64_t blocks_of(uint64_t bytes) { return (bytes + kBlockBytes - 1) / kBlockBytes; }  // the last one may be short

}  // namespace lockstep
