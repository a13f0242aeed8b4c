// The durable state of one acceptor: a file of two 4 KiB slots, written in place in turn, each with a
// sequence number and a CRC32C. A write is on stable storage before store() returns. The acceptor's record
// lies in a slot's first 512 bytes, which a disk writes whole or not at all: a slot that cannot be read is
// therefore no torn write but damage, it may have held a promise, and the file is given up for a new, empty
// acceptor. The memory of runs is longer and may be torn; then that of the slot before counts, because what
// was being written was not yet relied upon.
//
//   0 magic u64 | 8 layout version u32 | 12 body bytes u32 | 16 sequence u64 | 24 inode u64
//   32 birth seconds u64 | 40 birth nanoseconds u32 | 44 reserved u32 | 48 resource uuid
//   64 body: AcceptorRecord | zeroes | 508 CRC32C u32
//   512 sequence u64 | 520 memory bytes u32 | 524 CRC32C of the memory u32 | 528 VoterMemory | zeroes
//
// A slot that is zero from 512 on was written before runs were remembered.
//
// A slot names the inode and birth time of its own file. A file that names another's is a copy or came out of
// a backup: what it promised since is lost, so it must not vote as that acceptor.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "core/membership/witness_voter.h"
#include "shell/loop/unique_fd.h"

namespace lockstep {

// What was found when a file was opened.
enum class StateFound : uint8_t {
  fresh,    // there was no file, or an empty one
  whole,    // the newest state is there
  copied,   // the file names another inode or birth time
  damaged,  // a slot holds something that is no state of ours
};

class StateFile {
 public:
  struct Opened;
  // Opens or creates `path`. A file that is copied or damaged is emptied. An error is one of the system (no
  // space, no permission). The directory is synced by the caller.
  static Result<Opened> open(const std::string& path, const ResourceId& resource);

  // Blocks until it is durable. After a failure the file must not be used again.
  Result<void> store(const WitnessRecord& record);

 private:
  struct Identity {
    uint64_t inode = 0;
    uint64_t birth_seconds = 0;
    uint32_t birth_nanoseconds = 0;
    friend bool operator==(const Identity&, const Identity&) = default;
  };
  struct Slot {
    uint64_t sequence = 0;
    Identity identity;
    AcceptorRecord record;
  };
  struct MemorySlot {
    uint64_t sequence = 0;
    VoterMemory memory;
  };
  static Result<Identity> identity_of(int fd);
  static std::optional<Slot> parse(std::span<const std::byte> all, const ResourceId& resource);
  static std::optional<MemorySlot> parse_memory(std::span<const std::byte> all);

  UniqueFd fd_;
  ResourceId resource_;
  Identity identity_;
  uint64_t sequence_ = 0;
};

struct StateFile::Opened {
  StateFile file;
  StateFound found = StateFound::fresh;
  WitnessRecord record;  // when whole; otherwise to be drawn anew
};

}  // namespace lockstep
