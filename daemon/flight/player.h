// Plays a recording: the same Replica, told the same, must do the same. One step a call, so that every step can be looked at.
//
// Without its beginning a recording is only read: there is no Replica, and steps have no effects but those that were told.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/replica.h"
#include "flight/about.h"
#include "flight/beginning_codec.h"
#include "flight/entry_reader.h"
#include "flight/event_codec.h"
#include "flight/told_codec.h"

namespace lockstep::flight {

// Where a replay parts from what was recorded. Parts of the state are told apart when a digest follows; before that, only that the
// effects differ.
struct Difference {
  uint64_t event = 0;  // after this one
  std::string what;
};

class Player {
 public:
  // `file` outlives it. Error: what is wrong with it, as Error::where.
  static Result<Player> open(std::span<const std::byte> file);

  bool replays() const { return replica_.has_value(); }
  const About& about() const { return about_; }

  struct Step {
    uint64_t number = 0;  // of the event, from 0
    Instant now;
    Event event;
    Effects effects;  // only those that were told, when replays() is false
  };
  // Nothing at the end, at a difference, or where the recording cannot be read on.
  std::optional<Step> next();

  const std::optional<Difference>& difference() const { return difference_; }
  // Of the end: the resource went down in order; otherwise the recording was cut off (the daemon was killed, or still runs).
  bool closed() const { return closed_; }
  // What is unreadable before the end of the file; empty: nothing is.
  const std::string& damage() const { return damage_; }
  uint64_t states_compared() const { return states_compared_; }
  uint64_t steps() const { return steps_; }
  const Replica& replica() const { return *replica_; }
  Instant now() const { return base_.now; }

 private:
  explicit Player(EntryReader reader) : reader_(std::move(reader)) {}
  bool read_beginning();
  std::optional<Entry> take();
  std::optional<Step> step_of(const Entry& entry);
  void look_behind(Step& step);
  bool take_behind(const Entry& entry, Step& step);
  void compare(const Entry& entry, const Step& step);
  void damaged(const std::string& what);

  EntryReader reader_;
  BeginningReader beginning_;
  About about_;
  std::optional<Replica> replica_;
  std::optional<Entry> ahead_;
  Baselines base_;
  Trail trail_;
  std::vector<std::byte> scratch_;
  std::optional<Difference> difference_;
  std::string damage_;
  bool closed_ = false;
  uint64_t states_compared_ = 0;
  uint64_t steps_ = 0;
};

}  // namespace lockstep::flight
