// Carries out the faults of a plan, one after the other, and ends each of them some time later.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/effect.h"
#include "sim/ambush.h"
#include "sim/coverage.h"
#include "sim/fault_plan.h"
#include "sim/prng.h"

namespace lockstep::sim {

class World;
class SimNode;
class SimWitness;
enum class Misfit : uint8_t;

// Ids of commands that the injector gives besides the manager.
constexpr uint64_t kMeddling = uint64_t{1} << 40;

class Injector {
 public:
  Injector(World& world, Prng prng) : world_(world), schedule_(prng), prng_(schedule_.fork()) {}

  void rough_start();  // what is wrong before the resource is created
  void begin();        // faults from now on
  void stop() { stopped_ = true; }
  void inject(Fault fault);
  void seen(Seat node, const Effect& effect);
  uint32_t drawn() const { return drawn_; }

 private:
  void next();
  void draw();
  void kill(SimNode& node);
  void power_loss(SimNode& node, Duration off);
  void blackout();
  void pause();
  void cut(bool one_way);
  void flap();
  void disconnect();
  void metadata_rots();
  void rival();
  void usurp();
  void cut_off(Seat lonely, bool out, bool in, Duration length);
  void disk_trouble(Fault fault);
  void wipe_node();
  void restore_node();
  void restore_witness();
  bool may_restore(Seat seat, const Uuid& acceptor, uint64_t start) const;
  void make_anew_when_superseded(SimNode& node);
  void witness_trouble(bool wipe);
  void command(Fault fault);
  // blunders.cc
  void misfit(SimNode& one, SimNode& other, Misfit kind, Duration length);
  void any_misfit();
  void promote_who_was_left();
  void slow_disk(SimNode& node, Duration length);
  void meddle(SimNode& node, AdminOp op, const Range& range = {}, Seat peer = kNoSeat);
  void suspend_io();
  void grow();
  void shrink();
  void change_nodes();
  void reconfigure(SimNode& node, Seat who, bool with);
  void adjust(SimNode& node, int tries);
  void pause_sync();
  void verify();
  void detach();
  void attach(SimNode& node, uint64_t start);
  void rot();
  bool blunder();
  void forget_earlier_life();
  // forced_history.cc
  struct Split;
  void force_history();
  void leave_alone(const std::shared_ptr<Split>& split);
  void try_force(const std::shared_ptr<Split>& split);
  void bring_back(const std::shared_ptr<Split>& split);
  void sort_out(const std::shared_ptr<Split>& split);
  void watch(const std::shared_ptr<Split>& split);
  bool sorted_out(const Split& split) const;
  void force_once_more(Split& split);
  bool may_go_back(const Split& split) const;
  bool may_decide(const SimNode& node) const;
  void give_up(SimNode& loser, SimNode& winner);
  bool whole_copy_among(SeatSet members) const;
  bool may_wipe(Seat seat) const;
  SimNode& any_node();
  SimWitness& any_witness();  // of a world that has one
  // Often the Primary: that is where it hurts.
  SimNode& likely_primary();
  std::pair<Seat, Seat> any_pair();
  void later(Duration least, Duration most, std::function<void()> action);

  World& world_;
  Prng schedule_;  // when the next fault comes
  Prng prng_;      // of the fault that is being carried out
  uint32_t drawn_ = 0;
  uint64_t meddled_ = 0;
  bool stopped_ = false;
  Instant quiet_until_{0};  // draws until then are left out
  Ambush ambush_;
  Prng ambush_prng_{0};
  bool forcing_ = false;       // histories may be two, until the operator has sorted it out
  SimNode* target_ = nullptr;  // of the fault that an ambush sprung
};

}  // namespace lockstep::sim
