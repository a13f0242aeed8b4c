// The clients: a few on every node, each with one request in flight while its node serves. Requests meet on
// purpose in few blocks. Each write carries a version of its own; a block is zeroed or trimmed at most once
// (history.h says why).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "sim/oracle.h"
#include "sim/sim_node.h"

namespace lockstep::sim {

struct WorkloadShape {
  int clients = 4;  // per node
  int readers = 2;  // per node, besides: they go on where a writer would wait for a lost peer
  Duration think_fastest = microseconds(200);
  Duration think_slowest = milliseconds(60);
  int reads = 40, flushes = 5, zeroes = 4, trims = 4;  // percent; the rest writes
  int fua = 12;                                        // percent of the writes
  uint64_t window_blocks = 12;                         // per extent, where requests meet
  // All requests go to two of the windows for so long, and then to the next two: the other extents cool, so that a difference there is
  // covered by a dirty bit or by nothing. Zero: everywhere at any time.
  Duration focus;
};

class Workload {
 public:
  Workload(EventQueue& queue, Prng prng, Oracle& oracle, Coverage& coverage, uint64_t blocks, const WorkloadShape& shape);

  void add_node(SimNode* node) { sessions_[node->seat()].node = node; }
  void serve(Seat seat, bool serving);  // RoleChanged
  void hold(Seat seat, bool held);      // clients are asked to leave, or may come back
  void stop();                          // no further requests anywhere
  size_t in_flight(Seat seat) const { return sessions_.at(seat).outstanding.size(); }
  void answered(Seat seat, ClientIo io, IoStatus status, Payload payload);
  void process_ended(Seat seat);
  // Reads every block that was ever in reach of a request; `done(ok)` when all are answered.
  void read_back(Seat seat, std::function<void(bool)> done);
  // One request, for tests. Gives its index in the history.
  uint64_t issue(Seat seat, const ClientOp& op, bool reader = false);
  const std::vector<uint64_t>& windows() const { return windows_; }
  uint64_t issued() const { return issued_; }

 private:
  struct Session {
    SimNode* node = nullptr;
    bool serving = false;
    bool held = false;
    uint64_t generation = 0;
    uint64_t next_io = 1;
    struct Asked {
      uint64_t op = 0;  // index in the history
      bool reader = false;
    };
    std::map<ClientIo, Asked> outstanding;
  };
  void client(Seat seat, uint64_t generation, bool reader);
  ClientOp draw(bool reader);
  Range draw_range();
  bool in_reach(uint64_t first, uint64_t blocks) const;
  uint64_t reachable_window();
  uint64_t draw_window();
  bool any_zeroed(const Range& range) const;
  void start_clients(Session& session, Seat seat);

  EventQueue& queue_;
  Prng prng_;
  Oracle& oracle_;
  Coverage& coverage_;
  WorkloadShape shape_;
  std::vector<uint64_t> windows_;  // first block of each window
  std::map<Seat, Session> sessions_;
  bool stopped_ = false;
  uint64_t issued_ = 0;
  size_t reading_back_ = 0;
  bool read_back_ok_ = true;
  std::function<void(bool)> read_back_done_;
};

}  // namespace lockstep::sim
