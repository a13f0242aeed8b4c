#include "sim/sim_witness.h"

#include <algorithm>

#include "core/membership/acquaintance.h"
#include "flight/describe.h"

namespace lockstep::sim {

SimWitness::SimWitness(SimContext context, Prng prng, Seat seat, int drift_permille)
    : context_(context), prng_(prng), seat_(seat), drift_permille_(drift_permille), boot_(prng_.uuid()) {
  const int drift = static_cast<int>(prng_.between(-22, 22));
  clock_ = SimClock(context.queue.now(), Instant{prng_.between(1, 1'000'000) * 1'000'000}, drift);
  stable_ = fresh();
}

WitnessRecord SimWitness::fresh() {
  WitnessRecord record;
  record.acceptor.acceptor = prng_.uuid();
  return record;
}

void SimWitness::start() {
  if (up()) return;
  context_.trace.note(seat_, "starts");
  begin_run(stable_.memory.lineage, prng_.next() | 1);
  voter_.emplace(stable_, boot_, drift_permille_, local());
}

void SimWitness::kill() {
  if (!up()) return;
  context_.trace.note(seat_, "killed");
  ++life_;
  voter_.reset();
  introduced_.clear();
  inbox_.clear();
  paused_ = false;
  context_.net.process_ended(seat_, false);
  context_.net.silence_changed(seat_);
}

void SimWitness::wipe() {
  if (up()) return;
  context_.trace.note(seat_, "loses its state");
  stable_ = fresh();
  ++file_;
  set_back_ = false;
}

void SimWitness::restore(const WitnessRecord& older) {
  if (up()) return;
  context_.trace.note(seat_, "is set back to an older state");
  stable_ = older;
  ++file_;
  set_back_ = true;
}

void SimWitness::remember(const Tenure& earlier) {
  stable_.acceptor.promised = stable_.acceptor.accepted = earlier.origin;
  stable_.acceptor.tenure = earlier;
}

void SimWitness::pause() {
  if (!up() || paused_) return;
  context_.trace.note(seat_, "frozen");
  paused_ = true;
  context_.net.silence_changed(seat_);
}

void SimWitness::resume() {
  if (!paused_) return;
  context_.trace.note(seat_, "goes on");
  paused_ = false;
  context_.net.silence_changed(seat_);
  std::vector<Mail> waiting;
  waiting.swap(inbox_);
  for (const Mail& mail : waiting) handle(mail);
}

void SimWitness::receive(Seat from, LinkId link, const Message& message, Payload) {
  if (!up()) return;
  const Mail mail{from, link, std::make_shared<const Message>(message)};
  if (paused_) {
    inbox_.push_back(mail);
  } else {
    handle(mail);
  }
}

void SimWitness::handle(const Mail& mail) {
  const Message& message = *mail.message;
  context_.trace.event(seat_, MessageReceived{mail.from, mail.link, message, {}});
  bool introduced = introduced_.contains({mail.from, mail.link});
  const WitnessOutcome outcome = voter_->handle(local(), mail.from, introduced, message);
  if (introduced) introduced_.insert({mail.from, mail.link});
  if (outcome.violation) context_.oracle.fail("P10", "the witness is told what a node does not say: " + describe(message));
  if (outcome.superseded) return begin_anew();
  if (outcome.answer) answer(mail, *outcome.answer);
}

// As the witness program does.
void SimWitness::begin_anew() {
  context_.trace.note(seat_, "finds that its state is an older one, and begins anew");
  ++context_.coverage.witness_begins_anew;
  kill();
  wipe();
  start();
}

void SimWitness::answer(const Mail& mail, const VoterAnswer& answer) {
  auto send = [this, mail, message = answer.message, life = life_] {
    if (life != life_) return;
    context_.trace.effect(seat_, Send{mail.from, mail.link, message, {}});
    context_.net.send(seat_, mail.from, mail.link, message, nullptr);
    context_.listener.effect_done(seat_, Send{mail.from, mail.link, message, {}});
  };
  if (!answer.durable_first) {
    send();
    return;
  }
  // A record whose write a crash interrupts is on disk or not.
  const Duration latency = prng_.between(microseconds(100), milliseconds(4));
  last_written_ = std::max(last_written_ + Duration{1}, context_.queue.now() + latency);
  const bool lands = prng_.chance(50);
  context_.queue.at(last_written_, [this, record = voter_->record(), life = life_, file = file_, lands, send] {
    if (life != life_ && (!lands || up() || file != file_)) return;
    stable_ = record;
    if (life == life_) voter_->acceptor().longest_lease_durable(record.acceptor.longest_lease);
    context_.oracle.acceptor_durable(seat_, stable_.acceptor);
    send();
  });
}

}  // namespace lockstep::sim
