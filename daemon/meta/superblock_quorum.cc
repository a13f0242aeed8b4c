#include "meta/superblock_quorum.h"

#include "base/check.h"

namespace lockstep {

namespace {

using Copies = std::array<CopyRead, kSuperblockCopies>;

bool intact(const Copies& copies, uint32_t i) {
  const CopyRead& copy = copies[i];
  return !copy.io_error && copy.decoded.status == MetaStatus::ok && copy.decoded.copy == i;
}

// What to say when not one copy is intact: the finding that tells most.
MetaStatus explain_nothing(const Copies& copies) {
  MetaStatus worst = MetaStatus::no_metadata;
  for (const CopyRead& copy : copies) {
    const MetaStatus found = copy.io_error                           ? MetaStatus::io_error
                             : copy.decoded.status == MetaStatus::ok ? MetaStatus::damaged  // misdirected
                                                                     : copy.decoded.status;
    if (worst == MetaStatus::no_metadata || (worst == MetaStatus::damaged && found != MetaStatus::no_metadata)) {
      worst = found;
    }
  }
  return worst;
}

// A copy that a later version wrote means that this version must keep its hands off, whatever the others say.
bool is_from_the_future(const Copies& copies, MetaStatus& status) {
  for (const CopyRead& copy : copies) {
    if (copy.io_error) continue;
    if (copy.decoded.status != MetaStatus::unsupported_version && copy.decoded.status != MetaStatus::unsupported_feature) {
      continue;
    }
    status = copy.decoded.status;
    return true;
  }
  return false;
}

int find_newest(const Copies& copies) {
  int newest = -1;
  for (uint32_t i = 0; i < kSuperblockCopies; ++i) {
    if (!intact(copies, i)) continue;
    if (newest < 0 || copies[i].decoded.superblock.sequence > copies[newest].decoded.superblock.sequence) {
      newest = static_cast<int>(i);
    }
  }
  return newest;
}

CopyState judge(const Copies& copies, uint32_t i, const DecodedSuperblock& newest) {
  if (copies[i].io_error) return CopyState::unreadable;
  if (!intact(copies, i)) return CopyState::damaged;
  const uint64_t sequence = copies[i].decoded.superblock.sequence;
  if (sequence == newest.superblock.sequence) return CopyState::current;
  return sequence + 1 == newest.superblock.sequence ? CopyState::parent : CopyState::stale;
}

bool contradicts(const DecodedSuperblock& copy, CopyState state, const DecodedSuperblock& newest) {
  switch (state) {
    case CopyState::current:
      return copy.checksum != newest.checksum;
    case CopyState::parent:
      return copy.checksum != newest.superblock.parent_checksum;
    case CopyState::stale:
    case CopyState::damaged:
    case CopyState::unreadable:
      return false;
  }
  UNREACHABLE("CopyState");
}

void plan_repairs(Quorum& quorum) {
  const auto add_all = [&quorum](auto&& wanted) {
    for (uint8_t i = 0; i < kSuperblockCopies; ++i) {
      if (wanted(quorum.states[i])) quorum.repair_order[quorum.repairs++] = i;
    }
  };
  add_all([](CopyState s) { return s == CopyState::damaged || s == CopyState::unreadable || s == CopyState::stale; });
  add_all([](CopyState s) { return s == CopyState::parent; });
}

}  // namespace

std::string_view name_of(CopyState state) {
  switch (state) {
    case CopyState::current:
      return "current";
    case CopyState::parent:
      return "parent";
    case CopyState::stale:
      return "stale";
    case CopyState::damaged:
      return "damaged";
    case CopyState::unreadable:
      return "unreadable";
  }
  UNREACHABLE("CopyState");
}

Quorum choose_superblock(const Copies& copies) {
  Quorum quorum;
  for (uint32_t i = 0; i < kSuperblockCopies; ++i) {
    quorum.states[i] = copies[i].io_error ? CopyState::unreadable : CopyState::damaged;
  }
  if (is_from_the_future(copies, quorum.status)) return quorum;
  const int newest_index = find_newest(copies);
  if (newest_index < 0) {
    quorum.status = explain_nothing(copies);
    return quorum;
  }
  const DecodedSuperblock& newest = copies[newest_index].decoded;
  uint32_t vouching = 0;
  bool fork = false;
  for (uint32_t i = 0; i < kSuperblockCopies; ++i) {
    quorum.states[i] = judge(copies, i, newest);
    if (quorum.states[i] == CopyState::current || quorum.states[i] == CopyState::parent) ++vouching;
    if (contradicts(copies[i].decoded, quorum.states[i], newest)) fork = true;
  }
  quorum.superblock = newest.superblock;
  quorum.checksum = newest.checksum;
  quorum.status = fork ? MetaStatus::fork : vouching < 2 ? MetaStatus::no_quorum : MetaStatus::ok;
  if (quorum.status == MetaStatus::ok) plan_repairs(quorum);
  return quorum;
}

}  // namespace lockstep
