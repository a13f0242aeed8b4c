#include "sim/sim_digests.h"

#include <algorithm>
#include <cerrno>

#include <fmt/format.h>

#include "base/endian.h"
#include "sim/block_look.h"

namespace lockstep::sim {

BlockDigest digest_of(uint64_t version) {
  BlockDigest digest;
  put_le(digest.data(), version);
  put_le(digest.data() + sizeof(version), ~version);  // none is all zeroes
  return digest;
}

SimDigests::SimDigests(SimDisk& disk, const BitVector& in_doubt, size_t most_pages, std::function<void(const std::string&)> fault)
    : disk_(disk), fault_(std::move(fault)), table_(*this, disk.blocks(), in_doubt, most_pages) {}

void SimDigests::submit(const DiskIo& io, Payload payload, const Payload& compared_with, SimDisk::DataDone done) {
  const std::weak_ptr<bool> alive = alive_;
  if (io.kind == OpKind::flush) return disk_.submit(io, std::move(payload), std::move(done));
  if (io.kind == OpKind::read) {
    const auto id = table_.read_begins(io.range);
    return disk_.submit(io, nullptr, [=, this, done = std::move(done)](IoStatus status, const Payload& read) {
      if (!alive.expired()) read_done(io, id, status, read, compared_with, done);
    });
  }
  table_.change_begins(io.range);
  disk_.submit(io, payload, [=, this, done = std::move(done)](IoStatus status, Payload nothing) {
    if (alive.expired()) return;
    change_done(io, status, payload);
    table_.when_roomy([done, status, nothing = std::move(nothing)] { done(status, nothing); });
  });
}

void SimDigests::change_done(const DiskIo& io, IoStatus status, const Payload& payload) {
  if (status == IoStatus::ok && io.kind != OpKind::write) return table_.change_ends_alike(io.range, digest_of(kZeroVersion));
  std::vector<BlockDigest> digests;
  for (size_t i = 0; status == IoStatus::ok && i < payload->size(); ++i) digests.push_back(digest_of((*payload)[i]));
  table_.change_ends(io.range, digests);
}

void SimDigests::read_done(const DiskIo& io, DigestTable::ReadId id, IoStatus status, const Payload& payload,
                           const Payload& compared_with, const SimDisk::DataDone& done) {
  if (status != IoStatus::ok) {
    table_.read_failed(id);
    return done(status, nullptr);
  }
  std::vector<BlockDigest> digests;
  for (uint64_t version : *payload) digests.push_back(digest_of(version));
  BlockMask learn = io.look == Look::digests ? ~BlockMask{0} : 0;
  if (io.look == Look::compare) learn = ~differing(*payload, *compared_with);
  table_.read_ends(id, std::move(digests), learn, [this, payload, done](const DigestTable::Verdict& verdict) {
    if (verdict.wrong == 0) return done(IoStatus::ok, payload);
    const auto rotten = [](uint64_t version) { return (version & kRotten) != 0; };
    if (std::none_of(payload->begin(), payload->end(), rotten))
      fault_(fmt::format("block {} is called wrong, and is right", verdict.first));
    done(IoStatus::corrupt, nullptr);
  });
}

void SimDigests::read(uint64_t page, Read done) {
  disk_.read_digest_page(page, [alive = std::weak_ptr<bool>(alive_), done = std::move(done)](const DigestPage* found) {
    if (!alive.expired()) done(found);
  });
}

void SimDigests::write(uint64_t page, const DigestPage& digests, Written done) {
  if (metadata_failed_) return done(EIO);
  disk_.write(WriteDigestPage{page, std::make_shared<const DigestPage>(digests)},
              [alive = std::weak_ptr<bool>(alive_), done = std::move(done)](bool ok) {
                if (!alive.expired()) done(ok ? 0 : EIO);
              });
}

}  // namespace lockstep::sim
