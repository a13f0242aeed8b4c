// The operator and the cluster manager in one: creates the resource, keeps one node Primary, switches over,
// retries what was refused, and carries out fences. It knows what a real one could know: which processes
// answer, and what they say.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "sim/sim_node.h"
#include "sim/workload.h"

namespace lockstep::sim {

struct ManagerShape {
  Duration poll = milliseconds(150);
  int fence_completes = 70;  // percent of the wanted fences; the others fail in one way or another
  int fence_late = 15;
  int report_late = 20;
  int report_twice = 10;
  int outdates = 0;                // percent of the wanted fences that ask the peer to declare itself Outdated instead
  Duration patience = seconds(4);  // with a Primary that does not answer, before another is promoted
  uint64_t volume_bytes = 0;       // of what is created; 0: as large as the disk
  size_t founders = 0;             // with how many of the nodes the resource is created; 0: all
  bool hasty = false;              // creates the resource before everybody is connected
};

class Manager {
 public:
  Manager(SimContext context, Prng prng, Workload& workload, const ManagerShape& shape)
      : context_(context), prng_(prng), workload_(workload), shape_(shape) {}

  void add_node(SimNode* node) { nodes_.push_back(node); }
  void begin();

  void admin_answered(Seat node, AdminId id, bool ok, Reason reason);
  void process_ended(Seat node);
  // The handler that has to run before a resync: it ends well, after a while; or does not, and is asked again.
  void resync_wanted(Seat node, Seat peer, uint64_t episode);
  void fence_wanted(Seat node, Seat peer, Boot evidence);
  void request_switch_over() { switch_wanted_ = true; }
  // Another operator promotes this node, again and again for a while, whatever the manager does meanwhile.
  void rival(SimNode& node, Duration patience);
  // Once, also where nobody should be.
  void promote_anyway(SimNode& node);
  // A command of the fault plan, besides the manager's own. False when something is under way.
  bool command(SimNode& node, AdminOp op, std::function<void(bool)> then, Seat peer = {});
  // Nobody promotes this node: it may belong to a history that was left.
  void forbid(Seat node, bool forbidden) { forbidden ? forbidden_.insert(node) : forbidden_.erase(node); }

  bool created() const { return created_; }
  // A command is under way.
  bool busy() const { return command_.has_value(); }
  uint64_t resyncs_allowed_ = 0;
  int fences_under_way() const { return fences_under_way_; }
  SimNode* primary() const;
  // Nobody is promoted while it rests.
  void rest(bool resting) { resting_ = resting; }
  bool resting() const { return resting_; }
  // While healing: no more switch-overs, no fences that fail.
  void calm() {
    calm_ = true;
    switch_wanted_ = false;
  }

 private:
  using Then = std::function<void(bool, Reason)>;
  struct Command {
    AdminId id;
    Seat node;
    AdminOp op = AdminOp::primary;
    Instant since;
    Then then;
  };
  void poll();
  void create();
  void supervise();
  void supervise_primary(SimNode& node);
  void switch_over(SimNode& node);
  void promote_somebody();
  void rival_try(SimNode& node, Instant until);
  void count_promotion(Seat node, bool ok, Reason reason);
  void send(SimNode& node, AdminOp op, Then then, Seat peer = {});
  struct FenceReport {  // to whom, and about what
    Seat by;
    uint64_t start = 0;  // of the daemon that runs the handler
    Seat peer;
    Boot evidence;
  };
  void ask_to_stand_aside(const FenceReport& report);
  void fence(Seat by, Seat peer);
  void finish_fence(const FenceReport& report, int status);
  void tell(const FenceReport& report, int status);
  SimNode& node(Seat seat);
  SimNode* other(const SimNode& than) const;
  size_t founders() const { return shape_.founders == 0 ? nodes_.size() : shape_.founders; }

  SimContext context_;
  Prng prng_;
  Workload& workload_;
  ManagerShape shape_;
  std::vector<SimNode*> nodes_;
  SeatSet forbidden_;
  bool created_ = false;
  bool calm_ = false;
  bool resting_ = false;
  bool switch_wanted_ = false;
  Instant switch_since_{0};
  std::optional<Seat> last_primary_;
  std::optional<Seat> preferred_;
  Instant primary_seen_{0};
  Instant next_try_{0};
  int fences_under_way_ = 0;
  uint64_t next_admin_ = 1;
  uint64_t outdates_asked_ = 0;
  std::set<AdminId> rivals_;
  std::map<AdminId, FenceReport> outdates_;  // handlers that wait for an `outdate`
  std::optional<Command> command_;
};

}  // namespace lockstep::sim
