#include "flight/player.h"

#include <utility>

namespace lockstep::flight {

Result<Player> Player::open(std::span<const std::byte> file) {
  auto reader = EntryReader::open(file);
  if (!reader) return reader.error();
  const bool whole = reader.value().has_beginning();
  Player player(std::move(reader).value());
  player.about_ = decode_about(file.subspan(kAboutAt)).value_or(About{});
  if (whole && !player.read_beginning())
    return Error{0, "its beginning cannot be understood: use the lockstep-replay that came with that lockstepd"};
  return player;
}

bool Player::read_beginning() {
  while (!beginning_.complete()) {
    const auto entry = take();
    if (!entry || entry->is_event() || !beginning_.take(static_cast<Kind>(entry->kind), Unpacker(entry->body))) return false;
  }
  Beginning& beginning = beginning_.beginning();
  replica_.emplace(beginning.config, std::move(beginning.loaded), beginning.begun);
  return true;
}

std::optional<Entry> Player::take() {
  auto entry = ahead_ ? std::exchange(ahead_, std::nullopt) : reader_.next();
  if (!entry) {
    if (reader_.damaged()) damaged("a part behind it is missing or damaged");
    return entry;
  }
  if (entry->first_of_segment) {
    Baselines fresh;
    fresh.now = entry->segment_now;
    base_ = fresh;
  }
  return entry;
}

void Player::damaged(const std::string& what) {
  if (damage_.empty()) damage_ = what;
}

std::optional<Player::Step> Player::next() {
  if (difference_ || !damage_.empty()) return std::nullopt;
  for (;;) {
    const auto entry = take();
    if (!entry) return std::nullopt;
    if (entry->is_event()) return step_of(*entry);
    // What the beginning's loss left of it, or what was told of a step that is gone.
    Step none;
    none.number = entry->event;
    if (!take_behind(*entry, none)) return std::nullopt;
    if (closed_) return std::nullopt;
  }
}

std::optional<Player::Step> Player::step_of(const Entry& entry) {
  Unpacker in(entry.body);
  const uint8_t trail = in.byte();
  auto timed = in.ok() ? decode_event(in, base_, entry.kind) : std::nullopt;
  if (!timed) {
    damaged("an event cannot be understood");
    return std::nullopt;
  }
  if (replica_ && trail != trail_.low()) {
    difference_ = Difference{entry.event == 0 ? 0 : entry.event - 1, "its effects"};
    return std::nullopt;
  }
  Step step;
  step.number = entry.event;
  step.now = timed->now;
  step.event = std::move(timed->event);
  ++steps_;
  if (replica_) {
    replica_->step(step.now, step.event, step.effects);
    trail_.add(step.effects);
  }
  look_behind(step);
  return step;
}

// What belongs to the step comes right behind its event.
void Player::look_behind(Step& step) {
  for (;;) {
    auto entry = take();
    if (!entry) return;
    if (entry->is_event()) {
      // Baselines have been set already where the entry begins a segment.
      entry->first_of_segment = false;
      ahead_ = entry;
      return;
    }
    if (!take_behind(*entry, step) || closed_ || difference_) return;
  }
}

bool Player::take_behind(const Entry& entry, Step& step) {
  const Kind kind = static_cast<Kind>(entry.kind);
  if (kind == Kind::closed) {
    closed_ = true;
    return true;
  }
  if (kind == Kind::state) {
    if (replica_) compare(entry, step);
    return damage_.empty();
  }
  // What is left of a beginning.
  if (!replica_ && kind >= Kind::config && kind <= Kind::begin) return true;
  auto told = unpack_told(kind, Unpacker(entry.body));
  if (!told) {
    damaged("an entry cannot be understood");
    return false;
  }
  if (!replica_) step.effects.push_back(std::move(*told));
  return true;
}

void Player::compare(const Entry& entry, const Step& step) {
  const auto recorded = unpack_state(Unpacker(entry.body));
  if (!recorded) return damaged("a digest cannot be understood");
  const StateDigest here = digest_of(trail_, *replica_, recorded->when, scratch_);
  ++states_compared_;
  if (here == recorded->digest) return;
  std::string what;
  for (const auto& [same, name] : {std::pair{here.trail == recorded->digest.trail, "its effects"},
                                   std::pair{here.record == recorded->digest.record, "the durable record"},
                                   std::pair{here.snapshot == recorded->digest.snapshot, "the state shown"}}) {
    if (!same) what += (what.empty() ? "" : ", ") + std::string(name);
  }
  difference_ = Difference{step.number, what};
}

}  // namespace lockstep::flight
