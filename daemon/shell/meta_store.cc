#include "shell/meta_store.h"

#include <cerrno>
#include <utility>

#include "base/check.h"
#include "meta/bit_page.h"

namespace lockstep {

// Shared with the completions, so that one that comes after the store is gone finds its buffer and nobody to
// call.
struct MetaStore::State : std::enable_shared_from_this<MetaStore::State> {
  State(BlockDevice& block_device, SuperblockChain start) : device(block_device), chain(std::move(start)) {}

  using BufferPtr = std::shared_ptr<AlignedBytes>;

  // Buffers of one sector are kept for reuse; the pair of a superblock half is rare enough to be allocated.
  BufferPtr take_sector() {
    if (spare.empty()) return std::make_shared<AlignedBytes>(kSectorBytes);
    BufferPtr buffer = std::move(spare.back());
    spare.pop_back();
    return buffer;
  }

  void write(uint64_t offset, BufferPtr buffer, Done done) {
    ++outstanding;
    std::byte* data = buffer->data();
    const size_t size = buffer->size();
    auto self = shared_from_this();
    device.submit(BlockOp::write, offset, size, data, true, [self, buffer, done = std::move(done)](int error) {
      --self->outstanding;
      if (error != 0) self->failed = true;
      if (buffer->size() == kSectorBytes && self->spare.size() < kMaxSpare) self->spare.push_back(buffer);
      if (!self->closed) done(error);
    });
  }

  void read(uint64_t offset, std::function<void(int error, SectorView sector)> done) {
    ++outstanding;
    BufferPtr buffer = take_sector();
    auto self = shared_from_this();
    device.submit(BlockOp::read, offset, kSectorBytes, buffer->data(), false, [self, buffer, done = std::move(done)](int error) {
      --self->outstanding;
      if (!self->closed) done(error, SectorView(buffer->bytes()));
      if (self->spare.size() < kMaxSpare) self->spare.push_back(buffer);
    });
  }

  BufferPtr encode_half(uint8_t first) const {
    auto buffer = std::make_shared<AlignedBytes>(kCopiesPerHalf * kSectorBytes);
    for (uint8_t i = 0; i < kCopiesPerHalf; ++i) {
      encode_superblock(chain.last, static_cast<uint8_t>(first + i),
                        SectorSpan(buffer->bytes().subspan(i * kSectorBytes, kSectorBytes)));
    }
    return buffer;
  }

  void write_halves_from(uint8_t first, Done done) {
    const uint64_t offset = chain.last.layout.superblock_copy(first);
    const auto next = static_cast<uint8_t>(first + kCopiesPerHalf);
    write(offset, encode_half(first), [this, next, done = std::move(done)](int error) mutable {
      if (error != 0 || next >= kSuperblockCopies) {
        record_in_flight = false;
        done(error);
      } else if (failed) {  // another write failed in between: this disk gets nothing more
        record_in_flight = false;
        done(EIO);
      } else {
        write_halves_from(next, std::move(done));
      }
    });
  }

  static constexpr size_t kMaxSpare = 64;

  BlockDevice& device;
  SuperblockChain chain;
  std::vector<BufferPtr> spare;
  size_t outstanding = 0;
  bool record_in_flight = false;
  bool failed = false;
  bool closed = false;
};

MetaStore::MetaStore(BlockDevice& device, SuperblockChain chain) : state_(std::make_shared<State>(device, std::move(chain))) {
  CHECK(device.info().block_bytes <= kSectorBytes);
}

MetaStore::~MetaStore() { state_->closed = true; }

const Layout& MetaStore::layout() const { return state_->chain.last.layout; }
bool MetaStore::failed() const { return state_->failed; }
size_t MetaStore::outstanding() const { return state_->outstanding; }

void MetaStore::write_record(std::shared_ptr<const NodeRecord> record, Done done) {
  State& state = *state_;
  if (state.failed) return done(EIO);
  CHECK(!state.record_in_flight);
  CHECK(record->disk == state.chain.last.record.disk);  // drawn by create-md, for ever; pages carry it
  state.record_in_flight = true;
  state.chain.last = next_superblock(state.chain, *record);
  state.chain.checksum = checksum_of(state.chain.last);
  state.write_halves_from(0, std::move(done));
}

void MetaStore::write_intent_page(uint32_t page, uint64_t sequence, std::shared_ptr<const BitPage> bits, Done done) {
  State& state = *state_;
  if (state.failed) return done(EIO);
  CHECK(page < layout().intent_pages);
  auto buffer = state.take_sector();
  const PageId id = intent_page_id(page, sequence, state.chain.last.record.disk);
  encode_bit_page(id, sequence, *bits, SectorSpan(buffer->bytes()));
  state.write(layout().intent_slot(page, id.index), std::move(buffer), std::move(done));
}

void MetaStore::write_bitmap_page(Seat peer, uint32_t page, std::shared_ptr<const BitPage> bits, Done done) {
  State& state = *state_;
  if (state.failed) return done(EIO);
  CHECK(page < layout().bitmap_pages);
  if (peer.value >= layout().bitmap_slots) return done(EINVAL);
  auto buffer = state.take_sector();
  const PageId id = bitmap_page_id(peer, page, state.chain.last.record.disk);
  encode_bit_page(id, 0, *bits, SectorSpan(buffer->bytes()));
  state.write(layout().bitmap_page(peer, page), std::move(buffer), std::move(done));
}

void MetaStore::write_digest_page(uint64_t page, const DigestPage& digests, Done done) {
  State& state = *state_;
  if (state.failed) return done(EIO);
  CHECK(page < layout().digest_pages());
  auto buffer = state.take_sector();
  encode_digest_page(page, state.chain.last.record.disk, digests, SectorSpan(buffer->bytes()));
  state.write(layout().digest_page(page), std::move(buffer), std::move(done));
}

void MetaStore::read_digest_page(uint64_t page, std::function<void(const DigestPage*)> done) {
  State& state = *state_;
  CHECK(page < layout().digest_pages());
  state.read(layout().digest_page(page),
             [page, disk = state.chain.last.record.disk, done = std::move(done)](int error, SectorView sector) {
               const auto found = error == 0 ? decode_digest_page(page, disk, sector) : std::nullopt;
               done(found ? &*found : nullptr);
             });
}

}  // namespace lockstep
