// Everything that must hold, whatever happens. It sees the disks and the acceptors from outside; it asks a
// Replica nothing that it could be wrong about.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/effect.h"
#include "sim/coverage.h"
#include "sim/history.h"
#include "sim/register_oracle.h"
#include "sim/sim_disk.h"

namespace lockstep::sim {

struct Violation {
  std::string promise;  // "P1", ...
  Instant when;
  std::string what;
};

class Oracle : public DiskObserver {
 public:
  Oracle(const EventQueue& queue, Coverage& coverage) : queue_(queue), coverage_(coverage) {}

  void expect_volatile_caches() { volatile_caches_ = true; }
  // Copies outside the set are held to the order of the writes (oracle_order.cc).
  void expect_followers() { followers_ = true; }
  void add_disk(Seat node, const SimDisk* disk);
  // Whether two nodes have a connection, for telling which promise a missing acknowledgement breaks.
  void ask_links(std::function<bool(Seat, Seat)> connected) { connected_ = std::move(connected); }

  // --- what clients do
  uint64_t invoked(const ClientOp& op);
  // `tenure`: adopted by the answering node; `start`: of its daemon.
  void answered(uint64_t op, Seat node, uint64_t start, const std::optional<Tenure>& tenure, IoStatus status, Payload seen);
  const History& history() const { return history_; }
  // How large the volume is, by the record of a current copy; 0: not known, and nothing lies beyond.
  void shrink_asked(uint64_t blocks) { may_end_at_.insert(blocks); }
  const VolumeShapes& volumes() const { return volume_.shapes; }  // none: never used

  // --- what nodes do
  void block_written(Seat node, uint64_t block, uint64_t before, uint64_t after) override;
  void cache_at_risk(Seat node, const BitVector& extents) override;
  void block_lost(Seat node, uint64_t block) override;
  void record_durable(Seat node, const NodeRecord& record) override;
  void bits_changed(Seat) override { compare_copies(); }
  void disk_replaced(Seat node) override;
  void metadata_misread(Seat node, const std::string& what) override;
  void acceptor_durable(Seat seat, const AcceptorRecord& record);
  void promoted(Seat node, uint64_t start, const std::optional<Tenure>& tenure);
  void force_asked(Seat node) { tenures_.force_asked(node); }
  void fence_completed(Seat by, Seat fenced, const Boot& boot) { tenures_.fence_completed(by, fenced, boot); }
  void fence_told(Seat by, Seat fenced) { tenures_.fence_told(by, fenced); }
  void stood_aside(Seat by, Seat peer) { tenures_.stood_aside(by, peer); }
  void met(Seat node, Seat peer, const Boot& boot) { tenures_.met(node, peer, boot); }
  void started(Seat node) { tenures_.started(node); }
  // `known`: the blocks that the source is about to copy, all others being equal to its belief.
  void resync_begins(Seat source, Seat target, const BitVector& known);
  // A read of this block alone failed, on any node: a comparison may list it.
  void could_not_read(uint64_t block) { unreadable_.insert(block); }
  size_t unreadable_blocks() const { return unreadable_.size(); }
  void round_started(const Ballot& ballot) { tenures_.round_started(ballot); }
  void refused(Seat node, std::string_view what, Reason reason);

  // --- at instants that the world chooses
  // P4 is valid at every instant, since intent bits are durable before data: this is called whenever
  // something changed.
  void compare_copies();
  // P9, at the end of a healed run.
  void compare_identical();
  void check_history();

  void fail(std::string promise, std::string what);
  bool failed() const { return !violations_.empty(); }
  const std::vector<Violation>& violations() const { return violations_; }
  const std::optional<Tenure>& latest_tenure() const { return tenures_.latest(); }
  uint64_t tenures_decided() const { return tenures_.decided(); }
  const RegisterOracle::Promotions& promotions() const { return tenures_.promotions(); }

 private:
  void report(const Verdict& verdict) {
    if (!verdict.good()) fail(verdict.promise, verdict.wrong);
  }
  bool flushed(const ClientOp& op) const;
  bool flushed_on(Seat node, const ClientOp& op) const;
  void lost_where_not_safe(bool served_on);
  bool has(Seat node, uint64_t op) const;
  void proposed(const std::optional<Tenure>& tenure);
  void reduced(const Tenure& tenure);
  void operator_chose();
  void check_not_older(Seat joiner, Seat member, uint64_t block);
  void check_join(const std::optional<Tenure>& before);
  void check_members_have(uint64_t op, const Uuid& history);
  void check_server(Seat node, uint64_t start, const std::optional<Tenure>& tenure);
  struct Pair {
    Seat a;
    Seat b;
    std::set<uint64_t> differing;  // blocks
  };
  void compare(Pair& pair);
  // False when the next meeting copies everything anyway.
  bool common_ground(const Pair& pair) const;
  static bool counts_for(const SimDisk& disk, uint64_t block);
  void volume_adopted(Seat node, const Tenure& tenure);
  bool in_volume(uint64_t block) const { return volume_.blocks == 0 || block < volume_.blocks; }
  void check_covered(const Pair& pair, uint64_t block);
  void note_difference(Seat node, uint64_t block);
  void look_at_order(Seat node, const NodeRecord& record, bool levelled);
  void note_change(uint64_t op);
  void applied_in_order(Seat node, uint64_t block, uint64_t value);
  void check_order(Seat node, Instant from);
  void check_order_of(Seat node, uint64_t block);
  bool in_order(Seat node, uint64_t op, uint64_t block);
  bool being_written(Seat node, uint64_t block) const;

  const EventQueue& queue_;
  Coverage& coverage_;
  History history_;
  bool volatile_caches_ = false;
  bool followers_ = false;
  struct Order {
    bool kept = false;         // it is a copy outside the set that is whole
    bool lost = false;         // its disk or its cache went, and it was not levelled since
    Instant until = kLongAgo;  // what was answered before has to be there: what it has was asked for later
  };
  std::map<Seat, Order> order_;
  std::vector<uint64_t> changes_;                         // acknowledged, in the order of their answers
  std::map<uint64_t, std::vector<uint64_t>> changes_of_;  // by block
  RegisterOracle tenures_;
  std::map<Seat, const SimDisk*> disks_;
  std::map<Seat, uint64_t> replaced_;       // how many operations there had been when this node's disk was replaced
  std::vector<SeatSet> owed_;               // by operation: the set when it was answered
  std::map<uint64_t, SeatSet> at_risk_;     // by operation: who lost its cache or its disk since, and was not levelled yet
  std::map<uint64_t, SeatSet> unanswered_;  // by operation without an answer: who had it in its cache, and lost that
  std::map<Seat, Instant> promoted_;        // when it last became Primary
  std::map<Seat, Uuid> histories_;          // as last recorded; none: never used, or given up
  std::map<Seat, bool> doubtful_;           // as last recorded
  std::map<Seat, bool> inconsistent_;       // as last recorded
  Instant flushed_until_ = kLongAgo;  // what was answered before is on stable storage everywhere: a FLUSH, or a clean hand-over
  std::map<Ballot, Instant> reductions_;  // smaller sets, by origin: when they were first proposed
  std::map<Seat, Instant> own_flush_;   // what was answered before is on this node's stable storage: its smaller set was decided
  std::map<Seat, Instant> cache_lost_;  // when this node last lost what was in its cache
  struct Volume {
    uint64_t blocks = 0;  // of all volumes
    VolumeShapes shapes;
    Uuid history;
    uint64_t number = 0;  // of the tenure that says so
  };
  Volume volume_;                       // as adopted last, in whatever history
  std::map<Uuid, Volume> volumes_;      // by history: a force may begin with a copy that has not heard of the last size
  uint64_t least_blocks_ = UINT64_MAX;  // that any tenure says
  std::set<uint64_t> may_end_at_;       // blocks, as operators said
  std::vector<Pair> pairs_;
  std::set<uint64_t> unreadable_;
  std::vector<Violation> violations_;
  std::function<bool(Seat, Seat)> connected_;
  struct Server {
    Uuid history;
    uint64_t number = 0;
    Seat node;
    uint64_t start = 0;
  };
  std::optional<Server> server_;  // who answered under the highest number
};

}  // namespace lockstep::sim
