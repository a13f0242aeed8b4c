// A data node: a machine that is on or off, a process that runs a Replica, is frozen or dead, and the shell
// around it. What the daemon's shell does with io_uring and sockets is done here with SimDisk and SimNet.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "core/config.h"
#include "core/replica.h"
#include "sim/coverage.h"
#include "sim/event_queue.h"
#include "sim/oracle.h"
#include "sim/recordings.h"
#include "sim/sim_digests.h"
#include "sim/sim_disk.h"
#include "sim/sim_net.h"
#include "sim/trace.h"

namespace lockstep::sim {

// Who wants to know what a node does: the world.
class NodeListener {
 public:
  virtual ~NodeListener() = default;
  virtual void role_changed(Seat node, bool primary) = 0;
  virtual void client_answered(Seat node, ClientIo io, IoStatus status, Payload payload) = 0;
  virtual void admin_answered(Seat node, AdminId id, bool ok, Reason reason) = 0;
  virtual void resync_wanted(Seat node, Seat peer, uint64_t episode) = 0;
  virtual void fence_wanted(Seat node, Seat peer, Boot evidence) = 0;
  virtual void process_ended(Seat node) = 0;
  // After the effect was carried out. Must not change the node at once.
  virtual void effect_done(Seat node, const Effect& effect) = 0;
};

struct SimContext {
  EventQueue& queue;
  Trace& trace;
  Coverage& coverage;
  Oracle& oracle;
  SimNet& net;
  NodeListener& listener;
  RecordingSink recordings = {};  // empty: nothing is recorded
};

// How a peer does not fit, as this node hears it.
enum class Misfit : uint8_t { none, other_protocol, my_node_id, small_disk, two_hellos };

class SimNode : public Endpoint {
 public:
  enum class State : uint8_t { off, stopped, starting, running };

  SimNode(SimContext context, Prng prng, const CoreConfig& config, uint64_t blocks);
  ~SimNode() override { end_recording(); }

  // Its disk keeps digests of its blocks, from the next start on.
  void keep_digests() { config_.digests_at_rest = true; }
  // create-md: a disk that never belonged to anything.
  // Empty: one volume, as large as the disk. Before create_metadata().
  void have_volumes(const VolumeShapes& volumes) { volumes_ = volumes; }
  void create_metadata(ResourceId resource, uint64_t content);
  void restore(const SimDisk::Image& image);  // while it does not run
  void start();                               // the process; waits for the claim
  void configure_congestion(uint64_t bytes) { config_.congestion_bytes = bytes; }
  void configure_lease(Duration lease) { config_.lease = lease; }  // as of the next start
  void kill();                                                     // SIGKILL
  void power_off();
  void power_on();
  void pause();  // SIGSTOP: the clock runs on, what the disk does is done
  void resume();
  void set_stand_alone(Seat peer, bool on);
  // What is written in its configuration; it counts from the next start, or when it was taken over (`adjust`, a command).
  void configure(SeatSet data_nodes);
  SeatSet configured() const { return config_.data_nodes; }
  void adjust(AdminId id);
  bool adjusted() const { return state_ != State::running || known_ == config_.data_nodes; }
  // Its hellos say something else for a while.
  void mishear(Seat peer, Misfit kind) { misfits_[peer.value] = kind; }

  State state() const { return state_; }
  bool paused() const { return paused_; }
  bool alive() const { return state_ == State::running && !paused_; }
  bool primary() const { return primary_; }
  bool detached() const { return disk_released_; }
  const Boot& boot() const { return boot_; }
  Seat seat() const { return config_.self; }
  uint64_t start_count() const { return start_; }
  SimDisk& disk() { return disk_; }
  const SimDisk& disk() const { return disk_; }
  // What the running replica wants its record to be.
  const NodeRecord& durable_view() const { return replica_->record(); }
  Snapshot inspect() const { return replica_->inspect(clock_.local(context_.queue.now())); }
  size_t payloads_held() const { return payloads_.size(); }
  size_t stand_alone_count() const { return static_cast<size_t>(stand_alone_.size()); }

  // Hands an event to the process; it waits while the process is frozen and is lost when there is none.
  void post(Event event);
  PayloadId add_payload(Payload payload);

  // Endpoint
  bool running() const override { return state_ == State::running; }
  bool silent() const override { return paused_ || state_ == State::off; }
  bool refuses(Seat peer) const override { return stand_alone_.contains(peer) || (!peer.is_witness() && !known_.contains(peer)); }
  void link_up(Seat peer, LinkId link) override { post(LinkUp{peer, link}); }
  void link_down(Seat peer, LinkId link) override { post(LinkDown{peer, link}); }
  void receive(Seat from, LinkId link, const Message& message, Payload payload) override;

 private:
  void attach(uint64_t life);
  void attached(uint64_t life, const NodeRecord& record, const CoreConfig& config);
  void open_digests(const BitVector& in_doubt);
  void end_process();
  void end_recording();
  void step(const Event& event);
  void arm_timer();
  void guard_against_spinning();
  void note_failure(const Event& event);
  void note_hello(const Event& event);
  void count_meeting(Seat peer);
  void check_failed_storage(const Effect& effect);

  void execute(const DiskIo& effect);
  void execute(const WriteRecord& effect) { write_meta(effect); }
  void execute(const WriteIntentPage& effect) { write_meta(effect); }
  void execute(const WriteBitmapPage& effect) { write_meta(effect); }
  void execute(const SealExtent& effect);
  void execute(const Send& effect);
  void execute(const CloseLink& effect);
  void execute(const ClientReply& effect);
  void execute(const Release&) {}  // after everything else of the step
  void execute(const AdminReply& effect);
  void execute(const RoleChanged& effect);
  void execute(const RunFence& effect);
  void execute(const Note& effect);
  void release(PayloadId id);
  template <class Effect>
  void write_meta(const Effect& effect);
  void disk_done(uint64_t life, const DiskIo& io, IoStatus status, Payload payload, const Payload& digests);
  Payload payload_of(PayloadId id);

  SimContext context_;
  Prng prng_;
  CoreConfig config_;
  VolumeShapes volumes_;
  SimDisk disk_;
  SimClock clock_;
  State state_ = State::off;
  bool paused_ = false;
  bool primary_ = false;
  // P11: from the answer that a write of metadata, or a change or flush of data, failed.
  bool metadata_failed_ = false;
  bool disk_failed_ = false;
  bool failing_step_ = false;
  bool disk_released_ = false;  // an operator has it now (detach)
  bool releases_ = false;       // in this step
  std::set<AdminId> detaches_;  // asked, and not answered well
  std::set<DiskIoId> reads_;    // under way
  bool leaving_ = false;        // answered `stop`: nothing more may come
  uint64_t life_ = 0;           // one run of the process
  uint64_t start_ = 0;
  Boot boot_;
  struct Heard {
    Boot boot;
    uint64_t number = 0;  // of the tenure
  };
  std::array<Heard, kMaxSeats> heard_{};  // of the peers, as their last hello said
  uint64_t number_before_ = 0;            // of this node's tenure, before the step
  std::array<Misfit, kMaxSeats> misfits_{};
  SeatSet stand_alone_;
  SeatSet known_;                     // the data nodes that the running process is configured with
  std::map<AdminId, SeatSet> asked_;  // what `adjust` is about to make of that
  std::optional<SimDigests> digests_;
  std::optional<Replica> replica_;
  std::unique_ptr<RunRecording> recording_;
  std::deque<Event> inbox_;  // while frozen
  std::map<PayloadId, Payload> payloads_;
  uint64_t next_payload_ = 1;
  Effects effects_;
  std::map<MetaToken, int> meta_outstanding_;
  Instant timer_ = kNever;  // local time for which a Tick is under way
  Instant last_step_at_{-1};
  int steps_at_once_ = 0;
};

}  // namespace lockstep::sim
