// The sectors of a simulated disk: what interrupted writes leave, and what an attach reads.
#include "sim/sim_disk.h"

namespace lockstep::sim {
namespace {

bool same_bits(const BitVector& a, const BitVector& b) {
  if (a.size() != b.size() || a.count() != b.count()) return false;
  for (uint32_t page = 0; page < a.pages(); ++page) {
    if (a.page(page) != b.page(page)) return false;
  }
  return true;
}

}  // namespace

void SimDisk::check_meta(const std::string& wrong) const {
  if (!wrong.empty()) observer_.metadata_misread(node_, wrong);
}

void SimDisk::interrupt_record(const NodeRecord& wanted, Remains remains) {
  check_meta(superblock_.interrupted(wanted, remains, meta_prng_, counters.superblock));
  const bool landed = superblock_.record() == wanted;
  record_ = superblock_.record();
  if (landed) observer_.record_durable(node_, record_);
}

Sector SimDisk::sector_of(const PageId& id, const Page& page) const {
  if (page.torn) return *page.torn;
  Sector sector{};
  encode_bit_page(id, page.sequence, page.bits, SectorSpan(sector));
  return sector;
}

void SimDisk::tear_page(Page& page, const PageId& id, uint64_t sequence, const BitPage& bits) {
  Sector wanted;
  encode_bit_page(id, sequence, bits, SectorSpan(wanted));
  page.torn = std::make_shared<const Sector>(torn(sector_of(id, page), wanted, meta_prng_));
  page.readable = decode_bit_page(id, SectorView(*page.torn)).has_value();
  if (page.readable) check_meta("a torn page is taken for a whole one");
  ++counters.torn_pages;
}

bool SimDisk::rot_metadata() {
  if (bitmaps_.empty() || meta_prng_.chance(40)) return superblock_.rot(meta_prng_);
  auto at = bitmaps_.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(meta_prng_.below(bitmaps_.size())));
  auto& [key, page] = *at;
  const PageId id = bitmap_page_id(Seat{key.first}, key.second, record_.disk);
  meta_prng_.chance(30) ? overwrite_by_another(page, id, bitmap_page_id(Seat{key.first}, key.second + 1, record_.disk))
                        : tear_page(page, id, page.sequence, page.bits);
  observer_.bits_changed(node_);
  return true;
}

// A write that was meant for another place: whole in itself, newer than what was here, and not what belongs here.
void SimDisk::overwrite_by_another(Page& page, const PageId& id, const PageId& other) {
  Sector strayed{};
  encode_bit_page(other, page.sequence + 1, BitPage{}, SectorSpan(strayed));
  page.torn = std::make_shared<const Sector>(strayed);
  page.readable = decode_bit_page(id, SectorView(*page.torn)).has_value();
  if (page.readable) check_meta("a page that strayed is taken for the one that belongs there");
  ++counters.strayed_pages;
}

SectorDevice SimDisk::sectors() const {
  const Layout& layout = superblock_.superblock().layout;
  SectorDevice device(layout.meta_device_bytes);
  superblock_.put_on(device);
  for (uint32_t index = 0; index < layout.intent_pages; ++index) {
    const auto found = intent_.find(index);
    const IntentPage page = found != intent_.end() ? found->second : IntentPage{};
    for (uint64_t slot = 0; slot < kIntentSlots; ++slot) {
      device.put(layout.intent_slot(index, slot), sector_of(intent_page_id(index, slot, record_.disk), page.slots[slot]));
    }
  }
  for (const auto& [key, page] : bitmaps_) {
    const Seat peer{key.first};
    device.put(layout.bitmap_page(peer, key.second), sector_of(bitmap_page_id(peer, key.second, record_.disk), page));
  }
  return device;
}

NodeRecord SimDisk::open() {
  check_meta(superblock_.open(meta_prng_, counters.superblock));
  if (superblock_.record() != record_) check_meta("an attach finds another record than was durable");
  return superblock_.record();
}

Loaded SimDisk::load() const {
  SectorDevice device = sectors();
  const Quorum quorum = read_superblock(device, Placement::external);
  if (quorum.status != MetaStatus::ok) check_meta("the superblock cannot be opened");
  Loaded loaded;
  loaded.record = quorum.superblock.record;
  ReadIntent intent = read_intent(device, quorum.superblock);
  loaded.intent = std::move(intent.bits);
  loaded.intent_sequences = intent.sequences;
  if (!same_bits(loaded.intent, durable_intent())) check_meta("an attach finds another intent map than was durable");
  for (const auto& [key, page] : bitmaps_) {
    auto& bitmap = loaded.bitmaps[key.first];
    if (bitmap.size() != 0) continue;
    bitmap = read_bitmap(device, quorum.superblock, Seat{key.first}).bits;
    if (!same_bits(bitmap, durable_bitmap(Seat{key.first}))) check_meta("an attach finds another bitmap than was durable");
  }
  return loaded;
}

}  // namespace lockstep::sim
