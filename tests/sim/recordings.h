// Recordings of simulated nodes, as the daemon makes them: one of each run of a process. They go where their owner wants them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "flight/memory_space.h"
#include "flight/recorder.h"

namespace lockstep::sim {

struct Recording {
  Seat node;
  uint64_t start = 0;            // the node's start counter
  NodeRecord last;               // what the replica wanted its record to be at the end
  std::vector<std::byte> bytes;  // of the file
};
using RecordingSink = std::function<void(Recording)>;

// Of one run of a node's process; handed to the sink by finish().
class RunRecording {
 public:
  explicit RunRecording(const flight::Beginning& beginning);
  flight::Recorder& recorder() { return recorder_; }
  void finish(const Replica& replica, const RecordingSink& sink);

 private:
  Seat node_;
  uint64_t start_;
  flight::MemorySpace space_;
  flight::Recorder recorder_;
};

// Writes seed-SEED-nN-START.flight for each recording.
RecordingSink write_recordings(const std::string& directory, uint64_t seed);

}  // namespace lockstep::sim
