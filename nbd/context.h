// Metadata contexts: what BLOCK_STATUS can tell of an export [Metadata querying]. base:allocation is always there; an export's owner may have
// more of its own (ExportInfo::contexts). On the wire a context has a number, which is chosen here: the same for every client of an export.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "nbd/protocol.h"

namespace lockstep::nbd {

constexpr std::string_view kBaseAllocation = "base:allocation";

// The number of an owner's context, by its place in ExportInfo::contexts.
constexpr uint32_t own_context_id(size_t index) { return kBaseAllocationId + 1 + static_cast<uint32_t>(index); }

// A set of contexts by number; small numbers only.
class ContextSet {
 public:
  static constexpr uint32_t kMost = 32;

  constexpr ContextSet() = default;
  static constexpr ContextSet of(uint32_t id) {
    ContextSet set;
    set.add(id);
    return set;
  }

  // Others than there can be are in no set.
  constexpr bool has(uint32_t id) const { return id < kMost && (bits_ >> id & 1) != 0; }
  constexpr void add(uint32_t id) { bits_ |= id < kMost ? uint32_t{1} << id : 0; }
  constexpr void remove(uint32_t id) { bits_ &= id < kMost ? ~(uint32_t{1} << id) : ~uint32_t{0}; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr size_t size() const { return static_cast<size_t>(std::popcount(bits_)); }
  // In the order of their numbers.
  template <class Visit>
  constexpr void each(Visit visit) const {
    for (uint32_t rest = bits_; rest != 0; rest &= rest - 1) visit(static_cast<uint32_t>(std::countr_zero(rest)));
  }
  friend constexpr ContextSet operator&(const ContextSet& a, const ContextSet& b) {
    ContextSet both;
    both.bits_ = a.bits_ & b.bits_;
    return both;
  }
  friend constexpr bool operator==(const ContextSet&, const ContextSet&) = default;

 private:
  uint32_t bits_ = 0;
};

}  // namespace lockstep::nbd
