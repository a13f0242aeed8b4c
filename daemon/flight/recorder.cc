#include "flight/recorder.h"

#include "flight/told_codec.h"

namespace lockstep::flight {

Recorder::Recorder(Space& space, const About& about, const Beginning& beginning) : entries_(space) {
  if (!entries_.ok()) return;
  scratch_.reserve(kMaxEventBytes);
  encode_about(space.header().subspan(kAboutAt), about);
  write_beginning(
      [this](Kind kind, const std::function<void(Packer&)>& pack) {
        Packer out = entries_.begin(kind);
        pack(out);
        entries_.end(out);
      },
      beginning);
}

void Recorder::before(Instant now, const Event& event) {
  Packer out = entries_.begin(static_cast<uint8_t>(event.index()));
  out.byte(trail_.low());
  encode_event(out, entries_.baselines(), scratch_, now, event);
  entries_.end(out);
}

void Recorder::after(Instant now, const Replica& replica, const Effects& effects) {
  trail_.add(effects);
  bool told = false;
  for (const Effect& effect : effects) {
    const auto kind = told_kind(effect);
    if (!kind) continue;
    told = true;
    Packer out = entries_.begin(*kind);
    pack_told(out, effect);
    entries_.end(out);
  }
  if (told || ++since_state_ >= kEventsPerState) write_state(now, replica);
}

void Recorder::closed(Instant now, const Replica& replica) {
  write_state(now, replica);
  entries_.end(entries_.begin(Kind::closed));
}

void Recorder::write_state(Instant now, const Replica& replica) {
  since_state_ = 0;
  Packer out = entries_.begin(Kind::state);
  pack_state(out, {now, digest_of(trail_, replica, now, scratch_)});
  entries_.end(out);
}

}  // namespace lockstep::flight
