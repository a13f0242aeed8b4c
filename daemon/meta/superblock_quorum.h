// Which of the four superblock copies to believe, and in which order to repair and rewrite them. After
// TigerBeetle's src/vsr/superblock_quorums.zig: sequence numbers, parents' checksums, a quorum to open,
// repair before the first answer.
//
// The rules of the writer: a write goes to copies 0 and 1, is made durable, then to copies 2 and 3, is made
// durable, and only then is it answered; the next begins after that; after a failed write there is no next.
// So at any instant at least two copies are intact, whichever 512-byte pieces of the two being written have
// reached the disk.
//
// The rules of the reader: the newest intact sequence n wins, even with a single copy: a copy of n proves
// that n-1 was answered and that n was asked for, and a record that was asked for may always be the durable
// one (a crash before the answer looks the same). Taking n-1 instead would lose an answered n if two copies
// rotted. At least two intact copies must vouch for n: copies of n itself, or of its parent n-1, known by its
// checksum. One copy alone could be a left-over.
//   * Two copies of one sequence that differ, or an n-1 that is not the parent of n: a fork; not opened.
//   * Copies older than n-1 are lost writes of the disk. They vouch for nothing and are repaired.
//   * A copy in another copy's place is a misdirected write, and counts as damaged.
#pragma once

#include <array>
#include <cstdint>

#include "meta/superblock.h"

namespace lockstep {

enum class CopyState : uint8_t {
  current,     // the newest
  parent,      // the one before
  stale,       // older than that
  damaged,     // torn, rotten, misdirected, or none at all
  unreadable,  // I/O error
};
std::string_view name_of(CopyState state);

struct CopyRead {
  bool io_error = false;
  DecodedSuperblock decoded;
};

struct Quorum {
  MetaStatus status = MetaStatus::no_metadata;
  Superblock superblock;  // when ok
  uint32_t checksum = 0;  // of that superblock: the next one's parent
  std::array<CopyState, kSuperblockCopies> states{};
  uint32_t repairs = 0;  // how many of `repair_order` are to be rewritten
  // Copies to be rewritten with the chosen superblock, one after the other, each made durable before the
  // next: first those that vouch for nothing, then the parents. A crash in between leaves at least two that
  // vouch.
  std::array<uint8_t, kSuperblockCopies> repair_order{};
};

Quorum choose_superblock(const std::array<CopyRead, kSuperblockCopies>& copies);

// A write in halves: copies [0, 2), then [2, 4).
constexpr uint32_t kCopiesPerHalf = 2;

}  // namespace lockstep
