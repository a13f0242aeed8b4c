// The link to one peer or witness of one resource: up while a path stands that has all its lanes, watched and given up. See
// link_manager.h for the rules.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shell/link/lanes.h"
#include "shell/link/link_settings.h"
#include "shell/link/path.h"

namespace lockstep {

class PeerLink final : public PathOwner, public LanesOwner {
 public:
  // All references outlive it, but for `peer`, which is copied. `draw_id` gives the next LinkId of the resource.
  PeerLink(EventLoop& loop, BufferPool& pool, const LinkSettings& settings, const PeerSettings& peer, const LinkKeys& keys,
           LinkOwner& owner, std::function<LinkId()> draw_id);
  ~PeerLink() override;

  const PeerSettings& peer() const { return peer_; }
  void start();
  // Why a proved caller with this hello could not come in, if that is known already.
  std::optional<Refusal> admit(const Hello& hello) const;
  // A connection that this peer made to us at this address of ours, proved and paused.
  void offer(HandshakeResult result, const HostPort& door);
  // It was refused: said as what it is worth.
  void refused_caller(const HandshakeResult& result);
  // Says it to the owner unless it said the same before. `stand_alone`: the peer waits for its operator.
  void report_refusal(std::string why, bool stand_alone = false);
  // We cannot listen on this address, where it is to call us: said with its paths.
  void cannot_listen(const HostPort& address, const std::string& why);

  bool send(LinkId link, const Message& message, BufferRef payload);
  void close(LinkId link, const std::string& why);
  void set_stand_alone(const std::string& why);
  void connect();
  // For good: nothing comes from it any more when this returns, link_down() before.
  void leave(const std::string& why);
  bool stand_alone() const override { return stand_alone_; }
  LinkStatus status() const;

 private:
  struct Up {
    LinkId id;
    Negotiated negotiated;
    std::shared_ptr<LinkLanes> lanes;
  };
  struct Down {
    LinkId id;
    std::string why;
  };

  // PathOwner
  Greeting greeting() const override;
  bool path_proved(Path& path, const Greeting& greeting, const Negotiated& negotiated) override;
  void path_stands(Path& path) override;
  void path_failed(Path& path, const DialResult& result) override;
  void path_frame(Path& path, Lane lane, Frame frame) override;
  void path_lost(Path& path, const std::string& why) override;
  // LanesOwner
  void delivered(Message message, BufferRef payload) override;
  void lanes_failed(const std::string& why) override { take_down(why); }
  void lane_moved(Path& path, bool back, const std::string& why) override;

  bool dials() const { return peer_.seat.is_witness() || peer_.seat < settings_.self; }
  bool can_join(const Uuid& session) const { return up_ && up_->lanes->numbered() && session == session_; }
  bool is_over(const Uuid& session) const { return session != Uuid{} && session == ended_; }
  void complain(const Path& path, const std::string& why);
  void begin_session();
  void go_up(Path& path);
  void take_down(const std::string& why);
  void tell_down();
  void refused_after_all(Path& path, const Frame& frame);

  EventLoop& loop_;
  const LinkSettings& settings_;
  const PeerSettings peer_;
  LinkOwner& owner_;
  std::function<LinkId()> draw_id_;
  std::vector<std::unique_ptr<Path>> paths_;
  bool stand_alone_ = false;
  Uuid session_;  // of the link that is up; who connects: also of the one that it is about to make. Nil: of one path
  Uuid ended_;    // of the last link that was up
  std::optional<Up> up_;
  std::optional<Down> down_;  // not yet told
  std::string last_error_;
  std::string last_refusal_;
  std::vector<std::string> complaints_;  // by path: the last one that was told while the link was up
  Instant refused_at_ = kLongAgo;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace lockstep
