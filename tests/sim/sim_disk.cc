#include "sim/sim_disk.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace lockstep::sim {

SimDisk::SimDisk(EventQueue& queue, Prng prng, DiskObserver& observer, Seat node, uint64_t blocks)
    : queue_(queue),
      prng_(prng),
      observer_(observer),
      node_(node),
      cached_(blocks, kFirstVersion),
      meta_prng_(prng.fork()),
      tear_prng_(Prng(meta_prng_).fork()) {}

void SimDisk::create(const NodeRecord& record, uint64_t content) {
  CHECK(!busy());
  record_ = record;
  superblock_.create(record, cached_.size() * kBlockBytes);
  intent_.clear();
  bitmaps_.clear();
  digest_pages_.clear();
  rot_.clear();
  unflushed_.clear();
  cached_.assign(cached_.size(), content);
  set_back_ = false;
  observer_.disk_replaced(node_);
}

void SimDisk::scribble(uint64_t from, uint64_t content) {
  CHECK(!busy());
  for (uint64_t block = from; block < cached_.size(); ++block) cached_[block] = content;
  observer_.disk_replaced(node_);
}

std::shared_ptr<const SimDisk::Image> SimDisk::image() const {
  auto image = std::make_shared<Image>(Image{cached_, record_, superblock_, intent_, bitmaps_, digest_pages_, rot_});
  for (const auto& [block, versions] : unflushed_) image->blocks[block] = versions.front().version;
  return image;
}

void SimDisk::restore(const Image& image) {
  CHECK(!busy());
  record_ = image.record;
  superblock_ = image.superblock;
  intent_ = image.intent;
  bitmaps_ = image.bitmaps;
  digest_pages_ = image.digest_pages;
  rot_ = image.rot;
  unflushed_.clear();
  cached_ = image.blocks;
  set_back_ = true;
  observer_.disk_replaced(node_);
}

void SimDisk::submit(const DiskIo& io, Payload payload, DataDone done) {
  launch({DataOp{io, std::move(payload), std::move(done), write_order_}, false});
}
void SimDisk::write(const WriteRecord& effect, MetaWritten done) { launch({MetaOp{effect, std::move(done)}, false}); }
void SimDisk::write(const WriteIntentPage& effect, MetaWritten done) { launch({MetaOp{effect, std::move(done)}, false}); }
void SimDisk::write(const WriteBitmapPage& effect, MetaWritten done) { launch({MetaOp{effect, std::move(done)}, false}); }

void SimDisk::launch(InFlight op) {
  const uint64_t id = next_id_++;
  in_flight_.emplace(id, std::move(op));
  queue_.after(prng_.between(behaviour.fastest, behaviour.slowest), [this, id, life = life_] {
    if (life == life_) finish(id);
  });
}

void SimDisk::finish(uint64_t id) {
  auto found = in_flight_.find(id);
  CHECK(found != in_flight_.end());
  InFlight op = std::move(found->second);
  in_flight_.erase(found);
  if (auto* data = std::get_if<DataOp>(&op.op)) finish_data(*data, op.orphan);
  if (auto* meta = std::get_if<MetaOp>(&op.op)) finish_meta(*meta, op.orphan);
}

void SimDisk::finish_data(DataOp& op, bool orphan) {
  if (orphan) {
    apply_data(op, Landing::interrupted);
    return;
  }
  if (prng_.permille(behaviour.data_error_permille)) {
    ++counters.data_errors;
    if (op.io.kind != OpKind::read && op.io.kind != OpKind::flush) apply_data(op, Landing::torn);
    op.done(IoStatus::io_error, nullptr);
    return;
  }
  if (op.io.kind == OpKind::read) {
    op.done(IoStatus::ok, read(op.io.range));
    return;
  }
  if (op.io.kind == OpKind::flush) {
    flush_up_to(op.flush_mark);
  } else {
    apply_data(op, Landing::sure);
  }
  op.done(IoStatus::ok, nullptr);
}

void SimDisk::finish_meta(MetaOp& op, bool orphan) {
  const bool failed = !orphan && prng_.permille(behaviour.meta_error_permille);
  if (failed) ++counters.meta_errors;
  const bool lands = !(orphan || failed) || prng_.chance(50);
  const auto* record = std::get_if<WriteRecord>(&op.what);
  if (record != nullptr && (orphan || failed)) {
    // What a killed process submitted is done or not; a disk that fails leaves anything.
    if (lands || failed) interrupt_record(*record->record, lands ? Remains::whole_copies : Remains::torn_copies);
  } else if (lands) {
    apply_meta(op);
  }
  if (!orphan) op.done(!failed);
}

uint64_t SimDisk::part_of(uint64_t version) {
  const uint64_t which = ++counters.torn_blocks;
  CHECK(which < (uint64_t{1} << 20) && version == torn_from(version));
  return kTornBit | static_cast<uint64_t>(node_.value) << 52 | which << 32 | version;
}

void SimDisk::apply_data(const DataOp& op, Landing landing) {
  const bool sure = landing == Landing::sure;
  if (!is_change(op.io.kind)) return;
  const uint64_t first = op.io.range.offset / kBlockBytes;
  const uint64_t count = op.io.range.length / kBlockBytes;
  CHECK(first + count <= cached_.size());
  for (uint64_t i = 0; i < count; ++i) {
    if (!sure && prng_.chance(50)) {
      ++counters.orphans_lost;
      continue;
    }
    if (!sure) ++counters.orphans_landed;
    uint64_t version = op.io.kind == OpKind::write ? op.payload->at(i) : kZeroVersion;
    // Of what is torn already another mixture comes out; it keeps the name of its last writer.
    if (landing == Landing::torn && version != cached_[first + i] && tear_prng_.chance(30)) version = part_of(torn_from(version));
    write_block(first + i, version, op.io.fua && sure);
  }
}

void SimDisk::write_block(uint64_t block, uint64_t version, bool fua) {
  const uint64_t before = cached_[block];
  rot_.erase(block);
  cached_[block] = version;
  ++write_order_;
  if (behaviour.volatile_cache && !fua) {
    auto& pending = unflushed_[block];
    if (pending.empty()) pending.push_back({0, before});
    pending.push_back({write_order_, version});
  } else {
    unflushed_.erase(block);
  }
  observer_.block_written(node_, block, before, version);
}

void SimDisk::flush_up_to(uint64_t mark) {
  for (auto it = unflushed_.begin(); it != unflushed_.end();) {
    auto& pending = it->second;
    while (pending.size() > 1 && pending[1].order <= mark) pending.erase(pending.begin());
    it = pending.size() == 1 ? unflushed_.erase(it) : std::next(it);
  }
}

Payload SimDisk::read(const Range& range) const {
  const auto first = cached_.begin() + static_cast<int64_t>(range.offset / kBlockBytes);
  auto blocks = std::make_shared<std::vector<uint64_t>>(first, first + static_cast<int64_t>(range.length / kBlockBytes));
  for (auto at = rot_.lower_bound(range.offset / kBlockBytes); at != rot_.end() && *at < range.end() / kBlockBytes; ++at)
    (*blocks)[*at - range.offset / kBlockBytes] = kRotten | *at;
  return blocks;
}

void SimDisk::apply_meta(const MetaOp& op) {
  if (const auto* record = std::get_if<WriteRecord>(&op.what)) {
    record_ = *record->record;
    superblock_.written(record_);
    observer_.record_durable(node_, record_);
  } else if (const auto* intent = std::get_if<WriteIntentPage>(&op.what)) {
    intent_[intent->page].slots[intent->sequence % 2] = {true, intent->sequence, *intent->bits, nullptr};
    observer_.bits_changed(node_);
  } else if (const auto* bitmap = std::get_if<WriteBitmapPage>(&op.what)) {
    bitmaps_[{bitmap->peer.value, bitmap->page}] = {true, 0, *bitmap->bits, nullptr};
    observer_.bits_changed(node_);
  } else if (const auto* digests = std::get_if<WriteDigestPage>(&op.what)) {
    encode_digest_page(digests->page, record_.disk, *digests->digests, SectorSpan(digest_pages_[digests->page]));
  }
}

void SimDisk::tear_meta(const MetaOp& op) {
  const Uuid& disk = record_.disk;
  if (const auto* record = std::get_if<WriteRecord>(&op.what)) {
    interrupt_record(*record->record, Remains::torn_copies);
  } else if (const auto* intent = std::get_if<WriteIntentPage>(&op.what)) {
    tear_page(intent_[intent->page].slots[intent->sequence % 2], intent_page_id(intent->page, intent->sequence, disk),
              intent->sequence, *intent->bits);
    observer_.bits_changed(node_);
  } else if (const auto* bitmap = std::get_if<WriteBitmapPage>(&op.what)) {
    tear_page(bitmaps_[{bitmap->peer.value, bitmap->page}], bitmap_page_id(bitmap->peer, bitmap->page, disk), 0, *bitmap->bits);
  } else if (const auto* digests = std::get_if<WriteDigestPage>(&op.what)) {
    tear_digest_page(*digests);
  }
}

void SimDisk::process_killed() {
  for (auto& [id, op] : in_flight_) op.orphan = true;
}

void SimDisk::power_lost() {
  if (behaviour.volatile_cache) observer_.cache_at_risk(node_, durable_intent());
  ++life_;
  auto lost = std::move(in_flight_);
  in_flight_.clear();
  for (auto& [id, op] : lost) {
    if (const auto* data = std::get_if<DataOp>(&op.op)) apply_data(*data, Landing::torn);
    if (const auto* meta = std::get_if<MetaOp>(&op.op)) {
      const uint64_t fate = prng_.below(3);
      const auto* record = std::get_if<WriteRecord>(&meta->what);
      if (fate == 0 && record != nullptr) interrupt_record(*record->record, Remains::whole_copies);
      if (fate == 0 && record == nullptr) apply_meta(*meta);
      if (fate == 1) tear_meta(*meta);
    }
  }
  // Every block keeps one of the versions that were on their way through the cache, most often the last.
  for (auto& [block, pending] : unflushed_) {
    const Unflushed& kept = prng_.chance(50) ? pending.back() : pending[prng_.below(pending.size())];
    // What is written over itself has no halves (a heal did that: seed 9300000747).
    const bool differs =
        std::any_of(std::as_const(pending).data(), &kept, [&](const Unflushed& one) { return one.version != kept.version; });
    const bool half = &kept != &pending.front() && tear_prng_.chance(20) && differs;
    if (kept.version == cached_[block] && !half) continue;
    ++counters.lost_blocks;
    cached_[block] = half ? part_of(torn_from(kept.version)) : kept.version;
    observer_.block_lost(node_, block);
  }
  unflushed_.clear();
}

const SimDisk::Page* SimDisk::newest(const IntentPage& page) const {
  const Page* best = nullptr;
  for (const Page& slot : page.slots) {
    if (slot.readable && (best == nullptr || slot.sequence > best->sequence)) best = &slot;
  }
  return best;
}

bool SimDisk::marked(Seat peer, uint64_t block) const {
  const auto bit = [](const BitPage& bits, uint64_t i) { return ((bits[i / 64 % kWordsPerPage] >> (i % 64)) & 1) != 0; };
  const auto bitmap = bitmaps_.find({peer.value, static_cast<uint32_t>(block / kBitsPerPage)});
  if (bitmap == bitmaps_.end() || !bitmap->second.readable || bit(bitmap->second.bits, block)) return true;
  const uint64_t extent = block / kBlocksPerExtent;
  const auto intent = intent_.find(static_cast<uint32_t>(extent / kBitsPerPage));
  if (intent == intent_.end()) return false;
  const Page* best = newest(intent->second);
  return best == nullptr || bit(best->bits, extent);
}

BitVector SimDisk::durable_intent() const {
  BitVector bits((cached_.size() + kBlocksPerExtent - 1) / kBlocksPerExtent);
  BitPage ones;
  ones.fill(~uint64_t{0});
  for (const auto& [index, page] : intent_) {
    const Page* best = newest(page);
    bits.load_page(index, best != nullptr ? best->bits : ones);
  }
  return bits;
}

BitVector SimDisk::durable_bitmap(Seat peer) const {
  // create-md writes no bitmap page: until one is written it cannot be read.
  BitVector bits(cached_.size(), true);
  BitPage ones;
  ones.fill(~uint64_t{0});
  for (const auto& [key, page] : bitmaps_) {
    if (key.first == peer.value) bits.load_page(key.second, page.readable ? page.bits : ones);
  }
  return bits;
}

}  // namespace lockstep::sim
