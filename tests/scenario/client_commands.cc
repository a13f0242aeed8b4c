// Commands of stories that clients give, and looking at the cluster.
#include <fmt/format.h>

#include <array>
#include <stdexcept>

#include "scenario/player.h"

namespace lockstep::scenario {
namespace {

std::string_view name_of(DiskState state) {
  constexpr std::array<std::string_view, 7> kNames = {"Diskless", "Failed",     "Inconsistent", "Outdated",
                                                      "DUnknown", "Consistent", "UpToDate"};
  return kNames.at(static_cast<size_t>(state));
}

std::string_view name_of(ReplicationState state) {
  constexpr std::array<std::string_view, 4> kNames = {"Off", "Established", "SyncSource", "SyncTarget"};
  return kNames.at(static_cast<size_t>(state));
}

}  // namespace

// What a shell would hand in at once. Zeroes carry no name: the history takes them on a block for those of the only request for them.
Range Player::take_range(Words& words, OpKind kind) {
  const Range range = words.take_blocks(stage().node(0).disk().blocks());
  const uint64_t most = stage().plan().core.max_op_bytes;
  if (range.length > most) throw std::runtime_error(fmt::format("a request has at most {} blocks", most / kBlockBytes));
  if (kind != OpKind::trim && kind != OpKind::write_zeroes) return range;
  for (uint64_t block = range.offset / kBlockBytes; block < range.end() / kBlockBytes; ++block) {
    if (stage().oracle().history().zeroed(block))
      throw std::runtime_error(fmt::format("block {} was trimmed or zeroed before: once a story", block));
  }
  return range;
}

// write NODE BLOCKS [fua] [as NAME] [within TIME]; read, trim and zero likewise; flush without blocks. Waits
// 5 s for the answer.
void Player::ask(Words& words, OpKind kind) {
  sim::SimNode& server = node(words);
  sim::ClientOp op;
  op.kind = kind;
  if (kind != OpKind::flush) op.range = take_range(words, kind);
  op.fua = words.take_if("fua");
  const std::string name = words.take_if("as") ? words.take("a name") : "";
  const Duration patience = words.take_if("within") ? words.take_duration("a time") : seconds(5);
  if (!server.alive() && !server.paused()) throw std::runtime_error("nobody is there to ask");
  const uint64_t index = stage().ask(server, op);
  if (!name.empty()) named_[name] = index;
  names_[index] = name.empty() ? "an unnamed write" : name;
  stage().run_until(patience, [&] { return stage().outcome(index) != Stage::Outcome::waits; });
  print(outcome(name, index));
}

// check NAME [within TIME]: what became of a request that waited.
void Player::check(Words& words) {
  const std::string name = words.take("a request's name");
  const Duration patience = words.take_if("within") ? words.take_duration("a time") : Duration{0};
  const auto found = named_.find(name);
  if (found == named_.end()) throw std::runtime_error(fmt::format("no request is called '{}'", name));
  stage().run_until(patience, [&] { return stage().outcome(found->second) != Stage::Outcome::waits; });
  print(outcome(name, found->second));
}

std::string Player::outcome(const std::string& name, uint64_t index) {
  const std::string prefix = name.empty() ? "" : name + ": ";
  switch (stage().outcome(index)) {
    case Stage::Outcome::waits:
      return prefix + "waits";
    case Stage::Outcome::failed:
      return prefix + "failed";
    case Stage::Outcome::unknown:
      return prefix + "will never be answered";
    case Stage::Outcome::acknowledged:
      break;
  }
  const sim::ClientOp& op = stage().oracle().history().op(index);
  if (op.kind != OpKind::read) return prefix + "acknowledged";
  // Neighbours with the same content in one go.
  std::string text = prefix + "reads";
  std::string last;
  for (size_t i = 0; i < op.seen->size(); ++i) {
    const uint64_t block = op.range.offset / kBlockBytes + i;
    const std::string now = content(block, op.seen->at(i));
    if (now != last) text += (last.empty() ? " " : ", ") + now;
    last = now;
  }
  return text;
}

std::string Player::content(uint64_t block, uint64_t version) const {
  if (version == sim::kFirstVersion) return "what was there first";
  if (version == sim::kGarbage) return "rubbish";
  const auto writer = stage_->oracle().history().writer_of(block, version);
  if (!writer.known || !writer.op) return "rubbish";
  const auto name = names_.find(*writer.op);
  return (writer.torn ? "a part of " : "") + (name == names_.end() ? "a client's write" : name->second);
}

std::string Player::status_of(sim::SimNode& node) {
  const std::string name = name_of(node.seat());
  if (node.state() == sim::SimNode::State::off) return name + ": without power";
  if (node.paused()) return name + ": frozen";
  if (!node.alive()) return name + ": not running";
  const Snapshot s = node.inspect();
  std::string text = fmt::format("{}: {} {}", name, s.role == Role::primary ? "Primary" : "Secondary", name_of(s.disk));
  if (!s.quorum) text += ", no quorum";
  if (s.suspended) text += fmt::format(", I/O frozen ({})", code_of(s.reason));
  for (const PeerSnapshot& peer : s.peers) {
    text += fmt::format("; {} ", name_of(peer.node));
    text += peer.connected ? name_of(peer.replication) : "not connected";
    if (peer.refused != Reason::none) text += fmt::format(" ({})", code_of(peer.refused));
    if (peer.dirty_blocks > 0) text += fmt::format(", {} blocks out of sync", peer.dirty_blocks);
  }
  return text;
}

void Player::status(Words& words) {
  if (!words.empty()) return print(status_of(node(words)));
  for (size_t i = 0; i < stage().node_count(); ++i) print(status_of(stage().node(i)));
}

// The newest one that a real majority decided, as the oracle counts.
void Player::tenure(Words&) {
  const auto& tenure = stage().oracle().latest_tenure();
  if (!tenure) return print("no tenure");
  SeatSet voters;
  for (const Voter& voter : tenure->voters) voters.insert(voter.seat);
  print(fmt::format("tenure {}: {}, set {}, voters {}", tenure->number,
                    tenure->primary ? "Primary " + name_of(tenure->primary->node)
                                    : std::string("no Primary") + (tenure->clean ? ", clean" : ""),
                    name_of(tenure->members), name_of(voters)));
}

// Where the copies differ, and who has that marked.
void Player::copies(Words&) {
  bool identical = true;
  const sim::SimDisk& first = stage().node(0).disk();
  for (uint64_t block = 0; block < first.blocks(); ++block) {
    std::string text;
    bool differs = false;
    for (uint8_t i = 0; i < stage().node_count(); ++i) {
      const sim::SimDisk& disk = stage().node(i).disk();
      differs = differs || disk.read_block(block) != first.read_block(block);
      text += fmt::format("{}{} has {}", i > 0 ? ", " : "", name_of(Seat{i}), content(block, disk.read_block(block)));
    }
    if (!differs) continue;
    identical = false;
    std::string marks;
    for (uint8_t i = 0; i < stage().node_count(); ++i) {
      for (uint8_t j = 0; j < stage().node_count(); ++j) {
        if (i != j && stage().node(i).disk().marked(Seat{j}, block))
          marks += fmt::format(", {} marks it for {}", name_of(Seat{i}), name_of(Seat{j}));
      }
    }
    print(fmt::format("block {}: {}{}", block, text, marks.empty() ? ", NOT MARKED" : marks));
  }
  if (identical) print("the copies are identical");
}

// until CONDITION [within TIME]: waits 60 s if nothing else is said.
void Player::until(Words& words) {
  const std::function<bool()> holds = condition(words);
  const Duration within = words.take_if("within") ? words.take_duration("a time") : seconds(60);
  words.finish();
  if (!stage().run_until(within, holds)) print("it does not come true");
}

std::function<bool()> Player::condition(Words& words) {
  const std::string what = words.take("a condition");
  if (what == "settled") return [this] { return stage().settled(); };
  sim::SimNode& subject = node(words);
  auto snapshot = [&subject](auto test) -> std::function<bool()> {
    return [&subject, test] { return subject.alive() && test(subject.inspect()); };
  };
  if (what == "running") return [&subject] { return subject.alive(); };
  if (what == "primary") return snapshot([](const Snapshot& s) { return s.role == Role::primary; });
  if (what == "secondary") return snapshot([](const Snapshot& s) { return s.role != Role::primary; });
  if (what == "frozen") return snapshot([](const Snapshot& s) { return s.suspended; });
  if (what == "thawed") return snapshot([](const Snapshot& s) { return !s.suspended; });
  if (what == "diskless")
    return snapshot([](const Snapshot& s) { return s.disk == DiskState::diskless || s.disk == DiskState::failed; });
  if (what == "up-to-date") return snapshot([](const Snapshot& s) { return s.disk == DiskState::up_to_date; });
  const Seat other = peer_of(subject.seat(), words).seat();
  auto towards = [&subject, other](auto test) -> std::function<bool()> {
    return [&subject, other, test] {
      if (!subject.alive()) return false;
      for (const PeerSnapshot& peer : subject.inspect().peers) {
        if (peer.node == other) return static_cast<bool>(test(peer));
      }
      return false;
    };
  };
  if (what == "connected") return towards([](const PeerSnapshot& p) { return p.connected; });
  if (what == "disconnected") return towards([](const PeerSnapshot& p) { return !p.connected; });
  if (what == "resyncing") return towards([](const PeerSnapshot& p) { return p.replication == ReplicationState::sync_source; });
  if (what == "in-sync") return towards([](const PeerSnapshot& p) { return p.connected && p.dirty_blocks == 0; });
  throw std::runtime_error(fmt::format("no condition '{}'", what));
}

}  // namespace lockstep::scenario
