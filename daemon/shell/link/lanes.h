// The lanes of a link that is up: over which path each goes, and that each message is delivered once and in order however often that
// changes.
//
// * A link with a session numbers its messages (wire/lane_numbers.h). When the path of a lane is lost, the lane goes on over the next
//   one in order of preference: for data the order of the configuration, for control a path without a data lane first. When a path
//   is back and has stood for ping-int, the lane returns to it.
// * A path is doubtful for a lane when something that was sent there waits to be acknowledged, and either the path is silent for half
//   of ping-timeout, or nothing was acknowledged for a third of `timeout` though the path speaks. The lane leaves it for one that is not
//   doubtful, and comes back when it has spoken again and some time has passed: ping-int at first, twice as long after each further
//   doubt. The path stays open; whether it is lost, its heartbeat decides. When the other end moves to another path, that is followed
//   if it would rather be on the one in use, and that is not quite well here either.
// * Each message is queued once at most on each connection, however often lanes come and go.
// * What has been received is acknowledged at the end of the turn, on each path that brought something.
// * A link without a session has one path, and is over with it.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shell/link/path.h"
#include "wire/lane_numbers.h"

namespace lockstep {

// What the lanes tell their link. Any of these may end it.
class LanesOwner {
 public:
  virtual ~LanesOwner() = default;
  virtual void delivered(Message message, BufferRef payload) = 0;
  virtual void lanes_failed(const std::string& why) = 0;
  // A lane has left this path because it was doubtful, or has come back to it.
  virtual void lane_moved(Path& path, bool back, const std::string& why) = 0;
};

// Owned by shared_ptr, for what it calls may end it. After end() it does nothing.
class LinkLanes final : public std::enable_shared_from_this<LinkLanes> {
 public:
  // All references outlive it. `paths` do not change.
  LinkLanes(EventLoop& loop, const LinkSettings& settings, const std::vector<std::unique_ptr<Path>>& paths, bool numbered,
            LanesOwner& owner);

  void stands(Path& path);                               // a path that is new, or has new connections
  void lost(Path& path);                                 // fails the lanes if one of them has no other
  bool send(const Message& message, BufferRef payload);  // false: the queue is full
  void frame(Path& path, Lane lane, Frame frame);
  void end();

  bool numbered() const { return numbered_; }
  bool goes_over(const Path& path, Lane lane) const { return out(lane).path == &path; }
  size_t queued_bytes() const;

 private:
  struct Way {                        // of a path, for one lane; of its present connection
    std::optional<uint64_t> next_in;  // the number of the next message that comes
    std::optional<uint64_t> next_out;
    Instant good;      // since when it stands
    Instant doubted;   // when it last became doubtful
    Instant shunned;   // until then it stays so, and until it has spoken again
    Duration pause{};  // of the last doubt; zero: there was none
  };
  struct Out {
    Path* path = nullptr;
    Instant progress;  // when it came to this path, or the last acknowledgement of something new
    LaneSender sender;
  };
  struct Moved {
    Path* path = nullptr;
    bool back = false;
    std::string why;
  };
  static constexpr std::array<Lane, 2> kLanes = {Lane::data, Lane::control};
  Out& out(Lane lane) { return out_[static_cast<size_t>(lane)]; }
  const Out& out(Lane lane) const { return out_[static_cast<size_t>(lane)]; }
  LaneReceiver& in(Lane lane) { return in_[static_cast<size_t>(lane)]; }
  Way& way(const Path& path, Lane lane) { return ways_[path.number()][static_cast<size_t>(lane)]; }

  void message(Path& path, Lane lane, Frame frame);
  void acknowledge(Path& path);
  void send_acknowledgements();
  void follow(const Path& path, Lane lane);
  void received(const Frame& frame);
  void acknowledged(Lane lane, uint64_t next);
  void choose_all();
  void choose(Lane lane);
  void catch_up(Lane lane);
  static int place_of(const Path& path, Lane lane);
  int rank(const Path& path, Lane lane);
  bool doubtful(const Path& path, Lane lane);
  void watch();
  void look_at(Lane lane);
  void doubt(Path& path, Lane lane);
  void tell();

  EventLoop& loop_;
  const LinkSettings& settings_;
  const std::vector<std::unique_ptr<Path>>& paths_;
  const bool numbered_;
  LanesOwner* owner_;  // null: ended
  std::vector<std::array<Way, 2>> ways_;
  std::array<Out, 2> out_;
  std::array<LaneReceiver, 2> in_;
  std::vector<Moved> moved_;        // not yet told
  std::vector<Path*> acknowledge_;  // paths that brought something in this turn
  TimerId watch_;
};

}  // namespace lockstep
