// The metadata of a simulated disk as sectors, written and read by the code of daemon/meta and by the reading side of the
// daemon's shell (shell/metadata_attach.h): what a crash leaves is bytes, and what they mean is for the real code to say.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "core/durable.h"
#include "meta/bit_page.h"
#include "meta/superblock_quorum.h"
#include "shell/metadata_attach.h"
#include "sim/prng.h"

namespace lockstep::sim {

// What is left of a sector whose write lost its power: each piece of 512 bytes is old or new; where that leaves one of the two
// sectors, one piece is neither. Never intact.
Sector torn(const Sector& before, const Sector& after, Prng& prng);

// A metadata device of its own (external). What was never written is zero.
class SectorDevice : public MetadataIo {
 public:
  explicit SectorDevice(uint64_t size_bytes) : size_bytes_(size_bytes) {}
  void put(uint64_t offset, const Sector& sector) { sectors_[offset] = sector; }
  Sector get(uint64_t offset) const;
  // The power goes during the write after so many sectors: that one is torn, and all further writes fail.
  void power_fails_after(uint64_t sectors, Prng& prng) {
    writes_left_ = sectors;
    prng_ = &prng;
  }
  void power_is_back() { prng_ = nullptr; }

  uint64_t size_bytes() const override { return size_bytes_; }
  int read(uint64_t offset, std::span<std::byte> to) override;
  int write_durable(uint64_t offset, std::span<const std::byte> from) override;

 private:
  uint64_t size_bytes_;
  std::map<uint64_t, Sector> sectors_;
  uint64_t writes_left_ = 0;
  Prng* prng_ = nullptr;  // with it, writes_left_ counts
};

// What an interrupted write of the superblock leaves of its four copies.
enum class Remains : uint8_t {
  whole_copies,  // at least one of the half that was being written is there
  torn_copies,   // that half is in pieces, or was not begun
};

// The four copies. A value: an image of a disk holds one.
class SimSuperblock {
 public:
  struct Counters {
    uint64_t interrupted = 0;  // writes that left the copies unequal
    uint64_t repairs = 0;
    uint64_t repairs_interrupted = 0;
  };

  // As create-md, for a data area of so many bytes.
  void create(const NodeRecord& record, uint64_t data_bytes);
  // What the real code finds on the disk.
  const NodeRecord& record() const { return chain_.last.record; }
  const Superblock& superblock() const { return chain_.last; }
  // All four copies, durable. Only on equal copies: a disk that failed a write gets no other before it is opened anew.
  void written(const NodeRecord& record);
  // The write of `wanted` was not completed. Each of these gives what is wrong with what the real code then finds, or nothing.
  std::string interrupted(const NodeRecord& wanted, Remains remains, Prng& prng, Counters& counters);
  // Reads, and repairs what is not equal; the repair may itself be interrupted, and begun again.
  std::string open(Prng& prng, Counters& counters);
  void put_on(SectorDevice& device) const;
  // One of the copies reads as something else than was written, as a sector does that rots. False: a crash has left them unequal already, and
  // two bad ones may be too many.
  bool rot(Prng& prng);

 private:
  using Copies = std::array<Sector, kSuperblockCopies>;
  static Copies encode(const Superblock& superblock);
  std::string read_back(SectorDevice& device, const NodeRecord& expected);

  SuperblockChain chain_;
  std::shared_ptr<const Copies> unequal_;  // null: each is chain_.last
};

}  // namespace lockstep::sim
