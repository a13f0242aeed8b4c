// The network between the seats. On one connection, messages of a lane arrive in order; lanes are
// independent. They travel as bytes (sim_wire.h): split anywhere, several at once, and cut off in the middle
// when the connection ends. A direction can be silent (cut, or its sender frozen or without power): nothing of what was
// sent arrives, the receiver notices after its ping time-out, and what was on the way arrives late if the
// silence ends before. A connection may be half open: one side already sees the next one, the other not yet.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/message.h"
#include "sim/event_queue.h"
#include "sim/prng.h"
#include "sim/sim_disk.h"
#include "sim/sim_wire.h"

namespace lockstep::sim {

// What the network sees of a node or a witness.
class Endpoint {
 public:
  virtual ~Endpoint() = default;
  virtual bool running() const = 0;           // a process that can own connections
  virtual bool silent() const = 0;            // frozen or without power: sends nothing, not even a FIN
  virtual bool refuses(Seat peer) const = 0;  // stand-alone towards that peer
  virtual void link_up(Seat peer, LinkId link) = 0;
  virtual void link_down(Seat peer, LinkId link) = 0;
  virtual void receive(Seat from, LinkId link, const Message& message, Payload payload) = 0;
};

struct NetBehaviour {
  Duration fastest = microseconds(80);
  Duration slowest = microseconds(600);
  int stall_permille = 0;  // messages that take up to stall_slowest, and all behind them on their lane with them
  Duration stall_slowest = milliseconds(1800);
  Duration ping_fastest = milliseconds(700);  // silence noticed
  Duration ping_slowest = milliseconds(2000);
  Duration connect_fastest = milliseconds(50);
  Duration connect_slowest = milliseconds(500);
};

class SimNet {
 public:
  SimNet(EventQueue& queue, Prng prng) : queue_(queue), prng_(prng), wire_prng_(prng.fork()) {}

  // Whom to tell when what arrived is not what was sent.
  void tell_mangled(std::function<void(std::string)> mangled) { mangled_ = std::move(mangled); }

  void attach(Seat seat, Endpoint* endpoint) { endpoints_[seat] = endpoint; }
  // Begins to connect the two, again and again for the whole run. Two witnesses never talk.
  void join(Seat a, Seat b);

  void send(Seat from, Seat to, LinkId link, const Message& message, Payload payload);
  void close(Seat by, Seat peer, LinkId link);
  // The connection breaks (a reset): both sides notice soon.
  void reset(Seat a, Seat b);
  // Blocks or frees one direction.
  void block(Seat from, Seat to, bool blocked);
  bool blocked(Seat from, Seat to) const;
  // Both sides take the connection for up, and nothing keeps either from being heard.
  bool connected(Seat a, Seat b) const;
  // A process ended: its side is gone. `quietly` (power loss): no FIN, the peers find out by silence.
  void process_ended(Seat seat, bool quietly);
  // The endpoint's silent() may have changed.
  void silence_changed(Seat seat);

  NetBehaviour behaviour;
  struct Counters {
    uint64_t connected = 0, half_open = 0, delivered = 0, dropped = 0, silence_noticed = 0, late = 0, resets = 0;
    uint64_t frames_cut = 0;  // the rest was lost with the connection
    WireStream::Counters wire;
  } counters;

 private:
  // What one side sends to the other on a lane.
  struct Direction {
    explicit Direction(WireStream bytes) : stream(std::move(bytes)) {}
    WireStream stream;
    Instant last{};                     // the last frame's arrival
    uint64_t carried = 0;               // how much of the stream has come as far as the receiver
    uint64_t lost_from = ~uint64_t{0};  // nothing from here on ever comes
    bool held = false;                  // it waits there for the end of a silence, or for the receiver's link_up
  };
  struct Connection {
    uint64_t id = 0;
    std::array<LinkId, 2> link;
    std::array<bool, 2> opened{};                                 // the side has seen link_up
    std::array<bool, 2> closed{};                                 // the side has seen, or caused, link_down
    bool broken = false;                                          // nothing sent from now on arrives
    std::array<std::array<std::shared_ptr<Direction>, 2>, 2> to;  // by receiving side and lane; null: nothing sent yet
  };
  struct Pair {
    std::array<Seat, 2> seat;
    std::map<uint64_t, Connection> connections;  // the live one and at most a few half-open ones
    std::array<bool, 2> blocked{};               // by sending side
    std::array<bool, 2> was_silent{};            // by sending side
    std::array<uint64_t, 2> silence_epoch{};
    uint64_t current = 0;
  };
  static std::pair<Seat, Seat> key(Seat a, Seat b) { return a < b ? std::pair{a, b} : std::pair{b, a}; }
  Pair& pair(Seat a, Seat b);
  Connection* find(Pair& pair, int side, LinkId link);

  void try_connect(Pair& pair);
  void open(Pair& pair);
  void opened(Pair& pair, uint64_t id, int side);
  Instant schedule(Direction& direction);
  void deliver(Pair& pair, uint64_t id, int to_side, Lane lane, uint64_t position);
  void arrive(Pair& pair, LinkId link, int to_side, std::shared_ptr<Direction> direction);
  void lose_tail(Connection& connection, int to_side);
  void drain(Pair& pair, uint64_t id, int to_side);
  void side_down(Pair& pair, uint64_t id, int side);
  void side_down_after(Pair& pair, uint64_t id, int side, Duration delay);
  bool direction_silent(const Pair& pair, int from_side) const;
  void update_silence(Pair& pair, int from_side);
  void silence_noticed(Pair& pair, int from_side, uint64_t epoch, uint64_t id);
  void forget_if_over(Pair& pair, uint64_t id);
  Endpoint& endpoint(const Pair& pair, int side) { return *endpoints_.at(pair.seat[static_cast<size_t>(side)]); }

  EventQueue& queue_;
  Prng prng_;
  Prng wire_prng_;  // of its own: how bytes come shifts no other draw
  std::function<void(std::string)> mangled_;
  BufferPool pool_{size_t{1} << 32};  // what is bounded is the core's: payloads held by nodes
  std::map<Seat, Endpoint*> endpoints_;
  std::map<std::pair<Seat, Seat>, Pair> pairs_;
  uint64_t next_connection_ = 1;
  uint64_t next_link_ = 1;
};

}  // namespace lockstep::sim
