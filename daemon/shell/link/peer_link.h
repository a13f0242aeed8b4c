// The link to one peer or witness of one resource: kept up, watched and given up. See link_manager.h for the
// rules.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "shell/link/dialer.h"
#include "shell/link/link_settings.h"

namespace lockstep {

class PeerLink final : public ConnectionOwner {
 public:
  // All references outlive it, but for `peer`, which is copied. `draw_id` gives the next LinkId of the resource.
  PeerLink(EventLoop& loop, BufferPool& pool, const LinkSettings& settings, const PeerSettings& peer, const LinkKeys& keys,
           LinkOwner& owner, std::function<LinkId()> draw_id);
  ~PeerLink() override;

  const PeerSettings& peer() const { return peer_; }
  void start();
  // A connection that this peer made to us, proved and paused.
  void offer(HandshakeResult result);
  // Says it to the owner unless it said the same before. `stand_alone`: the peer waits for its operator.
  void report_refusal(std::string why, bool stand_alone = false);

  bool send(LinkId link, const Message& message, BufferRef payload);
  void close(LinkId link, const std::string& why);
  void set_stand_alone(const std::string& why);
  void connect();
  // For good: nothing comes from it any more when this returns, link_down() before.
  void leave(const std::string& why);
  bool stand_alone() const { return stand_alone_; }
  LinkStatus status() const;

 private:
  struct Up {
    LinkId id;
    std::shared_ptr<Connection> control;
    std::shared_ptr<Connection> data;  // null: witness
    Negotiated negotiated;
    Instant since;
    bool ping_sent = false;  // and nothing was received since
    TimerId heartbeat;
  };
  struct Half {  // accepted lanes that wait for each other
    Uuid pairing;
    std::shared_ptr<Connection> control;
    std::shared_ptr<Connection> data;
    TimerId deadline;
  };
  struct Down {
    LinkId id;
    std::string why;
  };

  void on_connected(Connection& connection) override;
  void on_frame(Connection& connection, Frame frame) override;
  void on_closed(Connection& connection, const std::string& why) override;

  bool dials() const { return peer_.seat.is_witness() || peer_.seat < settings_.self; }
  void dialed(DialResult result);
  void dial_later();
  void stop_dialing();
  void drop_half();
  void go_up(std::shared_ptr<Connection> control, std::shared_ptr<Connection> data, Negotiated negotiated);
  void take_down(const std::string& why);
  void tell_down();
  void on_transport_frame(Connection& connection, const Frame& frame);
  void heartbeat();
  void arm_heartbeat();
  bool is_stuck(Connection& connection) const;

  EventLoop& loop_;
  BufferPool& pool_;
  const LinkSettings& settings_;
  const PeerSettings peer_;
  LinkOwner& owner_;
  std::function<LinkId()> draw_id_;
  Dialer dialer_;
  TimerId redial_;
  int failures_ = 0;  // in a row, for the back-off
  bool stand_alone_ = false;
  std::optional<Up> up_;
  std::optional<Half> half_;
  std::optional<Down> down_;  // not yet told
  std::string last_error_;
  std::string last_refusal_;
  Instant refused_at_ = kLongAgo;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace lockstep
