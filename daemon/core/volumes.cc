#include "core/volumes.h"

#include <algorithm>

namespace lockstep {

namespace {

constexpr uint64_t kLargest = uint64_t{1} << 56;  // of one volume: sums of kMaxVolumes of them cannot overflow

uint64_t whole_extents(uint64_t bytes) { return (bytes + kExtentBytes - 1) / kExtentBytes * kExtentBytes; }

}  // namespace

uint64_t volume_base(const VolumeShapes& volumes, size_t index) {
  uint64_t base = 0;
  for (size_t i = 0; i < index; ++i) base += whole_extents(volumes[i].size_bytes);
  return base;
}

uint64_t span_of(const VolumeShapes& volumes) {
  if (volumes.empty()) return 0;
  const size_t last = volumes.size() - 1;
  return volume_base(volumes, last) + volumes[last].size_bytes;
}

VolumeShapes volumes_of(const NodeRecord& record) {
  if (!record.volumes.empty()) return record.volumes;
  VolumeShapes one;
  one.push_back({0, record.size_bytes});
  return one;
}

std::optional<VolumePlace> place_of(const VolumeShapes& volumes, uint64_t address) {
  uint64_t base = 0;
  for (size_t i = 0; i < volumes.size(); ++i) {
    if (address < base) return std::nullopt;
    if (address - base < volumes[i].size_bytes) return VolumePlace{i, address - base};
    base += whole_extents(volumes[i].size_bytes);
  }
  return std::nullopt;
}

bool within_a_volume(const VolumeShapes& volumes, const Range& range) {
  if (range.empty()) return false;
  const auto place = place_of(volumes, range.offset);
  return place && range.length <= volumes[place->index].size_bytes - place->offset;
}

bool same_volumes(const VolumeShapes& one, const VolumeShapes& other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](const VolumeShape& a, const VolumeShape& b) { return a.number == b.number; });
}

bool room_for(const VolumeShapes& wanted, const VolumeShapes& room) {
  return std::equal(wanted.begin(), wanted.end(), room.begin(), room.end(), [](const VolumeShape& need, const VolumeShape& have) {
    return need.number == have.number && need.size_bytes <= have.size_bytes;
  });
}

bool in_order(const VolumeShapes& volumes) {
  for (size_t i = 0; i < volumes.size(); ++i) {
    if (volumes[i].size_bytes > kLargest || (i > 0 && volumes[i].number <= volumes[i - 1].number)) return false;
  }
  return true;
}

}  // namespace lockstep
