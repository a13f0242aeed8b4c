#include "tests/unit/core/replica_harness.h"

#include <algorithm>

namespace lockstep {

Lab::Lab(LabOptions options) : options_(std::move(options)) {
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

Lab::~Lab() = default;

void Lab::connect_all() {
  const SeatSet all = options_.data_nodes | options_.witnesses;
  for (Seat a : options_.data_nodes) {
    for (Seat b : all) {
      if (a < b && !links_.contains({a, b})) connect(a, b);
    }
  }
  run();
}

void Lab::create(Seat on) {
  connect_all();
  const AdminId id = admin(on, AdminOp::new_current_uuid);
  ASSERT_TRUE(ok(on, id));
}

void Lab::promote(Seat seat) {
  const AdminId id = admin(seat, AdminOp::primary);
  for (int i = 0; i < 20 && !result(seat, id); ++i) advance(milliseconds(50));
  ASSERT_TRUE(ok(seat, id)) << code_of(reason(seat, id));
  ASSERT_TRUE(node(seat).primary);
}

void Lab::connect(Seat a, Seat b) {
  links_[{a, b}] = {++last_link_};
  for (const auto& [here, there] : {std::pair(a, b), std::pair(b, a)}) {
    if (!here.is_witness()) step(here, LinkUp{there, {last_link_}});
  }
}

void Lab::cut(Seat a, Seat b) {
  const LinkId link = drop_link(a, b);
  for (const auto& [here, there] : {std::pair(a, b), std::pair(b, a)}) {
    if (nodes_.contains(here)) step(here, LinkDown{there, link});
  }
  run();
}

void Lab::kill(Seat seat) {
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

void Lab::start(Seat seat, std::optional<Boot> boot) {
  LabNode& made = node(seat);
  begin_run(made.record.memory.lineage, ++last_token_);
  if (boot) made.record.boot = *boot;
  made.replica =
      std::make_unique<Replica>(made.config, Loaded{made.record, made.intent, made.bitmaps, made.intent_sequences}, now);
  step(seat, Tick{});
}

void Lab::restart_witness(Seat seat, Duration longest_lease) {
  WitnessRecord record = witnesses_.at(seat)->record();
  record.acceptor.longest_lease = longest_lease;
  witnesses_[seat] = std::make_unique<WitnessVoter>(record, boot_of(seat), 50, now);
}

void Lab::start_witness(Seat seat, Uuid acceptor) {
  WitnessRecord record;
  record.acceptor.acceptor = acceptor;
  begin_run(record.memory.lineage, ++last_token_);
  witnesses_[seat] = std::make_unique<WitnessVoter>(record, boot_of(seat), 50, now);
}

ClientIo Lab::request(Seat seat, OpKind kind, Range range, bool fua) {
  const ClientIo io{++last_io_};
  const PayloadId payload{kind == OpKind::write ? ++last_payload_ : 0};
  step(seat, ClientRequest{io, kind, range, fua, payload});
  run();
  return io;
}

std::optional<IoStatus> Lab::answer(Seat seat, ClientIo io) {
  const auto& answered = node(seat).answered;
  const auto at = answered.find(io);
  return at == answered.end() ? std::nullopt : std::optional(at->second);
}

AdminId Lab::admin(Seat seat, AdminOp op, Seat peer, const Range& range, uint64_t episode, bool assume_clean) {
  const AdminId id{++last_admin_};
  step(seat, AdminRequest{id, op, peer, uuid(1000 + id.value), range, episode, assume_clean});
  run();
  return id;
}

std::optional<AdminReply> Lab::result(Seat seat, AdminId id) {
  const auto& replies = node(seat).admin;
  const auto at = replies.find(id);
  return at == replies.end() ? std::nullopt : std::optional(at->second);
}

void Lab::run() {
  if (running_) return;
  running_ = true;
  int turns = 0;
  while (turn()) ASSERT_LT(++turns, 100000) << "it never ends";
  running_ = false;
}

void Lab::advance(Duration duration) {
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

void Lab::step(Seat seat, const Event& event) {
  LabNode& at = node(seat);
  if (!at.replica) return;
  Effects effects;
  at.replica->step(now, event, effects);
  for (const Effect& effect : effects) {
    std::visit([&](const auto& e) { carry_out(seat, at, e); }, effect);
  }
}

void Lab::inject(Seat from, Seat to, const Message& message, PayloadId payload) {
  mail.push_back({from, Send{to, links_.at(ends(from, to)), message, payload}});
  run();
}

LinkId Lab::drop_link(Seat a, Seat b) {
  const auto at = links_.find(ends(a, b));
  if (at == links_.end()) return {};
  const LinkId link = at->second;
  links_.erase(at);
  std::erase_if(mail, [link](const Mail& letter) { return letter.send.link == link; });
  return link;
}

void Lab::blank(Seat seat) {
  LabNode& other = node(seat);
  other.record = fresh_record(seat);
  other.record.disk = uuid(900);
  other.record.acceptor.acceptor = uuid(901);
  other.record.memory.lineage.start = 1000;
  other.intent = {};
  other.intent_sequences = {};
  other.bitmaps = {};
}

NodeRecord Lab::fresh_record(Seat seat) const {
  NodeRecord record;
  record.resource = uuid(50);
  record.node = seat;
  record.disk = disk_of(seat);
  record.size_bytes = kLabBytes;
  if (const auto several = options_.volumes.find(seat); several != options_.volumes.end()) {
    record.volumes = several->second;
    record.size_bytes = span_of(several->second);
  }
  record.memory.lineage.start = 4;
  record.boot = boot_of(seat);
  record.acceptor.acceptor = acceptor_of(seat);
  return record;
}

bool Lab::turn() {
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

bool Lab::deliver_one() {
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

void Lab::deliver(const Mail& letter) {
  delivered.push_back(letter);
  const Send& send = letter.send;
  if (send.to.is_witness()) return ask_witness(letter);
  const PayloadId payload{send.payload.value == 0 ? 0 : ++last_payload_};
  step(send.to, MessageReceived{letter.from, send.link, send.message, payload});
}

void Lab::ask_witness(const Mail& letter) {
  WitnessVoter& voter = *witnesses_.at(letter.send.to);
  const auto answer = voter.handle(now, letter.from, introduced_[letter.send.link], letter.send.message).answer;
  if (answer) mail.push_back({letter.send.to, Send{letter.from, letter.send.link, answer->message, {}}});
}

void Lab::carry_out(Seat, LabNode& at, const WriteRecord& write) {
  at.meta.push_back({write.token, LabNode::Meta::record, [&at, write] { at.record = *write.record; }});
}

void Lab::carry_out(Seat, LabNode& at, const WriteIntentPage& write) {
  at.meta.push_back({write.token, LabNode::Meta::intent, [&at, write] {
                       if (at.intent.size() == 0) at.intent = BitVector(kLabBytes / kExtentBytes);
                       at.intent.load_page(write.page, *write.bits);
                       at.intent_sequences.at(write.page) = write.sequence;
                     }});
}

void Lab::carry_out(Seat, LabNode& at, const SealExtent& seal) {
  at.meta.push_back({seal.token, LabNode::Meta::seal, [&at, seal] { at.sealed.push_back(seal.extent); }});
}

void Lab::carry_out(Seat, LabNode& at, const WriteBitmapPage& write) {
  at.meta.push_back({write.token, LabNode::Meta::bitmap, [&at, write] {
                       BitVector& bitmap = at.bitmaps.at(write.peer.value);
                       if (bitmap.size() == 0) bitmap = BitVector(kLabBytes / kBlockBytes);
                       bitmap.load_page(write.page, *write.bits);
                     }});
}

void Lab::carry_out(Seat seat, LabNode& at, const CloseLink& close) {
  at.closed.push_back(close);
  if (drop_link(seat, close.peer) == close.link && nodes_.contains(close.peer)) step(close.peer, LinkDown{seat, close.link});
}

void Lab::carry_out(Seat, LabNode& at, const ClientReply& reply) {
  EXPECT_TRUE(at.answered.emplace(reply.io, reply.status).second) << "answered twice";
}

void Lab::carry_out(Seat, LabNode& at, const AdminReply& reply) {
  EXPECT_TRUE(at.admin.emplace(reply.id, reply).second) << "answered twice";
}

}  // namespace lockstep
