// One path to a peer or witness: a pair of connections (data and control; on some the control lane alone) that is made, proved,
// watched and made again. What travels on it, and whether the link goes on without it, is its owner's business.
//
// Heartbeats go on the control lane. A half-open path is noticed within ping-int + ping-timeout; one that takes no byte of what is
// queued, within `timeout`. Attempts to connect back off, with jitter, to connect-int.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "shell/link/dialer.h"
#include "shell/link/link_settings.h"

namespace lockstep {

class Path;

// Calls to it come on the loop's thread. It may call the path from within them.
class PathOwner {
 public:
  virtual ~PathOwner() = default;
  virtual bool stand_alone() const = 0;
  virtual Greeting greeting() const = 0;  // of the next attempt
  // Both ends have proved themselves. True: path_stands() is next, in place of what this path had before, if anything. False: it is closed.
  virtual bool path_proved(Path& path, const Greeting& greeting, const Negotiated& negotiated) = 0;
  virtual void path_stands(Path& path) = 0;
  virtual void path_failed(Path& path, const DialResult& result) = 0;  // an attempt of ours
  virtual void path_frame(Path& path, Lane lane, Frame frame) = 0;     // all but ping and pong
  virtual void path_lost(Path& path, const std::string& why) = 0;      // it stood; closed already. Not after close()
};

class Path final : public ConnectionOwner {
 public:
  // All references outlive it, but for `peer`. `number`: its place in peer.paths.
  Path(EventLoop& loop, BufferPool& pool, const LinkSettings& settings, const PeerSettings& peer, uint8_t number,
       const LinkKeys& keys, PathOwner& owner);
  ~Path() override;

  // A connection that the peer made to us, proved and paused.
  void offer(HandshakeResult result);
  // Lets go of the connections and of an attempt that is under way, and connects again after a pause.
  void close(const std::string& why);
  void stop();  // close(), and no further attempt until retry()
  // An attempt in place of one that is under way, and as the first one: now, or, where it would make the link and is not the first path of
  // it, a little later.
  void retry();
  void lose(const std::string& why);  // as if it had been lost
  void probe();                       // asks for a sign of life within ping-timeout

  bool standing() const { return up_.has_value(); }
  bool has(Lane lane) const { return up_ && (lane == Lane::control || up_->data); }
  Connection& on(Lane lane) { return lane == Lane::control ? *up_->control : *up_->data; }
  const Negotiated& negotiated() const { return up_->negotiated; }  // while it stands
  Instant heard() const { return up_->control->last_received(); }   // on the control lane; while it stands
  size_t queued_bytes() const;
  uint8_t number() const { return number_; }
  const PathSettings& settings() const { return path_; }
  std::string name() const;  // for texts: "10.1.1.31:7800 - 10.1.1.32:7800"
  const std::string& last_error() const { return last_error_; }
  void say(const std::string& why) { last_error_ = why; }  // why it does not stand, where the owner knows it

 private:
  struct Up {
    std::shared_ptr<Connection> control;
    std::shared_ptr<Connection> data;  // null: the control lane alone
    Negotiated negotiated;
    Instant since;
    bool ping_sent = false;  // and nothing was received since
    Instant asked;           // when it was sent
    TimerId heartbeat;
  };
  struct Half {  // accepted lanes that wait for each other
    Uuid pairing;
    std::shared_ptr<Connection> control;
    std::shared_ptr<Connection> data;
    TimerId deadline;
  };

  void on_connected(Connection& connection) override;
  void on_frame(Connection& connection, Frame frame) override;
  void on_closed(Connection& connection, const std::string& why) override;

  bool dials() const { return peer_.is_witness() || peer_ < settings_.self; }
  void dialed(DialResult result);
  void start();
  void dial_later();
  void stop_dialing();
  void drop_half();
  void take(Up pair, const Greeting& greeting);
  void shut();
  void heartbeat();
  void ask();
  void arm_heartbeat();
  bool is_stuck(Connection& connection) const;

  EventLoop& loop_;
  BufferPool& pool_;
  const LinkSettings& settings_;
  const Seat peer_;
  const PathSettings path_;
  const uint8_t number_;
  PathOwner& owner_;
  Dialer dialer_;
  TimerId redial_;
  int failures_ = 0;  // in a row, for the back-off
  std::optional<Up> up_;
  std::optional<Half> half_;
  std::string last_error_;
};

}  // namespace lockstep
