// Opening metadata: find it, verify it, repair what a crash or the disk damaged, and open a new start of this
// node in it.
//
// Synchronous, on a claimed device, before the event loop uses it. When attach_metadata() succeeds, all four
// superblock copies are equal and durable with the raised start counter and the boot: nothing was answered
// before that.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "core/replica.h"
#include "meta/superblock_quorum.h"
#include "shell/metadata_io.h"

namespace lockstep {

// What the configuration says that this metadata must be.
struct MetadataExpectation {
  ResourceId resource;
  Seat node;
  uint16_t volume = 0;
  Placement placement = Placement::internal;
  uint64_t data_device_bytes = 0;  // size now of the device that holds the data
  SeatSet peers;                   // whose bitmaps to load; seats beyond the slots are refused
  Boot boot;                       // to be recorded
  bool volatile_cache = true;      // of the data device: what was not flushed may be gone when the boot before has ended
};

// Where the chain of superblock writes stands: what MetaStore continues.
struct SuperblockChain {
  Superblock last;
  uint32_t checksum = 0;
};

struct AttachedMetadata {
  Loaded loaded;
  SuperblockChain chain;
  std::array<CopyState, kSuperblockCopies> found{};  // before the repair
  uint32_t repaired_copies = 0;
  uint32_t unreadable_intent_pages = 0;  // taken as all ones
  uint32_t unreadable_bitmap_pages = 0;  // taken as all ones
};

struct MetadataError {
  MetaStatus status = MetaStatus::io_error;
  int os = 0;        // errno with io_error, else 0
  std::string text;  // what was found, and what to do: lines for a person
};

struct AttachOutcome {
  std::optional<AttachedMetadata> attached;  // exactly when it succeeded
  MetadataError error;                       // meaningless otherwise
};

AttachOutcome attach_metadata(MetadataIo& io, const MetadataExpectation& expected);
// What it would refuse, without writing anything; `quorum` as read_superblock() gives it.
std::optional<MetadataError> why_not_attached(MetadataIo& io, const Quorum& quorum, const MetadataExpectation& expected);

// --- parts, for the tools
// ------------------------------------------------------------------------------------------------

// Reads and judges the four copies; writes nothing.
Quorum read_superblock(MetadataIo& io, Placement placement);

struct ReadIntent {
  BitVector bits;
  std::array<uint64_t, kMaxIntentPages> sequences{};
  uint32_t unreadable_pages = 0;
};
ReadIntent read_intent(MetadataIo& io, const Superblock& superblock);

struct ReadBitmap {
  BitVector bits;
  uint32_t unreadable_pages = 0;
};
ReadBitmap read_bitmap(MetadataIo& io, const Superblock& superblock, Seat peer);

// Writes `superblock` to the copies that need it (see Quorum::repair_order). 0 or an errno.
int repair_superblock(MetadataIo& io, const Quorum& quorum);
// Writes all four copies in halves. 0 or an errno.
int write_superblock(MetadataIo& io, const Superblock& superblock);
// The one after `chain`, with `record`.
Superblock next_superblock(const SuperblockChain& chain, const NodeRecord& record);
uint32_t checksum_of(const Superblock& superblock);

}  // namespace lockstep
