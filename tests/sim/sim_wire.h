// One direction of one lane of a connection, as bytes: what a node says goes through the real encoder into a stream, arrives in
// pieces of any size, and is put together again by the real Framer and decoder. What comes out must be what went in.
//
// A payload travels in its frame. A block of the simulator is a version number, and most frames carry just that: block numbers
// and lengths of the three messages that have payloads are then scaled down so that a block has 8 bytes on the wire. One such
// frame in kFullSizeOneIn is exactly the daemon's, 4096 bytes a block; all of them would double the time that a run takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/message.h"
#include "sim/prng.h"
#include "sim/sim_disk.h"
#include "wire/framer.h"

namespace lockstep::sim {

class WireStream {
 public:
  static constexpr uint64_t kFullSizeOneIn = 128;

  struct Arrival {
    Message message;
    Payload payload;
  };
  struct Counters {
    uint64_t split = 0;   // frames that were not whole at the end of a receive
    uint64_t joined = 0;  // receives that ended more than one frame
  };

  // `pool` outlives the stream. The control lane has none, as in the daemon: a payload there is an error.
  WireStream(BufferPool& pool, Lane lane) : lane_(lane), framer_(lane == Lane::data ? &pool : nullptr) {}

  // Positions count the bytes ever sent. This one is behind the last frame.
  uint64_t end() const { return begin_ + bytes_.size(); }
  void send(const Message& message, Payload payload, Prng& prng);
  // The last frame sent comes in one piece with the next, whose bytes follow at once.
  void join_next() { flight_at(end())->joined = true; }
  bool comes_with_next(uint64_t frame_end);

  // Everything up to this position is there to be received.
  void arrived(uint64_t position, Prng& prng);
  // Receives in sizes that `prng` draws until another message is whole, and gives it; valid until the next call. Null: nothing
  // more is whole, or wrong() says what came instead.
  const Arrival* next(Prng& prng, Counters& counters);
  const std::string& wrong() const { return wrong_; }
  // Its end now would be a loss in the middle of a frame.
  bool in_frame() const { return framer_.in_frame(); }

 private:
  struct Flight {
    Message sent;
    Payload payload;
    uint64_t end = 0;
    uint64_t block_bytes = 0;  // on the wire; 0 without a payload
    bool joined = false;
  };
  Flight* flight_at(uint64_t frame_end);  // null: it is no frame's end, or that frame was received
  size_t next_size(size_t available, Prng& prng);
  void receive(size_t at_most);
  void count_receive(Counters& counters);
  void take(Frame& frame);

  Lane lane_;
  Framer framer_;
  std::vector<std::byte> bytes_;  // from begin_ on; the framer has the first taken_
  uint64_t begin_ = 0;
  size_t taken_ = 0;
  std::vector<Flight> flights_;  // from first_flight_ on; a message is too large to be allocated each time
  size_t first_flight_ = 0;
  uint64_t arrived_ = 0;
  uint64_t manner_ = 0;   // in which what has arrived is received
  int single_bytes_ = 0;  // yet to be received one by one
  size_t whole_ = 0;      // frames that ended in this receive
  bool counted_ = false;  // the frame that is awaited, as split
  Arrival arrival_;
  std::string wrong_;
};

}  // namespace lockstep::sim
