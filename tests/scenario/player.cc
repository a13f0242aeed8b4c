#include "scenario/player.h"

#include <fmt/format.h>

#include <array>
#include <stdexcept>

namespace lockstep::scenario {

const Player::Command* Player::find(std::string_view name) {
  static constexpr auto kCommands = std::to_array<Command>({
      {"cluster", &Player::cluster},
      {"create", &Player::create},
      {"answer", &Player::answer},
      {"promote", &Player::promote},
      {"demote", &Player::demote},
      {"invalidate", &Player::invalidate},
      {"detach", &Player::detach},
      {"attach", &Player::attach},
      {"outdate", &Player::outdate},
      {"invalidate-remote", &Player::invalidate_remote},
      {"stop", &Player::stop},
      {"connect", &Player::connect},
      {"discard", &Player::discard},
      {"disconnect", &Player::disconnect},
      {"fence", &Player::fence},
      {"write", &Player::write},
      {"read", &Player::read},
      {"flush", &Player::flush},
      {"trim", &Player::trim},
      {"zero", &Player::zero},
      {"check", &Player::check},
      {"kill", &Player::kill},
      {"start", &Player::start},
      {"power-off", &Player::power_off},
      {"power-on", &Player::power_on},
      {"pause", &Player::pause},
      {"resume", &Player::resume},
      {"cut", &Player::cut},
      {"mend", &Player::mend},
      {"reset", &Player::reset},
      {"wipe", &Player::wipe},
      {"image", &Player::image},
      {"restore", &Player::restore},
      {"disk", &Player::disk},
      {"at", &Player::at},
      {"run", &Player::run},
      {"until", &Player::until},
      {"status", &Player::status},
      {"tenure", &Player::tenure},
      {"copies", &Player::copies},
      {"whole", &Player::whole},
  });
  for (const Command& command : kCommands) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

std::string Player::play(std::string_view line) {
  printed_.clear();
  if (over()) return {};
  Words words(line);
  const std::string name = words.take("a command");
  const Command* command = find(name);
  if (command == nullptr) throw std::runtime_error(fmt::format("no command '{}'", name));
  (this->*command->handler)(words);
  words.finish();
  tell_violations();
  return printed_;
}

std::string Player::finish() {
  printed_.clear();
  if (!stage_ || over()) return {};
  if (stage().actions_left() > 0) print("what was to happen at a moment did not happen");
  stage().oracle().compare_copies();
  stage().oracle().check_history();
  tell_violations();
  return printed_;
}

void Player::tell_violations() {
  const std::vector<sim::Violation> all = violations();
  for (; violations_told_ < all.size(); ++violations_told_) {
    const sim::Violation& v = all[violations_told_];
    print(fmt::format("{} IS BROKEN: {}", v.promise, v.what));
  }
}

Stage& Player::stage() {
  if (!stage_) throw std::runtime_error("a story's first command is 'cluster'");
  return *stage_;
}

sim::SimNode& Player::node(Seat seat) {
  if (seat.is_witness() || seat.value >= stage().node_count())
    throw std::runtime_error(fmt::format("'{}' is no data node of this cluster", name_of(seat)));
  return stage().node(seat.value);
}

sim::SimNode& Player::node(Words& words) { return node(words.take_seat("a data node")); }

sim::SimNode& Player::peer_of(Seat seat, Words& words) {
  sim::SimNode& peer = node(words);
  if (peer.seat() == seat) throw std::runtime_error(fmt::format("'{}' is no peer of itself", name_of(seat)));
  return peer;
}

sim::SimWitness* Player::witness(Seat seat) {
  if (!seat.is_witness()) return nullptr;
  const size_t index = seat.value - witness_seat(0).value;
  if (index >= stage().witness_count()) throw std::runtime_error(fmt::format("no witness '{}' in this cluster", name_of(seat)));
  return &stage().witness(index);
}

// A node or witness of this cluster.
Seat Player::member(Words& words) {
  const Seat seat = words.take_seat("a node or witness");
  if (witness(seat) == nullptr) node(seat);
  return seat;
}

// The member at the other end of a cable from `near`.
Seat Player::far_end(Seat near, Words& words) {
  const Seat far = member(words);
  if (far == near || (far.is_witness() && near.is_witness()))
    throw std::runtime_error(fmt::format("there is no cable from '{}' to '{}'", name_of(near), name_of(far)));
  return far;
}

// cluster [nodes=2] [witnesses=1] [fence-handler=0] [witness-timeout=ms] [volatile=0] [clients=0] [lease=ms] [created=1]
void Player::cluster(Words& words) {
  if (stage_) throw std::runtime_error("one cluster a story");
  sim::Plan plan = sim::quiet_plan(seed_, words.option("witnesses", 1), words.option("nodes", 2));
  plan.core.fence_handler = words.option("fence-handler", 0) != 0;
  if (plan.core.fence_handler) plan.core.fencing = FencingPolicy::resource_and_stonith;
  plan.core.witness_timeout = milliseconds(words.option("witness-timeout", 0));
  plan.volatile_cache = words.option("volatile", 0) != 0;
  plan.workload.clients = words.option("clients", 0);
  plan.core.lease = milliseconds(words.option("lease", 3000));
  plan.core.promote_patience = plan.core.lease * 2 + seconds(2);
  const bool created = words.option("created", 1) != 0;
  stage_ = std::make_unique<Stage>(plan, trace_ ? sim::TraceDetail::all : sim::TraceDetail::none);
  stage().power_up();
  auto everybody_met = [this] {
    for (size_t i = 0; i < stage().node_count(); ++i) {
      if (!stage().node(i).alive()) return false;
      for (const PeerSnapshot& peer : stage().node(i).inspect().peers) {
        if (!peer.connected) return false;
      }
      // A witness that is not heard at the creation gets an empty seat: a story that wants that says so.
      for (const VoterSnapshot& voter : stage().node(i).inspect().voters) {
        if (!voter.answers) return false;
      }
    }
    return true;
  };
  if (!stage().run_until(seconds(20), everybody_met)) print("the nodes do not meet");
  if (created) tell(Seat{0}, AdminOp::new_current_uuid, kNoSeat, "", seconds(20));
}

void Player::run(Words& words) { stage().run_for(words.take_duration("how long")); }

// at MOMENT of NODE [nth=1] COMMAND...: right after the node did that, the command is carried out.
void Player::at(Words& words) {
  const std::string name = words.take("a moment");
  const auto moment = moment_named(name);
  if (!moment) throw std::runtime_error(fmt::format("no moment '{}'", name));
  if (!words.take_if("of")) throw std::runtime_error("'of' and a node follow the moment");
  const Seat seat = node(words).seat();
  const int nth = words.option("nth", 1);
  const std::string action = words.rest();
  // Commands that do something at once; none that wait, as they would run the world from within.
  constexpr std::array<std::string_view, 9> kAtOnce = {"kill", "power-off", "pause", "resume", "cut",
                                                       "mend", "reset",     "start", "disk"};
  const std::string first = action.substr(0, action.find(' '));
  if (std::find(kAtOnce.begin(), kAtOnce.end(), first) == kAtOnce.end())
    throw std::runtime_error(fmt::format("'{}' does not happen in a moment", first));
  const Command* command = find(first);
  stage().when(seat, *moment, static_cast<uint64_t>(nth), [this, command, action] {
    Words later(action);
    later.take("a command");
    at_once_ = true;
    try {
      (this->*command->handler)(later);
      later.finish();
    } catch (const std::runtime_error& error) {  // the command that is being played is another one
      throw std::runtime_error(fmt::format("in the moment for '{}': {}", action, error.what()));
    }
    at_once_ = false;
  });
}

void Player::whole(Words& words) {
  const Duration within = words.empty() ? seconds(60) : words.take_duration("within what time");
  if (!stage().run_until(within, [this] { return stage().settled(); })) {
    if (!stage().oracle().failed()) print("NOT WHOLE");
    return;
  }
  stage().prove();
  if (!stage().oracle().failed()) print("whole: everything acknowledged is there, and the copies are identical");
}

}  // namespace lockstep::scenario
