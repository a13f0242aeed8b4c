// The lanes of a link that is up: over which path each goes, and that each message is delivered once and in order however often that
// changes.
//
// * A link with a session numbers its messages (wire/lane_numbers.h). When the path of a lane is lost, the lane goes on over the next
//   one in order of preference: for data the order of the configuration, for control a path without a data lane first. When a path
//   is back and has stood for ping-int, the lane returns to it.
// * A path that is silent for half of ping-timeout while something that was sent on it waits to be acknowledged is doubtful: lanes
//   leave it for one that is not, and it stays open. Whether it is lost, its heartbeat decides.
// * What has been received is acknowledged at the end of the turn, on the path that it came by.
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
  virtual void path_doubtful(Path& path, const std::string& why) = 0;  // a lane has left it for that
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

  bool goes_over(const Path& path, Lane lane) const { return out(lane).path == &path; }
  size_t queued_bytes() const;

 private:
  struct Way {  // of a path
    bool doubtful = false;
    Instant doubted;                              // when it became so
    bool told = false;                            // and the owner was told, as a lane left it for that
    Instant good;                                 // since when it stands and is not
    std::array<std::optional<uint64_t>, 2> next;  // by lane: the number of the next message on its connection
  };
  struct Out {
    Path* path = nullptr;
    Instant since;  // it goes over it
    LaneSender sender;
  };
  static constexpr std::array<Lane, 2> kLanes = {Lane::data, Lane::control};
  Out& out(Lane lane) { return out_[static_cast<size_t>(lane)]; }
  const Out& out(Lane lane) const { return out_[static_cast<size_t>(lane)]; }
  LaneReceiver& in(Lane lane) { return in_[static_cast<size_t>(lane)]; }
  Way& way(const Path& path) { return ways_[path.number()]; }

  void message(Path& path, Lane lane, Frame frame);
  void acknowledge(Path& path);
  void send_acknowledgement();
  void received(const Frame& frame);
  void choose(Lane lane);
  void choose_all();
  int rank(const Path& path, Lane lane);
  void watch();
  void look_at(Path& path, Instant waited_since);

  EventLoop& loop_;
  const LinkSettings& settings_;
  const std::vector<std::unique_ptr<Path>>& paths_;
  const bool numbered_;
  LanesOwner* owner_;  // null: ended
  std::vector<Way> ways_;
  std::array<Out, 2> out_;
  std::array<LaneReceiver, 2> in_;
  Path* acknowledge_on_ = nullptr;
  bool acknowledgement_due_ = false;
  TimerId watch_;
};

}  // namespace lockstep
