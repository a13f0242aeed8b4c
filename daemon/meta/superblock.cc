#include "meta/superblock.h"

#include <algorithm>
#include <vector>

#include "base/crc32c.h"
#include "base/endian.h"
#include "core/codec/tenure_codec.h"
#include "core/volumes.h"

namespace lockstep {

namespace {

constexpr size_t kContentAt = 16;  // behind magic, checksum, version, kind and copy
constexpr size_t kFixedBytes = 4 + 4 + 2 + 1 + 1 + 6 * 8 + 2 * 4 + 16 + 1 + 1 + 2 + 8 + 16 + 8 + kMaxDataNodes * 16 + 16;
static_assert(kFixedBytes + 1 + kMaxTenureBytes + kMaxAcceptorRecordBytes + kMaxVoterMemoryBytes + kMaxVolumeShapesBytes <=
              kSectorPayloadBytes);

void encode_layout(ByteWriter& out, const Layout& layout) {
  out.put(static_cast<uint8_t>(layout.placement));
  out.put(layout.bitmap_slots);
  out.put(layout.data_device_bytes);
  out.put(layout.meta_device_bytes);
  out.put(layout.data_bytes);
  out.put(layout.superblock_offset);
  out.put(layout.intent_offset);
  out.put(layout.bitmap_offset);
  out.put(layout.intent_pages);
  out.put(layout.bitmap_pages);
}

Layout decode_layout(ByteReader& in) {
  Layout layout;
  const auto placement = in.get<uint8_t>();
  if (placement > static_cast<uint8_t>(Placement::external)) in.fail();
  layout.placement = placement == 0 ? Placement::internal : Placement::external;
  layout.bitmap_slots = in.get<uint8_t>();
  layout.data_device_bytes = in.get<uint64_t>();
  layout.meta_device_bytes = in.get<uint64_t>();
  layout.data_bytes = in.get<uint64_t>();
  layout.superblock_offset = in.get<uint64_t>();
  layout.intent_offset = in.get<uint64_t>();
  layout.bitmap_offset = in.get<uint64_t>();
  layout.intent_pages = in.get<uint32_t>();
  layout.bitmap_pages = in.get<uint32_t>();
  return layout;
}

// Only what make_layout gives is accepted, so that no later arithmetic on a layout can leave its device. Where
// the digests lie, and how much the maps cover, is not stored: it follows.
bool complete_layout(Layout& layout, bool digests, const VolumeShapes& volumes) {
  VolumeShapes behind;
  for (size_t i = 1; i < volumes.size(); ++i) behind.push_back(volumes[i]);
  layout.digests = digests;
  layout.beyond_bytes = span_of(behind);
  const LayoutResult expected = make_layout(layout.placement, layout.data_device_bytes, layout.meta_device_bytes,
                                            layout.bitmap_slots, digests, layout.beyond_bytes);
  layout.digest_offset = expected.layout.digest_offset;
  layout.span_bytes = expected.layout.span_bytes;
  return expected.status == MetaStatus::ok && expected.layout == layout;
}

// The exported size may only be smaller than the place that the layout has for data.
bool sensible(const Superblock& superblock) {
  const NodeRecord& record = superblock.record;
  if (record.size_bytes > superblock.layout.span_bytes || record.disk.is_nil()) return false;
  if (record.volumes.empty()) return true;
  for (const VolumeShape& shape : record.volumes) {
    if (shape.size_bytes < kMinDataBytes || shape.size_bytes % kSectorBytes != 0) return false;
  }
  return record.volumes.size() > 1 && record.volumes[0].number == superblock.volume &&
         record.volumes[0].size_bytes == superblock.layout.data_bytes && record.size_bytes == span_of(record.volumes);
}

// The disk's uuid and nothing else of the record is in the sector's header.
void encode_record(ByteWriter& out, const NodeRecord& record) {
  out.put(record.resource);
  out.put(record.node.value);
  encode_flag(out, record.inconsistent);
  encode_flag(out, record.doubtful);
  encode_flag(out, record.outdated);
  out.put(record.start());
  out.put(record.boot);
  out.put(record.size_bytes);
  for (const PeerSlot& peer : record.peers) out.put(peer.disk);
  encode_optional_tenure(out, record.adopted);
  encode_acceptor_record(out, record.acceptor);
  encode_voter_memory(out, record.memory);
  out.put(record.given_up);
}

NodeRecord decode_record(ByteReader& in) {
  NodeRecord record;
  record.resource = in.get_uuid();
  record.node.value = in.get<uint8_t>();
  if (record.node.value >= kMaxDataNodes) in.fail();
  record.inconsistent = decode_flag(in);
  record.doubtful = decode_flag(in);
  record.outdated = decode_flag(in);
  const auto start = in.get<uint64_t>();
  record.boot = in.get_uuid();
  record.size_bytes = in.get<uint64_t>();
  for (PeerSlot& peer : record.peers) peer.disk = in.get_uuid();
  record.adopted = decode_optional_tenure(in);
  record.acceptor = decode_acceptor_record(in);
  record.memory = decode_voter_memory(in);
  record.given_up = in.get_uuid();
  // Zeroes where a superblock was written before runs were remembered: only the counter is known.
  if (record.start() == 0) record.memory.lineage.start = start;
  if (record.start() != start) in.fail();
  return record;
}

uint32_t features_of(const Superblock& superblock) {
  return (superblock.layout.digests ? kFeatureDigests : 0) | (superblock.record.volumes.empty() ? 0 : kFeatureVolumes);
}

}  // namespace

uint32_t superblock_checksum(SectorView sector) { return crc32c(sector.subspan(kContentAt)); }

void encode_superblock(const Superblock& superblock, uint8_t copy, SectorSpan sector) {
  std::vector<std::byte> bytes;
  bytes.reserve(kSectorPayloadBytes);
  ByteWriter out(bytes);
  out.put(superblock.parent_checksum);
  out.put(features_of(superblock));
  out.put(superblock.volume);
  encode_layout(out, superblock.layout);
  encode_record(out, superblock.record);
  if (!superblock.record.volumes.empty()) encode_volumes(out, superblock.record.volumes);
  CHECK(bytes.size() <= kSectorPayloadBytes);
  std::fill(sector.begin(), sector.end(), std::byte{0});
  std::copy(bytes.begin(), bytes.end(), payload_of(sector).begin());
  seal_sector(sector, {SectorKind::superblock, copy, 0, superblock.sequence, superblock.record.disk});
}

DecodedSuperblock decode_superblock(SectorView sector) {
  DecodedSuperblock decoded;
  const OpenedSector opened = open_sector(sector);
  decoded.status = opened.status;
  if (opened.status != MetaStatus::ok) return decoded;
  decoded.copy = opened.header.index;
  decoded.checksum = superblock_checksum(sector);
  decoded.status = MetaStatus::malformed;
  if (opened.header.kind != SectorKind::superblock || opened.header.sequence == 0) return decoded;
  ByteReader in(payload_of(sector));
  Superblock& superblock = decoded.superblock;
  superblock.sequence = opened.header.sequence;
  superblock.parent_checksum = in.get<uint32_t>();
  const auto features = in.get<uint32_t>();
  if ((features & ~(kFeatureDigests | kFeatureVolumes)) != 0) {
    decoded.status = MetaStatus::unsupported_feature;
    return decoded;
  }
  superblock.volume = in.get<uint16_t>();
  superblock.layout = decode_layout(in);
  superblock.record = decode_record(in);
  superblock.record.disk = opened.header.disk;
  if ((features & kFeatureVolumes) != 0) superblock.record.volumes = decode_volumes(in);
  if (!in.ok() || !complete_layout(superblock.layout, (features & kFeatureDigests) != 0, superblock.record.volumes))
    return decoded;
  if (sensible(superblock) && features == features_of(superblock)) decoded.status = MetaStatus::ok;
  return decoded;
}

}  // namespace lockstep
