#include "core/membership/witness_voter.h"

#include "core/membership/acquaintance.h"

namespace lockstep {

namespace {

// A voter speaks for candidates that it heard from themselves: nobody asks in another node's name.
bool speaks_for_itself(Seat from, const Message& message) {
  if (const auto* prepare = std::get_if<Prepare>(&message)) return prepare->candidate.node == from;
  if (const auto* accept = std::get_if<Accept>(&message)) return accept->candidate.node == from;
  if (const auto* lease = std::get_if<LeaseRequest>(&message)) return lease->holder.node == from;
  if (const auto* released = std::get_if<LeaseReleased>(&message)) return released->holder.node == from;
  return true;
}

}  // namespace

WitnessOutcome WitnessVoter::meet(Seat from, bool& introduced, const VoterHello& hello) {
  const KnownRun known = remembered(memory_, from, hello.acceptor);
  const Uuid& self = acceptor_.record().acceptor;
  const Kinship kin = kinship(known, hello.acceptor, hello.lineage);
  if (kin == Kinship::superseded) return {VoterAnswer{Superseded{known}, false}, false, false};
  introduced = true;
  remember(memory_, from, latest_run(hello.acceptor, hello.lineage), {&acceptor_.record().tenure});
  return {VoterAnswer{VoterHello{self, acceptor_.boot(), memory_.lineage}, kin != Kinship::same_run}, false, false};
}

WitnessOutcome WitnessVoter::handle(Instant now, Seat from, bool& introduced, const Message& message) {
  const WitnessOutcome wrong{std::nullopt, true, false};
  if (from.value >= kMaxDataNodes || !speaks_for_itself(from, message)) return wrong;
  if (const auto* hello = std::get_if<VoterHello>(&message))
    return introduced || hello->acceptor.is_nil() ? wrong : meet(from, introduced, *hello);
  if (const auto* later = std::get_if<Superseded>(&message)) {
    const bool shown = shows_superseded(later->known, acceptor_.record().acceptor, memory_.lineage);
    return {std::nullopt, !shown, shown};
  }
  if (!is_register_message(message)) return wrong;
  if (!introduced) return {};
  if (const auto* prepare = std::get_if<Prepare>(&message)) return {acceptor_.prepare(now, *prepare), false, false};
  if (const auto* accept = std::get_if<Accept>(&message)) return {acceptor_.accept(now, *accept), false, false};
  if (const auto* lease = std::get_if<LeaseRequest>(&message)) return {acceptor_.lease(now, *lease), false, false};
  if (const auto* released = std::get_if<LeaseReleased>(&message)) {
    acceptor_.released(*released);
  } else if (const auto* ended = std::get_if<BootEnded>(&message)) {
    acceptor_.boot_ended(*ended);
  } else if (!std::holds_alternative<AcceptanceCounted>(message)) {  // that one is for data nodes; harmless here
    return wrong;
  }
  return {};
}

}  // namespace lockstep
