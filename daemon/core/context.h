// What every part of a Replica shares during a step: configuration, the durable record, the time, and where effects go.
#pragma once

#include <map>
#include <type_traits>
#include <utility>

#include "base/time.h"
#include "core/config.h"
#include "core/durable.h"
#include "core/effect.h"

namespace lockstep {

struct Context {
  CoreConfig config;
  NodeRecord record;
  Instant now;
  Effects* out = nullptr;  // set for the duration of a step
  uint64_t last_id = 0;
  uint64_t looks = 0;                      // how often ReplicaImpl looked around: ages of what is under way count in them
  std::map<MetaToken, uint64_t> metadata;  // writes of metadata under way, and when they began

  uint64_t fresh_id() { return ++last_id; }
  template <class E>
  void emit(E effect) {
    if constexpr (std::is_same_v<E, WriteRecord> || std::is_same_v<E, WriteIntentPage> || std::is_same_v<E, WriteBitmapPage> ||
                  std::is_same_v<E, SealExtent>)
      metadata.emplace(effect.token, looks);
    out->emplace_back(std::move(effect));
  }
  void note(Notice notice, Seat seat = kNoSeat, uint64_t a = 0) { emit(Note{notice, seat, a}); }
  Holder self_holder() const { return {config.self, record.boot, record.start()}; }
};

}  // namespace lockstep
