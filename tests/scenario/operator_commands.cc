// Commands of stories that an operator, a fence device or a cable would give.
#include <fmt/format.h>

#include <stdexcept>

#include "scenario/player.h"

namespace lockstep::scenario {

Stage::Answer Player::tell(Seat seat, AdminOp op, Seat peer, std::string_view done, Duration patience) {
  const Stage::Answer answer = stage().command(node(seat), op, peer, patience);
  print_answer(seat, answer, done);
  return answer;
}

void Player::print_answer(Seat seat, const Stage::Answer& answer, std::string_view done) {
  if (!answer.answered) {
    print(fmt::format("{} has not answered yet", name_of(seat)));
  } else if (!answer.ok) {
    print(fmt::format("{} refuses: {}", name_of(seat), code_of(answer.reason)));
  } else if (!done.empty()) {
    print(fmt::format("{} {}", name_of(seat), done));
  }
}

// answer NODE [within TIME]: to a command that had none yet.
void Player::answer(Words& words) {
  sim::SimNode& asked = node(words);
  const Duration patience = words.take_if("within") ? words.take_duration("a time") : seconds(30);
  print_answer(asked.seat(), stage().answer_of(asked, patience), "has done it");
}

void Player::tell(Words& words, AdminOp op, std::string_view done) {
  const Seat seat = node(words).seat();
  const Duration patience = words.take_if("within") ? words.take_duration("a time") : seconds(30);
  tell(seat, op, kNoSeat, done, patience);
}

// promote NODE [force] [within TIME]
void Player::promote(Words& words) {
  const Seat seat = node(words).seat();
  const AdminOp op = words.take_if("force") ? AdminOp::primary_force : AdminOp::primary;
  const Duration patience = words.take_if("within") ? words.take_duration("a time") : seconds(30);
  tell(seat, op, kNoSeat, "is Primary", patience);
}

void Player::invalidate_remote(Words& words) {
  const Seat seat = node(words).seat();
  const Seat peer = peer_of(seat, words).seat();
  tell(seat, AdminOp::invalidate_remote, peer, fmt::format("gave up {}'s copy", name_of(peer)), seconds(30));
}

// As the daemon does it: the node starts anew on its disk. Only of a Secondary.
void Player::attach(Words& words) {
  sim::SimNode& one = node(words);
  one.kill();
  one.start();
  await_start(one);
}

// A clean stop: the process leaves when it has answered.
void Player::stop(Words& words) {
  sim::SimNode& leaving = node(words);
  if (tell(leaving.seat(), AdminOp::stop, kNoSeat, "stopped", seconds(30)).ok) leaving.kill();
}

void Player::connect(Words& words) {
  sim::SimNode& one = node(words);
  one.set_stand_alone(peer_of(one.seat(), words).seat(), false);
}

// discard NODE PEER: connect --discard-my-data. The history is given up, and the daemon starts the resource anew.
void Player::discard(Words& words) {
  sim::SimNode& loser = node(words);
  const Seat peer = peer_of(loser.seat(), words).seat();
  if (!tell(loser.seat(), AdminOp::discard_history, peer, "gives up its history", seconds(30)).ok) return;
  loser.kill();
  loser.start();
}

void Player::disconnect(Words& words) {
  sim::SimNode& one = node(words);
  const Seat other = peer_of(one.seat(), words).seat();
  one.set_stand_alone(other, true);
  stage().net().reset(one.seat(), other);
}

// fence BY PEER exit=N [power-off|isolated]: what the handler that BY had started for PEER does and reports.
void Player::fence(Words& words) {
  const Seat by = node(words).seat();
  sim::SimNode& victim = node(words);
  const bool off = words.take_if("power-off");
  const bool isolated = words.take_if("isolated");  // by the device, as the story has it: nothing of it reaches anybody
  const int exit_status = words.option("exit", 7);
  stage().run_until(seconds(15), [&] { return stage().fence_of(by, victim.seat()).has_value(); });
  const auto wanted = stage().fence_of(by, victim.seat());
  if (!wanted) {
    print(fmt::format("{} wants nobody fenced", name_of(by)));
    return;
  }
  if (off) victim.power_off();
  if ((off || isolated) && exit_status == 7) stage().oracle().fence_completed(by, victim.seat(), victim.boot());
  stage().end_fence(*wanted, exit_status);
}

void Player::kill(Words& words) {
  const Seat seat = words.take_seat("a node or witness");
  if (sim::SimWitness* w = witness(seat)) return w->kill();
  node(seat).kill();
}

// start X [lease=MS]: a node with another lease in its configuration than before.
void Player::start(Words& words) {
  const Seat seat = words.take_seat("a node or witness");
  if (sim::SimWitness* w = witness(seat)) return w->start();
  const int lease = words.option("lease", 0);
  if (lease > 0) node(seat).configure_lease(milliseconds(lease));
  node(seat).start();
  await_start(node(seat));
}

void Player::await_start(sim::SimNode& waking) {
  if (!at_once_) stage().run_until(seconds(5), [&] { return waking.running(); });
}

void Player::power_off(Words& words) { node(words).power_off(); }

void Player::power_on(Words& words) {
  sim::SimNode& waking = node(words);
  waking.power_on();
  waking.start();
  await_start(waking);
}

void Player::pause(Words& words) {
  const Seat seat = words.take_seat("a node or witness");
  if (sim::SimWitness* w = witness(seat)) return w->pause();
  node(seat).pause();
}

void Player::resume(Words& words) {
  const Seat seat = words.take_seat("a node or witness");
  if (sim::SimWitness* w = witness(seat)) return w->resume();
  node(seat).resume();
}

// cut A B, cut A > B (only what A sends), cut A (from everybody); mend likewise.
void Player::block(Words& words, bool blocked) {
  const Seat one = member(words);
  std::vector<Seat> others;
  bool one_way = false;
  if (words.empty()) {
    for (uint8_t i = 0; i < stage().node_count(); ++i) {
      if (Seat{i} != one) others.push_back(Seat{i});
    }
    for (uint8_t i = 0; i < stage().witness_count(); ++i) {
      if (witness_seat(i) != one && !one.is_witness()) others.push_back(witness_seat(i));
    }
  } else {
    one_way = words.take_if(">");
    others.push_back(far_end(one, words));
  }
  for (Seat other : others) {
    stage().net().block(one, other, blocked);
    if (!one_way) stage().net().block(other, one, blocked);
  }
}

void Player::reset(Words& words) {
  const Seat one = member(words);
  stage().net().reset(one, far_end(one, words));
}

// What a process had under way is carried out or lost: then its disk can be exchanged.
void Player::await_idle_disk(sim::SimNode& node) {
  if (!stage().run_until(seconds(5), [&] { return !node.disk().busy(); }))
    throw std::runtime_error(fmt::format("{}'s disk is still busy after 5 s: let it end first (run TIME)", name_of(node.seat())));
}

// image X: what is on its stable storage now; restore X: it is that again. A running one is not touched by the first.
void Player::image(Words& words) {
  const Seat seat = words.take_seat("a node or witness");
  if (sim::SimWitness* w = witness(seat)) {
    witness_images_[seat] = w->stable();
  } else {
    images_[seat] = node(seat).disk().image();
  }
}

void Player::restore(Words& words) {
  const Seat seat = words.take_seat("a node or witness");
  sim::SimWitness* w = witness(seat);
  const bool known = w != nullptr ? witness_images_.count(seat) != 0 : images_.count(seat) != 0;
  if (!known) throw std::runtime_error(fmt::format("there is no image of {}", name_of(seat)));
  if (w != nullptr) {
    w->kill();
    return w->restore(witness_images_.at(seat));
  }
  sim::SimNode& one = node(seat);
  one.kill();
  await_idle_disk(one);
  one.restore(*images_.at(seat));
}

// A disk or a witness's state as new. The process is stopped by it.
void Player::wipe(Words& words) {
  const Seat seat = words.take_seat("a node or witness");
  if (sim::SimWitness* w = witness(seat)) {
    w->kill();
    return w->wipe();
  }
  sim::SimNode& emptied = node(seat);
  emptied.kill();
  await_idle_disk(emptied);
  emptied.create_metadata(emptied.disk().record().resource, sim::kGarbage);
}

// disk NODE good|data-errors|meta-errors|slow
void Player::disk(Words& words) {
  sim::DiskBehaviour& behaviour = node(words).disk().behaviour;
  const std::string how = words.take("good, data-errors, meta-errors or slow");
  if (how == "good") {
    behaviour = stage().plan().disk;
    behaviour.volatile_cache = stage().plan().volatile_cache;
  } else if (how == "data-errors") {
    behaviour.data_error_permille = 1000;
  } else if (how == "meta-errors") {
    behaviour.meta_error_permille = 1000;
  } else if (how == "slow") {
    behaviour.slowest = seconds(60);
    behaviour.fastest = seconds(59);
  } else {
    throw std::runtime_error(fmt::format("a disk is good, slow or has data-errors or meta-errors, not '{}'", how));
  }
}

}  // namespace lockstep::scenario
