#include "meta/volume_label.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "base/endian.h"

namespace lockstep {

uint64_t labelled_data_bytes(uint64_t device_bytes) {
  const SuperblockPlace place = find_superblock(Placement::internal, device_bytes);
  return place.fits && place.offset >= kMinDataBytes ? place.offset : 0;
}

void encode_volume_label(const VolumeLabel& label, uint8_t copy, SectorSpan sector) {
  std::vector<std::byte> bytes;
  ByteWriter out(bytes);
  out.put(label.resource);
  out.put(label.node.value);
  out.put(label.volume);
  out.put(label.data_bytes);
  CHECK(bytes.size() <= kSectorPayloadBytes);
  std::fill(sector.begin(), sector.end(), std::byte{0});
  std::copy(bytes.begin(), bytes.end(), payload_of(sector).begin());
  seal_sector(sector, {SectorKind::label, copy, 0, 1, label.disk});
}

DecodedLabel decode_volume_label(SectorView sector) {
  DecodedLabel decoded;
  const OpenedSector opened = open_sector(sector);
  decoded.status = opened.status;
  if (opened.status != MetaStatus::ok) return decoded;
  decoded.status = MetaStatus::malformed;
  if (opened.header.kind != SectorKind::label) return decoded;
  decoded.copy = opened.header.index;
  ByteReader in(payload_of(sector));
  VolumeLabel& label = decoded.label;
  label.disk = opened.header.disk;
  label.resource = in.get_uuid();
  label.node.value = in.get<uint8_t>();
  label.volume = in.get<uint16_t>();
  label.data_bytes = in.get<uint64_t>();
  const bool sensible = label.node.value < kMaxDataNodes && label.data_bytes >= kMinDataBytes && !label.disk.is_nil();
  if (in.ok() && sensible && label.data_bytes % kSectorBytes == 0) decoded.status = MetaStatus::ok;
  return decoded;
}

}  // namespace lockstep
