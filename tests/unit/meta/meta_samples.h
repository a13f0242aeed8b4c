// Values for the metadata tests: a record with every field in use, and sizes.
#pragma once

#include "core/volumes.h"
#include "meta/bit_page.h"
#include "meta/digest_page.h"
#include "meta/superblock.h"
#include "meta/superblock_quorum.h"

namespace lockstep::samples {

constexpr uint64_t kMiB = 1024 * 1024;

inline Tenure tenure(uint64_t number) {
  Tenure t;
  t.history = Uuid::from_words(0x1111, 0x2222);
  t.parent = Uuid::from_words(0x3333, 0x4444);
  t.number = number;
  t.origin = {7, {1}, 3};
  t.primary = Holder{{1}, Uuid::from_words(5, 6), 3};
  t.clean = false;
  t.members = {Seat{0}, Seat{1}};
  t.voter_set = 2;
  t.voters.push_back({{0}, Uuid::from_words(0xa0, 1)});
  t.voters.push_back({{1}, Uuid::from_words(0xa1, 1)});
  t.voters.push_back({witness_seat(0), Uuid{}});
  t.volumes.push_back({0, 60 * kMiB});
  return t;
}

inline NodeRecord record() {
  NodeRecord r;
  r.resource = Uuid::from_words(0x7265736f75726365, 0x0123456789abcdef);
  r.node = {1};
  r.disk = Uuid::from_words(0xd15c, 0xd15d);
  r.memory.lineage.start = 9;
  r.boot = Uuid::from_words(0xb007, 1);
  r.inconsistent = true;
  r.given_up = Uuid::from_words(0x91e, 0x0b);
  r.adopted = tenure(41);
  r.peers[0].disk = Uuid::from_words(0xd15c, 0);
  r.peers[15].disk = Uuid::from_words(0xd15c, 15);
  r.acceptor.acceptor = Uuid::from_words(0xacce, 0x9701);
  r.acceptor.promised = {8, {0}, 5};
  r.acceptor.accepted = {7, {1}, 3};
  r.acceptor.tenure = tenure(42);
  r.acceptor.longest_lease = milliseconds(3000);
  r.memory.lineage.tokens = {0x901, 0x801, 0x701, 0x601, 0x501, 0x401, 0x301, 0x201};
  r.memory.known[0][0] = {Uuid::from_words(0xacce, 0x9700), 12, 0xc01};
  r.memory.known[16][0] = {Uuid::from_words(0xacce, 0x9716), 2, 0x216};
  r.memory.known[16][1] = {Uuid::from_words(0xacce, 0x9717), 3, 0x317};
  return r;
}

inline Superblock superblock(uint64_t sequence = 5, uint32_t parent = 0xfeedbeef) {
  Superblock s;
  s.sequence = sequence;
  s.parent_checksum = parent;
  s.volume = 2;
  s.layout = make_layout(Placement::internal, 64 * kMiB, 0, kDefaultBitmapSlots).layout;
  s.record = record();
  s.record.size_bytes = s.layout.data_bytes;
  return s;
}

inline Superblock superblock_of_volumes() {
  Superblock s = superblock();
  VolumeShapes behind;
  behind.push_back({3, 16 * kMiB});
  behind.push_back({7, 5 * kMiB});
  s.layout = make_layout(Placement::internal, 64 * kMiB, 0, kDefaultBitmapSlots, false, span_of(behind)).layout;
  s.record.volumes.push_back({s.volume, s.layout.data_bytes});
  for (const VolumeShape& shape : behind) s.record.volumes.push_back(shape);
  s.record.size_bytes = span_of(s.record.volumes);
  return s;
}

inline Superblock superblock_with_digests() {
  Superblock s = superblock();
  s.layout = make_layout(Placement::internal, 64 * kMiB, 0, kDefaultBitmapSlots, true).layout;
  s.record.size_bytes = s.layout.data_bytes;
  return s;
}

inline DigestPage digests(uint64_t seed) {
  DigestPage page{};
  for (size_t i = 0; i < page.size(); ++i) {
    for (size_t k = 0; k < kDigestBytes; ++k) page[i][k] = static_cast<std::byte>((seed + i) * 31 + k * 7);
  }
  return page;
}

inline BitPage bits(uint64_t seed) {
  BitPage page;
  for (size_t i = 0; i < page.size(); ++i) page[i] = (seed + i) * 0x9e3779b97f4a7c15;
  return page;
}

}  // namespace lockstep::samples
