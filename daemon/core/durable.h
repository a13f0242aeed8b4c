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

// What this node knows of a peer's disk. A bitmap for a peer is valid only against the disk named here.
struct PeerSlot {
  Uuid disk;  // nil: never levelled with that peer; a resync is full
  friend bool operator==(const PeerSlot&, const PeerSlot&) = default;
};

// A data node's record. One a resource and node.
struct NodeRecord {
  ResourceId resource;
  Seat node;
  Uuid disk;                      // drawn by create-md
  uint64_t size_bytes = 0;        // data area, from offset 0 of the backing device
  uint64_t start = 0;             // from a random base (create-md); grows by one with each attach, durably, before anything else
  Boot boot;                      // at the last attach
  bool inconsistent = false;      // this copy is a mixture of old and new: never a source, never promoted
  std::optional<Tenure> adopted;  // the newest decided tenure that this copy has adopted; none: never used
  std::array<PeerSlot, kMaxDataNodes> peers{};
  AcceptorRecord acceptor;

  friend bool operator==(const NodeRecord&, const NodeRecord&) = default;
};

// The unit in which intent maps and dirty bitmaps are written: fits a 4 KiB sector with its header and checksum.
constexpr size_t kWordsPerPage = 500;
constexpr uint64_t kBitsPerPage = kWordsPerPage * 64;
using BitPage = std::array<uint64_t, kWordsPerPage>;

constexpr uint64_t kBlockBytes = 4096;              // one bit of a dirty bitmap
constexpr uint64_t kExtentBytes = 4 * 1024 * 1024;  // one bit of the intent map
constexpr uint64_t kBlocksPerExtent = kExtentBytes / kBlockBytes;

}  // namespace lockstep
