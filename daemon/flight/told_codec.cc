#include "flight/told_codec.h"

#include "base/check.h"

namespace lockstep::flight {

namespace {

std::optional<Effect> unpack_note(Unpacker& in) {
  Note note;
  note.notice = static_cast<Notice>(in.byte());
  note.seat = Seat{in.byte()};
  note.a = in.varint();
  if (!in.at_end() || note.notice > Notice::resized) return std::nullopt;
  return note;
}

std::optional<Effect> unpack_reply(Unpacker& in) {
  AdminReply reply;
  reply.id = {in.varint()};
  reply.ok = in.byte() == 1;
  const uint8_t reason = in.byte();
  reply.reason = static_cast<Reason>(reason);
  if (!in.at_end() || reason >= kReasons) return std::nullopt;
  return reply;
}

}  // namespace

std::optional<Kind> told_kind(const Effect& effect) {
  if (std::holds_alternative<Note>(effect)) return Kind::note;
  if (std::holds_alternative<RoleChanged>(effect)) return Kind::role;
  if (std::holds_alternative<AdminReply>(effect)) return Kind::admin_reply;
  return std::nullopt;
}

void pack_told(Packer& out, const Effect& effect) {
  if (const auto* note = std::get_if<Note>(&effect)) {
    out.byte(static_cast<uint8_t>(note->notice));
    out.byte(note->seat.value);
    out.varint(note->a);
  } else if (const auto* role = std::get_if<RoleChanged>(&effect)) {
    out.byte(role->primary ? 1 : 0);
  } else if (const auto* reply = std::get_if<AdminReply>(&effect)) {
    out.varint(reply->id.value);
    out.byte(reply->ok ? 1 : 0);
    out.byte(static_cast<uint8_t>(reply->reason));
  } else {
    UNREACHABLE("an effect that is not told");
  }
}

std::optional<Effect> unpack_told(Kind kind, Unpacker in) {
  if (kind == Kind::note) return unpack_note(in);
  if (kind == Kind::admin_reply) return unpack_reply(in);
  if (kind != Kind::role) return std::nullopt;
  const uint8_t primary = in.byte();
  if (!in.at_end() || primary > 1) return std::nullopt;
  return RoleChanged{primary == 1};
}

void pack_state(Packer& out, const RecordedState& state) {
  out.zigzag(state.when.ns);
  for (const uint64_t part : {state.digest.trail, state.digest.record, state.digest.snapshot}) out.varint(part);
}

std::optional<RecordedState> unpack_state(Unpacker in) {
  RecordedState state;
  state.when.ns = in.zigzag();
  state.digest.trail = in.varint();
  state.digest.record = in.varint();
  state.digest.snapshot = in.varint();
  if (!in.at_end()) return std::nullopt;
  return state;
}

}  // namespace lockstep::flight
