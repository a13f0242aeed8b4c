#include "sim/sim_metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "core/volumes.h"

namespace lockstep::sim {
namespace {

constexpr size_t kPieceBytes = 512;
constexpr size_t kPieces = kSectorBytes / kPieceBytes;

bool intact(const Sector& sector) { return open_sector(SectorView(sector)).status == MetaStatus::ok; }

void scribble(Sector& sector, size_t piece, Prng& prng) {
  for (size_t i = 0; i < kPieceBytes; i += sizeof(uint64_t)) {
    const uint64_t word = prng.next();
    std::memcpy(sector.data() + piece * kPieceBytes + i, &word, sizeof(word));
  }
}

Layout layout_for(const NodeRecord& record, uint64_t data_bytes) {
  VolumeShapes behind;
  for (size_t i = 1; i < record.volumes.size(); ++i) behind.push_back(record.volumes[i]);
  const uint64_t lowest = record.volumes.empty() ? data_bytes : record.volumes[0].size_bytes;
  const auto made = [&](uint64_t meta_bytes) {
    const LayoutResult result = make_layout(Placement::external, lowest, meta_bytes, kDefaultBitmapSlots, false, span_of(behind));
    CHECK(result.status == MetaStatus::ok);
    return result.layout;
  };
  return made(made(data_bytes).metadata_bytes());
}

}  // namespace

Sector torn(const Sector& before, const Sector& after, Prng& prng) {
  Sector sector = before;
  for (size_t piece = 0; piece < kPieces; ++piece) {
    if (prng.chance(50)) std::copy_n(after.begin() + piece * kPieceBytes, kPieceBytes, sector.begin() + piece * kPieceBytes);
  }
  if (intact(sector)) scribble(sector, prng.below(kPieces), prng);
  return sector;
}

Sector SectorDevice::get(uint64_t offset) const {
  const auto found = sectors_.find(offset);
  return found != sectors_.end() ? found->second : Sector{};
}

int SectorDevice::read(uint64_t offset, std::span<std::byte> to) {
  for (size_t at = 0; at < to.size(); at += kSectorBytes) {
    const Sector sector = get(offset + at);
    std::copy(sector.begin(), sector.end(), to.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return 0;
}

int SectorDevice::write_durable(uint64_t offset, std::span<const std::byte> from) {
  for (size_t at = 0; at < from.size(); at += kSectorBytes) {
    Sector sector;
    std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(at), kSectorBytes, sector.begin());
    if (prng_ != nullptr && writes_left_ == 0) {
      put(offset + at, torn(get(offset + at), sector, *prng_));
      return EIO;
    }
    if (prng_ != nullptr) --writes_left_;
    put(offset + at, sector);
  }
  return 0;
}

void SimSuperblock::create(const NodeRecord& record, uint64_t data_bytes) {
  Superblock first;
  first.sequence = 1;
  first.layout = layout_for(record, data_bytes);
  first.record = record;
  chain_ = {first, checksum_of(first)};
  unequal_.reset();
}

SimSuperblock::Copies SimSuperblock::encode(const Superblock& superblock) {
  Copies copies;
  for (uint8_t copy = 0; copy < kSuperblockCopies; ++copy) encode_superblock(superblock, copy, SectorSpan(copies[copy]));
  return copies;
}

void SimSuperblock::put_on(SectorDevice& device) const {
  const Copies copies = unequal_ ? *unequal_ : encode(chain_.last);
  for (uint32_t copy = 0; copy < kSuperblockCopies; ++copy) device.put(chain_.last.layout.superblock_copy(copy), copies[copy]);
}

bool SimSuperblock::rot(Prng& prng) {
  if (unequal_) return false;
  auto copies = std::make_shared<Copies>(encode(chain_.last));
  Sector& copy = (*copies)[prng.below(kSuperblockCopies)];
  copy = torn(copy, copy, prng);
  unequal_ = std::move(copies);
  return true;
}

// As the daemon does; read back by its own code once a crash has come between, or at the next attach.
void SimSuperblock::written(const NodeRecord& record) {
  CHECK(!unequal_);
  chain_.last = next_superblock(chain_, record);
  chain_.checksum = checksum_of(chain_.last);
}

namespace {

// Copies are written two and two: while one half is under way, the other is wholly old or wholly new.
struct Interrupted {
  uint64_t half = 0;                // that was being written
  std::array<bool, 2> whole{};      // its copies that are there
  std::array<bool, 2> in_pieces{};  // neither old nor new
};

Interrupted draw_interruption(Remains remains, Prng& prng) {
  Interrupted at;
  at.half = prng.below(2);
  const bool some = remains == Remains::whole_copies;
  const uint64_t first = prng.below(2);
  at.whole[first] = some;
  at.whole[1 - first] = some && prng.chance(30);
  for (size_t i = 0; i < 2; ++i) at.in_pieces[i] = !at.whole[i] && prng.chance(75);
  return at;
}

}  // namespace

std::string SimSuperblock::interrupted(const NodeRecord& wanted, Remains remains, Prng& prng, Counters& counters) {
  CHECK(!unequal_);
  const Interrupted at = draw_interruption(remains, prng);
  const Copies fresh = encode(next_superblock(chain_, wanted));
  auto copies = std::make_shared<Copies>(encode(chain_.last));
  for (size_t i = 0; i < kSuperblockCopies; ++i) {
    const size_t in_half = i % kCopiesPerHalf;
    if (i / kCopiesPerHalf < at.half || (i / kCopiesPerHalf == at.half && at.whole[in_half])) {
      (*copies)[i] = fresh[i];
    } else if (i / kCopiesPerHalf == at.half && at.in_pieces[in_half]) {
      (*copies)[i] = torn((*copies)[i], fresh[i], prng);
    }
  }
  unequal_ = std::move(copies);
  ++counters.interrupted;
  SectorDevice device(chain_.last.layout.meta_device_bytes);
  put_on(device);
  // One new copy is enough: it proves that the record was asked for.
  const bool landed = remains == Remains::whole_copies || at.half > 0;
  return read_back(device, landed ? wanted : NodeRecord(record()));
}

// Takes over what the real code finds.
std::string SimSuperblock::read_back(SectorDevice& device, const NodeRecord& expected) {
  const Quorum quorum = read_superblock(device, Placement::external);
  if (quorum.status != MetaStatus::ok) return fmt::format("the superblock cannot be opened: {}", text_of(quorum.status));
  const bool same = quorum.superblock.record == expected;
  chain_ = {quorum.superblock, quorum.checksum};
  return same ? "" : fmt::format("the superblock of sequence {} gives another record than was written", chain_.last.sequence);
}

std::string SimSuperblock::open(Prng& prng, Counters& counters) {
  const NodeRecord durable = record();
  SectorDevice device(chain_.last.layout.meta_device_bytes);
  put_on(device);
  for (bool again = true; again;) {
    std::string wrong = read_back(device, durable);
    if (!wrong.empty()) return wrong;
    const Quorum quorum = read_superblock(device, Placement::external);
    if (quorum.repairs == 0) break;
    ++counters.repairs;
    if (prng.chance(50)) device.power_fails_after(prng.below(quorum.repairs), prng);
    again = repair_superblock(device, quorum) != 0;
    if (again) ++counters.repairs_interrupted;
    device.power_is_back();
  }
  unequal_.reset();
  for (const CopyState state : read_superblock(device, Placement::external).states) {
    if (state != CopyState::current) return "a superblock that was repaired is not whole";
  }
  return {};
}

}  // namespace lockstep::sim
