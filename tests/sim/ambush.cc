#include "sim/ambush.h"

namespace lockstep::sim {
namespace {

template <class T>
bool sends(const Effect& effect) {
  const auto* send = std::get_if<Send>(&effect);
  return send != nullptr && std::holds_alternative<T>(send->message);
}

bool notes(const Effect& effect, Notice notice) {
  const auto* note = std::get_if<Note>(&effect);
  return note != nullptr && note->notice == notice;
}

bool frequent(Moment moment) {
  return moment == Moment::intent_write || moment == Moment::read_begun || moment == Moment::write_sent ||
         moment == Moment::write_reply_sent || moment == Moment::answered || moment == Moment::resync_write_sent;
}

}  // namespace

bool is(Moment moment, const Effect& effect) {
  switch (moment) {
    case Moment::record_write:
      return std::holds_alternative<WriteRecord>(effect);
    case Moment::intent_write:
      return std::holds_alternative<WriteIntentPage>(effect);
    case Moment::bitmap_write:
      return std::holds_alternative<WriteBitmapPage>(effect);
    case Moment::prepare_sent:
      return sends<Prepare>(effect);
    case Moment::accept_sent:
      return sends<Accept>(effect);
    case Moment::vote_sent:
      return sends<Accepted>(effect) || sends<Promise>(effect);
    case Moment::read_begun: {
      const auto* io = std::get_if<DiskIo>(&effect);
      return io != nullptr && io->kind == OpKind::read;
    }
    case Moment::write_sent:
      return sends<WriteRequest>(effect);
    case Moment::write_reply_sent:
      return sends<WriteReply>(effect);
    case Moment::flush_sent:
      return sends<FlushRequest>(effect);
    case Moment::resync_map_sent:
      return sends<ResyncMap>(effect);
    case Moment::resync_write_sent:
      return sends<ResyncWrite>(effect);
    case Moment::join_prepare_sent:
      return sends<JoinPrepare>(effect);
    case Moment::join_ready_sent:
      return sends<JoinReady>(effect);
    case Moment::adopted_sent:
      return sends<TenureAdopted>(effect);
    case Moment::answered:
      return std::holds_alternative<ClientReply>(effect);
    case Moment::tenure_decided:
      return notes(effect, Notice::tenure_decided);
    case Moment::tenure_adopted:
      return notes(effect, Notice::tenure_adopted);
    case Moment::became_primary:
      return notes(effect, Notice::became_primary);
    case Moment::peer_dropped:
      return notes(effect, Notice::peer_dropped);
    case Moment::peer_joined:
      return notes(effect, Notice::peer_joined);
  }
  return false;
}

void Ambush::lay(Prng& prng, Fault fault, Instant until) {
  armed_ = true;
  moment_ = static_cast<Moment>(prng.below(kMoments));
  // A power loss is at its worst while metadata is being written.
  if (fault == Fault::power_loss && prng.chance(50)) moment_ = static_cast<Moment>(prng.below(3));
  // And the loss of a cache when another copy has just been given up.
  if (fault == Fault::volatile_power_loss && prng.chance(40)) moment_ = Moment::peer_dropped;
  // What a frozen Primary had begun is what it must not answer afterwards.
  if ((fault == Fault::pause || fault == Fault::usurp) && prng.chance(40)) moment_ = Moment::read_begun;
  fault_ = fault;
  pass_ = frequent(moment_) ? prng.below(60) : prng.below(2);
  until_ = until;
}

std::optional<Fault> Ambush::sprung(const Effect& effect, Instant now) {
  if (!waiting(now) || !is(moment_, effect)) return std::nullopt;
  if (pass_ > 0) {
    --pass_;
    return std::nullopt;
  }
  armed_ = false;
  return fault_;
}

}  // namespace lockstep::sim
