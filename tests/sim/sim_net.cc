#include "sim/sim_net.h"

#include <algorithm>

#include "base/check.h"

namespace lockstep::sim {

namespace {
constexpr size_t at(int side) { return static_cast<size_t>(side); }
constexpr size_t at(Lane lane) { return static_cast<size_t>(lane); }
}  // namespace

SimNet::Pair& SimNet::pair(Seat a, Seat b) {
  auto found = pairs_.find(key(a, b));
  CHECK(found != pairs_.end());
  return found->second;
}

void SimNet::join(Seat a, Seat b) {
  const auto [low, high] = key(a, b);
  Pair& pair = pairs_[{low, high}];
  pair.seat = {low, high};
  try_connect(pair);
}

SimNet::Connection* SimNet::find(Pair& pair, int side, LinkId link) {
  for (auto& [id, connection] : pair.connections) {
    if (connection.link[at(side)] == link) return &connection;
  }
  return nullptr;
}

void SimNet::try_connect(Pair& pair) {
  queue_.after(prng_.between(behaviour.connect_fastest, behaviour.connect_slowest), [this, &pair] { try_connect(pair); });
  for (int side = 0; side < 2; ++side) {
    if (!endpoint(pair, side).running() || direction_silent(pair, side)) return;
    if (endpoint(pair, side).refuses(pair.seat[at(1 - side)])) return;
  }
  const auto current = pair.connections.find(pair.current);
  if (current != pair.connections.end() && !current->second.broken) return;
  open(pair);
}

// A side that still believes in an older connection learns that it is over when the new one arrives: as a
// daemon that accepts a second connection from the same peer does.
void SimNet::open(Pair& pair) {
  const uint64_t id = next_connection_++;
  Connection& connection = pair.connections[id];
  connection.id = id;
  connection.link = {LinkId{next_link_}, LinkId{next_link_ + 1}};
  next_link_ += 2;
  pair.current = id;
  ++counters.connected;
  for (int side = 0; side < 2; ++side) {
    queue_.after(prng_.between(microseconds(100), milliseconds(30)), [this, &pair, id, side] { opened(pair, id, side); });
  }
}

void SimNet::opened(Pair& pair, uint64_t id, int side) {
  auto found = pair.connections.find(id);
  if (found == pair.connections.end() || found->second.closed[at(side)]) return;
  if (!endpoint(pair, side).running() || found->second.broken) {
    side_down(pair, id, side);
    return;
  }
  std::vector<uint64_t> older;
  for (auto& [other_id, other] : pair.connections) {
    if (other_id < id && other.opened[at(side)] && !other.closed[at(side)]) older.push_back(other_id);
  }
  for (uint64_t old : older) {
    ++counters.half_open;
    side_down(pair, old, side);
  }
  found->second.opened[at(side)] = true;
  endpoint(pair, side).link_up(pair.seat[at(1 - side)], found->second.link[at(side)]);
  drain(pair, id, side);
}

void SimNet::send(Seat from, Seat to, LinkId link, const Message& message, Payload payload) {
  Pair& p = pair(from, to);
  const int from_side = p.seat[0] == from ? 0 : 1;
  Connection* connection = find(p, from_side, link);
  if (connection == nullptr || connection->broken || connection->closed[at(from_side)]) {
    ++counters.dropped;
    return;
  }
  const Lane lane = lane_of(message);
  const int to_side = 1 - from_side;
  auto& direction = connection->to[at(to_side)][at(lane)];
  if (!direction) direction = std::make_shared<Direction>(WireStream(pool_, lane));
  const Instant earliest = std::max(direction->last, queue_.now()) + Duration{1};
  const Instant arrival = schedule(*direction);
  if (arrival == earliest && wire_prng_.chance(50)) direction->stream.join_next();
  const auto bring = [this, &p, id = connection->id, to_side, lane](Instant when, uint64_t position) {
    queue_.at(when, [this, &p, id, to_side, lane, position] { deliver(p, id, to_side, lane, position); });
  };
  const uint64_t begin = direction->stream.end();
  direction->stream.send(message, std::move(payload), wire_prng_);
  const uint64_t end = direction->stream.end();
  if (arrival > earliest && wire_prng_.chance(10)) {  // a part of it comes before
    const Duration gap = wire_prng_.between(Duration{0}, arrival - earliest - Duration{1});
    bring(earliest + gap, begin + 1 + wire_prng_.below(end - begin - 1));
  }
  bring(arrival, end);
}

// When the next frame is there.
Instant SimNet::schedule(Direction& direction) {
  Duration delay = prng_.between(behaviour.fastest, behaviour.slowest);
  if (prng_.permille(behaviour.stall_permille)) delay = prng_.between(behaviour.slowest, behaviour.stall_slowest);
  direction.last = std::max(direction.last + Duration{1}, queue_.now() + delay);
  return direction.last;
}

void SimNet::deliver(Pair& pair, uint64_t id, int to_side, Lane lane, uint64_t position) {
  auto found = pair.connections.find(id);
  if (found == pair.connections.end() || found->second.closed[at(to_side)]) {
    ++counters.dropped;
    return;
  }
  const std::shared_ptr<Direction>& direction = found->second.to[at(to_side)][at(lane)];
  direction->carried = std::min(position, direction->lost_from);
  if (direction->held || !found->second.opened[at(to_side)] || pair.blocked[at(1 - to_side)]) {
    direction->held = true;
  } else if (!direction->stream.comes_with_next(direction->carried)) {
    arrive(pair, found->second.link[at(to_side)], to_side, direction);
  }
}

// The receiver may end the connection over any message.
void SimNet::arrive(Pair& pair, LinkId link, int to_side, std::shared_ptr<Direction> direction) {
  direction->stream.arrived(direction->carried, wire_prng_);
  while (const WireStream::Arrival* arrival = direction->stream.next(wire_prng_, counters.wire)) {
    const Connection* connection = find(pair, to_side, link);
    if (connection == nullptr || connection->closed[at(to_side)]) {
      ++counters.dropped;
      return;
    }
    ++counters.delivered;
    endpoint(pair, to_side).receive(pair.seat[at(1 - to_side)], link, arrival->message, arrival->payload);
  }
  if (!direction->stream.wrong().empty()) {
    CHECK(mangled_);
    mangled_(direction->stream.wrong());
  }
}

// A reset: of what is on its way, some bytes still come. (What a machine sent before its power went comes whole: stories rely on it.)
void SimNet::lose_tail(Connection& connection, int to_side) {
  for (const auto& direction : connection.to[at(to_side)]) {
    if (!direction) continue;
    const uint64_t on_its_way = direction->stream.end() - direction->carried;
    direction->lost_from = std::min(direction->lost_from, direction->carried + wire_prng_.below(on_its_way + 1));
  }
}

void SimNet::drain(Pair& pair, uint64_t id, int to_side) {
  for (const Lane lane : {Lane::data, Lane::control}) {
    auto found = pair.connections.find(id);
    if (found == pair.connections.end() || found->second.closed[at(to_side)]) return;
    if (!found->second.opened[at(to_side)] || pair.blocked[at(1 - to_side)]) return;
    const std::shared_ptr<Direction>& direction = found->second.to[at(to_side)][at(lane)];
    if (!direction || !direction->held) continue;
    direction->held = false;
    const uint64_t before = counters.delivered;
    arrive(pair, found->second.link[at(to_side)], to_side, direction);
    counters.late += counters.delivered - before;
  }
}

void SimNet::side_down_after(Pair& pair, uint64_t id, int side, Duration delay) {
  queue_.after(delay, [this, &pair, id, side] { side_down(pair, id, side); });
}

// Idempotent. The other side hears of it (FIN or RST) unless this direction is silent; then it finds out by
// itself.
void SimNet::side_down(Pair& pair, uint64_t id, int side) {
  auto found = pair.connections.find(id);
  if (found == pair.connections.end() || found->second.closed[at(side)]) return;
  Connection& connection = found->second;
  connection.closed[at(side)] = true;
  connection.broken = true;
  const bool told = connection.opened[at(side)] && endpoint(pair, side).running();
  for (const auto& direction : connection.to[at(side)]) {
    if (told && direction && direction->stream.in_frame()) ++counters.frames_cut;
  }
  const LinkId link = connection.link[at(side)];
  if (!connection.closed[at(1 - side)]) {
    const Duration delay = direction_silent(pair, side) ? prng_.between(behaviour.ping_fastest, behaviour.ping_slowest)
                                                        : prng_.between(microseconds(50), milliseconds(20));
    side_down_after(pair, id, 1 - side, delay);
  }
  forget_if_over(pair, id);
  if (told) endpoint(pair, side).link_down(pair.seat[at(1 - side)], link);
}

void SimNet::forget_if_over(Pair& pair, uint64_t id) {
  auto found = pair.connections.find(id);
  if (found != pair.connections.end() && found->second.closed[0] && found->second.closed[1]) pair.connections.erase(found);
}

void SimNet::close(Seat by, Seat peer, LinkId link) {
  Pair& p = pair(by, peer);
  const int side = p.seat[0] == by ? 0 : 1;
  if (Connection* connection = find(p, side, link)) side_down_after(p, connection->id, side, Duration{0});
}

void SimNet::reset(Seat a, Seat b) {
  Pair& p = pair(a, b);
  auto found = p.connections.find(p.current);
  if (found == p.connections.end()) return;
  found->second.broken = true;
  ++counters.resets;
  for (int side = 0; side < 2; ++side) lose_tail(found->second, side);
  for (int side = 0; side < 2; ++side) side_down_after(p, p.current, side, prng_.between(Duration{0}, milliseconds(30)));
}

bool SimNet::direction_silent(const Pair& pair, int from_side) const {
  return pair.blocked[at(from_side)] || endpoints_.at(pair.seat[at(from_side)])->silent();
}

bool SimNet::blocked(Seat from, Seat to) const {
  const auto found = pairs_.find(key(from, to));
  return found != pairs_.end() && found->second.blocked[found->second.seat[0] == from ? 0 : 1];
}

bool SimNet::connected(Seat a, Seat b) const {
  const auto found = pairs_.find(key(a, b));
  if (found == pairs_.end()) return false;
  const Pair& pair = found->second;
  const auto current = pair.connections.find(pair.current);
  if (current == pair.connections.end() || current->second.broken) return false;
  if (direction_silent(pair, 0) || direction_silent(pair, 1)) return false;
  return current->second.opened[0] && current->second.opened[1];
}

void SimNet::block(Seat from, Seat to, bool blocked) {
  Pair& p = pair(from, to);
  const int side = p.seat[0] == from ? 0 : 1;
  p.blocked[at(side)] = blocked;
  update_silence(p, side);
  if (!blocked) drain(p, p.current, 1 - side);
}

void SimNet::silence_changed(Seat seat) {
  for (auto& [ends, p] : pairs_) {
    for (int side = 0; side < 2; ++side) {
      if (p.seat[at(side)] == seat) update_silence(p, side);
    }
  }
}

void SimNet::update_silence(Pair& pair, int from_side) {
  const bool silent = direction_silent(pair, from_side);
  if (silent == pair.was_silent[at(from_side)]) return;
  pair.was_silent[at(from_side)] = silent;
  const uint64_t epoch = ++pair.silence_epoch[at(from_side)];
  if (!silent) return;
  for (const auto& [id, connection] : pair.connections) {
    queue_.after(prng_.between(behaviour.ping_fastest, behaviour.ping_slowest),
                 [this, &pair, from_side, epoch, id = id] { silence_noticed(pair, from_side, epoch, id); });
  }
}

void SimNet::silence_noticed(Pair& pair, int from_side, uint64_t epoch, uint64_t id) {
  if (pair.silence_epoch[at(from_side)] != epoch) return;
  ++counters.silence_noticed;
  side_down(pair, id, 1 - from_side);
}

void SimNet::process_ended(Seat seat, bool quietly) {
  for (auto& [ends, p] : pairs_) {
    const int side = p.seat[0] == seat ? 0 : 1;
    if (p.seat[at(side)] != seat) continue;
    std::vector<uint64_t> ids;
    for (const auto& [id, connection] : p.connections) ids.push_back(id);
    for (uint64_t id : ids) {
      if (!quietly) {
        side_down(p, id, side);
        continue;
      }
      Connection& connection = p.connections.at(id);
      connection.closed[at(side)] = true;
      connection.broken = true;
      side_down_after(p, id, 1 - side, prng_.between(behaviour.ping_fastest, behaviour.ping_slowest));
      forget_if_over(p, id);
    }
  }
}

}  // namespace lockstep::sim
