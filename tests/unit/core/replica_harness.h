// Data nodes and a witness, driven by hand: the test says which message arrives, which disk write ends and
// how, and what time it is. What it does not hold back, run() carries out in order.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/membership/acquaintance.h"
#include "core/membership/witness_voter.h"
#include "core/replica.h"
#include "core/volumes.h"
#include "tests/unit/core/core_samples.h"

namespace lockstep {

constexpr uint64_t kLabBytes = 64 * 1024 * 1024;

struct LabOptions {
  SeatSet data_nodes{kA, kB};
  SeatSet witnesses{kW};
  std::function<void(CoreConfig&)> configure = [](CoreConfig&) {};
  std::map<Seat, VolumeShapes> volumes = {};  // of the nodes whose disks are several
};

inline LabOptions three_data_nodes() {
  LabOptions options;
  options.data_nodes = {kA, kB, kC};
  return options;
}

// A Replica, what of it is durable, and what it waits for.
struct LabNode {
  CoreConfig config;
  std::unique_ptr<Replica> replica;

  NodeRecord record;
  BitVector intent;
  std::array<uint64_t, 8> intent_sequences{};
  std::array<BitVector, kMaxDataNodes> bitmaps;

  enum class Meta { record, intent, bitmap, seal };
  struct MetaWrite {
    MetaToken token;
    Meta of;
    std::function<void()> land;
  };
  std::deque<DiskIo> disk;
  std::deque<MetaWrite> meta;
  std::function<bool(const DiskIo&)> hold_disk = [](const DiskIo&) { return false; };
  std::function<IoStatus(const DiskIo&)> disk_status = [](const DiskIo&) { return IoStatus::ok; };
  std::function<BlockMask(const DiskIo&)> disk_finds = [](const DiskIo&) { return BlockMask{0}; };
  bool hold_meta = false;
  std::function<bool(Meta)> hold_meta_of = [](Meta) { return false; };  // the others go past it
  bool meta_ok = true;

  std::map<ClientIo, IoStatus> answered;
  std::map<AdminId, AdminReply> admin;
  std::vector<CloseLink> closed;
  std::vector<Note> notes;
  std::vector<RunFence> fences;
  std::vector<PayloadId> released;
  std::vector<uint64_t> sealed;  // extents
  bool primary = false;

  const Tenure& tenure() const { return *replica->record().adopted; }
  bool noted(Notice notice) const {
    return std::any_of(notes.begin(), notes.end(), [notice](const Note& note) { return note.notice == notice; });
  }
};

class Lab {
 public:
  struct Mail {
    Seat from;
    Send send;
  };

  explicit Lab(LabOptions options = {});
  ~Lab();

  LabNode& node(Seat seat) { return nodes_.at(seat); }
  Acceptor& witness(Seat seat = kW) { return witnesses_.at(seat)->acceptor(); }
  Snapshot show(Seat seat) { return node(seat).replica->inspect(now); }

  // --- from nothing to a running resource ---
  void connect_all();
  void create(Seat on = kA);
  void promote(Seat seat);

  // --- links ---
  void connect(Seat a, Seat b);
  void cut(Seat a, Seat b);
  // The daemon dies: what is not durable is gone. `boot`: its machine's; the same one unless it was rebooted.
  void kill(Seat seat);
  void start(Seat seat, std::optional<Boot> boot = {});
  // While it does not run: create-md on another disk.
  void blank(Seat seat);
  // What it had granted before it was stopped keeps it silent after a start.
  void restart_witness(Seat seat, Duration longest_lease);
  void start_witness(Seat seat, Uuid acceptor);

  // --- requests ---
  ClientIo request(Seat seat, OpKind kind, Range range = {0, 4096}, bool fua = false);
  ClientIo write(Seat seat, Range range = {0, 4096}) { return request(seat, OpKind::write, range); }
  ClientIo read(Seat seat, Range range = {0, 4096}) { return request(seat, OpKind::read, range); }
  std::optional<IoStatus> answer(Seat seat, ClientIo io);
  AdminId admin(Seat seat, AdminOp op, Seat peer = kNoSeat, const Range& range = {}, uint64_t episode = 0,
                bool assume_clean = false);
  std::optional<AdminReply> result(Seat seat, AdminId id);
  bool ok(Seat seat, AdminId id) { return result(seat, id) && result(seat, id)->ok; }
  Reason reason(Seat seat, AdminId id) { return result(seat, id) ? result(seat, id)->reason : Reason::none; }

  // --- going on ---
  // Everything that is not held back happens, until nothing is left to do.
  void run();
  void advance(Duration duration);
  void step(Seat seat, const Event& event);
  // As if `from` had sent it on the link that is up.
  void inject(Seat from, Seat to, const Message& message, PayloadId payload = {});
  PayloadId fresh_payload() { return {++last_payload_}; }
  LinkId link(Seat a, Seat b) const { return links_.at(ends(a, b)); }
  bool linked(Seat a, Seat b) const { return links_.contains(ends(a, b)); }

  Instant now{seconds(1'000'000).ns};
  std::deque<Mail> mail;
  std::function<bool(const Mail&)> lose_mail = [](const Mail&) { return false; };
  std::function<bool(const Mail&)> hold_mail = [](const Mail&) { return false; };
  std::vector<Mail> delivered;

 private:
  static std::pair<Seat, Seat> ends(Seat a, Seat b) { return {std::min(a, b), std::max(a, b)}; }
  LinkId drop_link(Seat a, Seat b);
  NodeRecord fresh_record(Seat seat) const;

  bool turn();
  bool deliver_one();
  void deliver(const Mail& letter);
  void ask_witness(const Mail& letter);

  void carry_out(Seat, LabNode& at, const DiskIo& io) { at.disk.push_back(io); }
  void carry_out(Seat, LabNode& at, const WriteRecord& write);
  void carry_out(Seat, LabNode& at, const WriteIntentPage& write);
  void carry_out(Seat, LabNode& at, const SealExtent& seal);
  void carry_out(Seat, LabNode& at, const WriteBitmapPage& write);
  void carry_out(Seat seat, LabNode&, const Send& send) { mail.push_back({seat, send}); }
  void carry_out(Seat seat, LabNode& at, const CloseLink& close);
  void carry_out(Seat, LabNode& at, const ClientReply& reply);
  void carry_out(Seat, LabNode& at, const Release& release) { at.released.push_back(release.payload); }
  void carry_out(Seat, LabNode& at, const AdminReply& reply);
  void carry_out(Seat, LabNode& at, const RoleChanged& role) { at.primary = role.primary; }
  void carry_out(Seat, LabNode& at, const RunFence& fence) { at.fences.push_back(fence); }
  void carry_out(Seat, LabNode& at, const Note& note) { at.notes.push_back(note); }

  LabOptions options_;
  std::map<Seat, LabNode> nodes_;
  std::map<Seat, std::unique_ptr<WitnessVoter>> witnesses_;
  std::map<LinkId, bool> introduced_;  // to a witness
  uint64_t last_token_ = 0;
  std::map<std::pair<Seat, Seat>, LinkId> links_;
  uint64_t last_link_ = 0;
  uint64_t last_io_ = 0;
  uint64_t last_admin_ = 0;
  uint64_t last_payload_ = 0;
  bool running_ = false;
};

}  // namespace lockstep
