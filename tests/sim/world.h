// One simulated cluster from its creation to the proof that it healed. A plan (hence a seed) determines
// everything.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "sim/coverage.h"
#include "sim/event_queue.h"
#include "sim/fault_plan.h"
#include "sim/injector.h"
#include "sim/manager.h"
#include "sim/oracle.h"
#include "sim/sim_net.h"
#include "sim/sim_node.h"
#include "sim/sim_witness.h"
#include "sim/status_watch.h"
#include "sim/trace.h"
#include "sim/workload.h"

namespace lockstep::sim {

class World : public NodeListener {
 public:
  World(const Plan& plan, TraceDetail trace, RecordingSink recordings = {});
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // The whole life: boot, create, suffer, heal, prove. Returns when done or when a violation was found.
  void run();

  // The pieces, for scenarios.
  void power_up();  // every machine and process
  void boot();      // besides, the manager that creates the resource and keeps a node Primary
  bool run_until(Duration limit,
                 const std::function<bool()>& condition);  // false: it did not come true in time
  void run_for(Duration time);
  void heal();                                   // ends every fault; every machine and process is started
  std::vector<Tenure> accepted_tenures() const;  // by any acceptor, decided or not
  bool voters_seated() const;                    // the newest tenure names every acceptor that there is
  Duration longest_healing() const;
  SeatSet followers_of(Seat primary) const;
  bool settled() const;
  bool levelled() const;  // one Primary, every copy in the set, nothing dirty
  void prove();           // reads everything back and compares the copies

  SimNode& node(size_t i) { return *nodes_[i]; }
  size_t node_count() const { return nodes_.size(); }
  SimWitness& witness(size_t i) { return *witnesses_[i]; }
  size_t witness_count() const { return witnesses_.size(); }
  Manager& manager() { return manager_; }
  Workload& workload() { return workload_; }
  Oracle& oracle() { return oracle_; }
  const Oracle& oracle() const { return oracle_; }
  SimNet& net() { return net_; }
  EventQueue& queue() { return queue_; }
  Trace& trace() { return trace_; }
  const Injector& injector() const { return injector_; }
  const Plan& plan() const { return plan_; }
  Coverage& coverage() { return coverage_; }
  // Everything counted, with what the parts counted themselves. Once, at the end.
  Coverage collect_coverage() const;

  // NodeListener
  void role_changed(Seat node, bool primary) override { workload_.serve(node, primary); }
  void client_answered(Seat node, ClientIo io, IoStatus status, Payload payload) override {
    workload_.answered(node, io, status, std::move(payload));
  }
  void admin_answered(Seat node, AdminId id, bool ok, Reason reason) override {
    if (id.value > kMeddling && !ok) ++coverage_.command_refused[static_cast<size_t>(reason)];
    manager_.admin_answered(node, id, ok, reason);
  }
  void resync_wanted(Seat node, Seat peer, uint64_t episode) override { manager_.resync_wanted(node, peer, episode); }
  void fence_wanted(Seat node, Seat peer, Boot evidence) override { manager_.fence_wanted(node, peer, evidence); }
  void effect_done(Seat node, const Effect& effect) override { injector_.seen(node, effect); }
  void process_ended(Seat node) override {
    workload_.process_ended(node);
    manager_.process_ended(node);
  }

 private:
  SimContext context() { return {queue_, trace_, coverage_, oracle_, net_, *this, recordings_}; }
  void stay_whole();
  std::string describe_state() const;

  Plan plan_;
  RecordingSink recordings_;
  EventQueue queue_;
  Prng prng_;
  Trace trace_;
  Coverage coverage_;
  Oracle oracle_;
  SimNet net_;
  Workload workload_;
  Manager manager_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  std::vector<std::unique_ptr<SimWitness>> witnesses_;
  Injector injector_;
  StatusWatch watch_;
};

}  // namespace lockstep::sim
