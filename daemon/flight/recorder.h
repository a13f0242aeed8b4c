// Records a Replica while it runs: everything that it is told, before it is told, and now and then a digest of what it has become.
// The shell that runs the Replica calls it. docs/flight.md says what the bytes are.
#pragma once

#include <vector>

#include "core/replica.h"
#include "flight/about.h"
#include "flight/beginning_codec.h"
#include "flight/digest.h"
#include "flight/entry_writer.h"

namespace lockstep::flight {

class Recorder {
 public:
  // Of a Replica that is made from the same `beginning`. `space` outlives it. If the space has no room at all, ok() is false.
  Recorder(Space& space, const About& about, const Beginning& beginning);
  bool ok() const { return entries_.ok(); }
  uint64_t bytes_written() const { return entries_.bytes_written(); }

  void before(Instant now, const Event& event);
  void after(Instant now, const Replica& replica, const Effects& effects);
  // The resource went down in order.
  void closed(Instant now, const Replica& replica);

 private:
  void write_state(Instant now, const Replica& replica);

  EntryWriter entries_;
  Trail trail_;
  uint64_t since_state_ = 0;  // events
  std::vector<std::byte> scratch_;
};

// Events between two digests, at most.
constexpr uint64_t kEventsPerState = 4096;

}  // namespace lockstep::flight
