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
#include "tests/unit/core/core_samples.h"

namespace lockstep {

constexpr uint64_t kLabBytes = 64 * 1024 * 1024;

struct LabOptions {
  SeatSet data_nodes{kA, kB};
  SeatSet witnesses{kW};
  std::function<void(CoreConfig&)> configure = [](CoreConfig&) {};
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

  enum class Meta { record, intent, bitmap };
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

  explicit Lab(LabOptions options = {}) : options_(std::move(options)) {
    for (Seat seat : options_.data_nodes) {
      LabNode& made = nodes_[seat];
      made.config.self = seat;
      made.config.data_nodes = options_.data_nodes;
      made.config.witnesses = options_.witnesses;
      options_.configure(made.config);
      made.record = fresh_record(seat);
      start(seat);
    }
    for (Seat seat : options_.witnesses) start_witness(seat, acceptor_of(seat));
  }

  LabNode& node(Seat seat) { return nodes_.at(seat); }
  Acceptor& witness(Seat seat = kW) { return witnesses_.at(seat)->acceptor(); }
  Snapshot show(Seat seat) { return node(seat).replica->inspect(now); }

  // --- from nothing to a running resource ---
  void connect_all() {
    const SeatSet all = options_.data_nodes | options_.witnesses;
    for (Seat a : options_.data_nodes) {
      for (Seat b : all) {
        if (a < b && !links_.contains({a, b})) connect(a, b);
      }
    }
    run();
  }
  void create(Seat on = kA) {
    connect_all();
    const AdminId id = admin(on, AdminOp::new_current_uuid);
    ASSERT_TRUE(ok(on, id));
  }
  void promote(Seat seat) {
    const AdminId id = admin(seat, AdminOp::primary);
    for (int i = 0; i < 20 && !result(seat, id); ++i) advance(milliseconds(50));
    ASSERT_TRUE(ok(seat, id)) << code_of(reason(seat, id));
    ASSERT_TRUE(node(seat).primary);
  }

  // --- links ---
  void connect(Seat a, Seat b) {
    links_[{a, b}] = {++last_link_};
    for (const auto& [here, there] : {std::pair(a, b), std::pair(b, a)}) {
      if (!here.is_witness()) step(here, LinkUp{there, {last_link_}});
    }
  }
  void cut(Seat a, Seat b) {
    const LinkId link = drop_link(a, b);
    for (const auto& [here, there] : {std::pair(a, b), std::pair(b, a)}) {
      if (nodes_.contains(here)) step(here, LinkDown{there, link});
    }
    run();
  }
  // The daemon dies: what is not durable is gone. `boot`: its machine's; the same one unless it was rebooted.
  void kill(Seat seat) {
    LabNode& dead = node(seat);
    dead.replica.reset();
    dead.disk.clear();
    dead.meta.clear();
    dead.primary = false;
    std::vector<std::pair<Seat, Seat>> gone;
    for (const auto& [ends, link] : links_) {
      if (ends.first == seat || ends.second == seat) gone.push_back(ends);
    }
    for (const auto& [a, b] : gone) {
      const LinkId link = drop_link(a, b);
      const Seat other = a == seat ? b : a;
      if (nodes_.contains(other)) step(other, LinkDown{seat, link});
    }
    run();
  }
  void start(Seat seat, std::optional<Boot> boot = {}) {
    LabNode& made = node(seat);
    begin_run(made.record.memory.lineage, ++last_token_);
    if (boot) made.record.boot = *boot;
    made.replica =
        std::make_unique<Replica>(made.config, Loaded{made.record, made.intent, made.bitmaps, made.intent_sequences}, now);
    step(seat, Tick{});
  }
  // What it had granted before it was stopped keeps it silent after a start.
  void restart_witness(Seat seat, Duration longest_lease) {
    WitnessRecord record = witnesses_.at(seat)->record();
    record.acceptor.longest_lease = longest_lease;
    witnesses_[seat] = std::make_unique<WitnessVoter>(record, boot_of(seat), 50, now);
  }
  void start_witness(Seat seat, Uuid acceptor) {
    WitnessRecord record;
    record.acceptor.acceptor = acceptor;
    begin_run(record.memory.lineage, ++last_token_);
    witnesses_[seat] = std::make_unique<WitnessVoter>(record, boot_of(seat), 50, now);
  }

  // --- requests ---
  ClientIo request(Seat seat, OpKind kind, Range range = {0, 4096}, bool fua = false) {
    const ClientIo io{++last_io_};
    const PayloadId payload{kind == OpKind::write ? ++last_payload_ : 0};
    step(seat, ClientRequest{io, kind, range, fua, payload});
    run();
    return io;
  }
  ClientIo write(Seat seat, Range range = {0, 4096}) { return request(seat, OpKind::write, range); }
  ClientIo read(Seat seat, Range range = {0, 4096}) { return request(seat, OpKind::read, range); }
  std::optional<IoStatus> answer(Seat seat, ClientIo io) {
    const auto& answered = node(seat).answered;
    const auto at = answered.find(io);
    return at == answered.end() ? std::nullopt : std::optional(at->second);
  }
  AdminId admin(Seat seat, AdminOp op, Seat peer = kNoSeat, const Range& range = {}) {
    const AdminId id{++last_admin_};
    step(seat, AdminRequest{id, op, peer, uuid(1000 + id.value), range});
    run();
    return id;
  }
  std::optional<AdminReply> result(Seat seat, AdminId id) {
    const auto& replies = node(seat).admin;
    const auto at = replies.find(id);
    return at == replies.end() ? std::nullopt : std::optional(at->second);
  }
  bool ok(Seat seat, AdminId id) { return result(seat, id) && result(seat, id)->ok; }
  Reason reason(Seat seat, AdminId id) { return result(seat, id) ? result(seat, id)->reason : Reason::none; }

  // --- going on ---
  // Everything that is not held back happens, until nothing is left to do.
  void run() {
    if (running_) return;
    running_ = true;
    int turns = 0;
    while (turn()) ASSERT_LT(++turns, 100000) << "it never ends";
    running_ = false;
  }
  void advance(Duration duration) {
    const Instant end = now + duration;
    while (now < end) {
      Instant due = end;
      for (auto& [seat, each] : nodes_) {
        if (each.replica) due = std::min(due, each.replica->next_deadline());
      }
      now = std::clamp(due, now + milliseconds(1), std::max(end, now + milliseconds(1)));
      for (auto& [seat, each] : nodes_) {
        if (each.replica) step(seat, Tick{});
      }
      run();
    }
  }
  void step(Seat seat, const Event& event) {
    LabNode& at = node(seat);
    if (!at.replica) return;
    Effects effects;
    at.replica->step(now, event, effects);
    for (const Effect& effect : effects) {
      std::visit([&](const auto& e) { carry_out(seat, at, e); }, effect);
    }
  }
  // As if `from` had sent it on the link that is up.
  void inject(Seat from, Seat to, const Message& message, PayloadId payload = {}) {
    mail.push_back({from, Send{to, links_.at(ends(from, to)), message, payload}});
    run();
  }
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
  LinkId drop_link(Seat a, Seat b) {
    const auto at = links_.find(ends(a, b));
    if (at == links_.end()) return {};
    const LinkId link = at->second;
    links_.erase(at);
    std::erase_if(mail, [link](const Mail& letter) { return letter.send.link == link; });
    return link;
  }
  static NodeRecord fresh_record(Seat seat) {
    NodeRecord record;
    record.resource = uuid(50);
    record.node = seat;
    record.disk = disk_of(seat);
    record.size_bytes = kLabBytes;
    record.memory.lineage.start = 4;
    record.boot = boot_of(seat);
    record.acceptor.acceptor = acceptor_of(seat);
    return record;
  }

  bool turn() {
    for (auto& [seat, each] : nodes_) {
      const auto due = std::find_if(each.meta.begin(), each.meta.end(), [&each = each](const LabNode::MetaWrite& write) {
        return !each.hold_meta && !each.hold_meta_of(write.of);
      });
      if (due != each.meta.end()) {
        const auto write = *due;
        each.meta.erase(due);
        if (each.meta_ok) write.land();
        step(seat, MetaDone{write.token, each.meta_ok});
        return true;
      }
      for (auto io = each.disk.begin(); io != each.disk.end(); ++io) {
        if (each.hold_disk(*io)) continue;
        const DiskIo done = *io;
        each.disk.erase(io);
        step(seat, DiskDone{done.io, each.disk_status(done), each.disk_finds(done)});
        return true;
      }
    }
    return deliver_one();
  }
  bool deliver_one() {
    std::vector<std::pair<LinkId, Lane>> blocked;  // messages of one lane keep their order
    for (auto at = mail.begin(); at != mail.end(); ++at) {
      const std::pair lane(at->send.link, lane_of(at->send.message));
      if (std::count(blocked.begin(), blocked.end(), lane) > 0) continue;
      if (hold_mail(*at)) {
        blocked.push_back(lane);
        continue;
      }
      const Mail letter = *at;
      mail.erase(at);
      const bool lost = !linked(letter.from, letter.send.to) || link(letter.from, letter.send.to) != letter.send.link;
      if (!lost && !lose_mail(letter)) deliver(letter);
      return true;
    }
    return false;
  }
  void deliver(const Mail& letter) {
    delivered.push_back(letter);
    const Send& send = letter.send;
    if (send.to.is_witness()) return ask_witness(letter);
    const PayloadId payload{send.payload.value == 0 ? 0 : ++last_payload_};
    step(send.to, MessageReceived{letter.from, send.link, send.message, payload});
  }
  void ask_witness(const Mail& letter) {
    WitnessVoter& voter = *witnesses_.at(letter.send.to);
    const auto answer = voter.handle(now, letter.from, introduced_[letter.send.link], letter.send.message).answer;
    if (answer) mail.push_back({letter.send.to, Send{letter.from, letter.send.link, answer->message, {}}});
  }

  void carry_out(Seat, LabNode& at, const DiskIo& io) { at.disk.push_back(io); }
  void carry_out(Seat, LabNode& at, const WriteRecord& write) {
    at.meta.push_back({write.token, LabNode::Meta::record, [&at, write] { at.record = *write.record; }});
  }
  void carry_out(Seat, LabNode& at, const WriteIntentPage& write) {
    at.meta.push_back({write.token, LabNode::Meta::intent, [&at, write] {
                         if (at.intent.size() == 0) at.intent = BitVector(kLabBytes / kExtentBytes);
                         at.intent.load_page(write.page, *write.bits);
                         at.intent_sequences.at(write.page) = write.sequence;
                       }});
  }
  void carry_out(Seat, LabNode& at, const WriteBitmapPage& write) {
    at.meta.push_back({write.token, LabNode::Meta::bitmap, [&at, write] {
                         BitVector& bitmap = at.bitmaps.at(write.peer.value);
                         if (bitmap.size() == 0) bitmap = BitVector(kLabBytes / kBlockBytes);
                         bitmap.load_page(write.page, *write.bits);
                       }});
  }
  void carry_out(Seat seat, LabNode&, const Send& send) { mail.push_back({seat, send}); }
  void carry_out(Seat seat, LabNode& at, const CloseLink& close) {
    at.closed.push_back(close);
    if (drop_link(seat, close.peer) == close.link && nodes_.contains(close.peer)) step(close.peer, LinkDown{seat, close.link});
  }
  void carry_out(Seat, LabNode& at, const ClientReply& reply) {
    EXPECT_TRUE(at.answered.emplace(reply.io, reply.status).second) << "answered twice";
  }
  void carry_out(Seat, LabNode& at, const Release& release) { at.released.push_back(release.payload); }
  void carry_out(Seat, LabNode& at, const AdminReply& reply) {
    EXPECT_TRUE(at.admin.emplace(reply.id, reply).second) << "answered twice";
  }
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
