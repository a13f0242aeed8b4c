// One lockstepd: the resources that are up on this node, and operators' commands on them. Lives on the control thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/config/model.h"
#include "control/control_server.h"
#include "control/event_feed.h"
#include "control/status.h"
#include "shell/resource/resource.h"

namespace lockstep {

struct NodeOptions {
  std::string config_path;
  std::string node;
  std::string run_dir;
  IoEngine engine = IoEngine::automatic;
  bool shared_writers = false;  // of every resource, whatever its configuration says
};

class Node final : public ControlHandler {
 public:
  // `loop` outlives it.
  Node(EventLoop& loop, NodeOptions options, Boot boot);
  ~Node() override;

  void handle(ControlRequest request, std::shared_ptr<ControlResponder> responder) override;
  // Takes every resource down, cleanly where that is possible within a few seconds, then calls `done`.
  void shut_down(std::function<void()> done);

 private:
  using Closed = std::function<void(ControlReply)>;
  struct Up {
    config::Resource config;
    std::unique_ptr<Resource> resource;
    std::vector<Closed> closing;  // who waits for the end of a `down`; empty: none runs
  };
  using Shared = std::shared_ptr<ControlResponder>;
  using Handler = void (Node::*)(const ControlRequest&, Shared);

  static const std::map<std::string, Handler, std::less<>>& handlers();

  // node_commands.cc
  void up(const ControlRequest& request, Shared responder);
  void down(const ControlRequest& request, Shared responder);
  void adjust(const ControlRequest& request, Shared responder);
  void connect(const ControlRequest& request, Shared responder);
  void disconnect(const ControlRequest& request, Shared responder);
  void primary(const ControlRequest& request, Shared responder);
  void secondary(const ControlRequest& request, Shared responder);
  void new_current_uuid(const ControlRequest& request, Shared responder);
  void invalidate(const ControlRequest& request, Shared responder);
  void invalidate_remote(const ControlRequest& request, Shared responder);
  void discard(const ControlRequest& request, Up& up, Shared responder);
  void discard_for(const ControlRequest& request, Up& up, Seat peer, const Shared& responder);
  void refuse(const std::string& name, Reason reason, const Shared& responder);
  void verify(const ControlRequest& request, Shared responder);
  void verify_volume(const ControlRequest& request, const Range& range, Shared responder);
  void repair(const ControlRequest& request, Shared responder);
  void pause_sync(const ControlRequest& request, Shared responder);
  void resize(const ControlRequest& request, Shared responder);
  void suspend_io(const ControlRequest& request, Shared responder);
  void resume_io(const ControlRequest& request, Shared responder);
  void resume_sync(const ControlRequest& request, Shared responder);
  void on_peers(const ControlRequest& request, AdminOp op, const Range& range, Shared responder);
  // node_disks.cc
  void attach(const ControlRequest& request, Shared responder);
  void attach_free(const ControlRequest& request, const Shared& responder);
  void attach_seen(const ControlRequest& request, const ResourceStatus& status, const Shared& responder);
  void detach(const ControlRequest& request, Shared responder);
  void outdate(const ControlRequest& request, Shared responder);
  // node_views.cc
  void status(const ControlRequest& request, Shared responder);
  void events(const ControlRequest& request, Shared responder);
  void role(const ControlRequest& request, Shared responder);
  void cstate(const ControlRequest& request, Shared responder);
  void dstate(const ControlRequest& request, Shared responder);
  void show_gi(const ControlRequest& request, Shared responder);
  void explain(const ControlRequest& request, Shared responder);
  void clients(const ControlRequest& request, Shared responder);

  Up* find(const std::string& name);
  // Answers with "not up" and gives null, or the resource.
  Up* need(const ControlRequest& request, const Shared& responder);
  std::vector<Seat> peers_of(const Up& up, const std::string& name, const Shared& responder);
  static bool may_name_a_volume(const ControlRequest& request);
  ControlReply misnamed(const config::Resource& resource, const ControlRequest& request) const;
  ControlReply unknown(const ControlRequest& request);
  std::optional<ResourceSettings> settings_of(const config::Resource& resource, const ControlRequest& request,
                                              ControlReply& wrong);
  ControlReply open(const ControlRequest& request);  // as the configuration says now
  ControlReply open(const config::Resource& wanted, const ControlRequest& request);
  ControlReply reopen(const config::Resource& before, const ControlRequest& request);
  void up_already(const ControlRequest& request, Shared responder);
  void change_nodes(const config::Resource& wanted, Shared responder);
  void restart(const ControlRequest& request, std::optional<config::Resource> wanted, Shared responder);
  void restart_seen(const ControlRequest& request, const std::optional<config::Resource>& wanted, const ResourceStatus& status,
                    const Shared& responder);
  // Of a resource that is up. One that goes down already is not asked again; its end is the answer.
  void close(const std::string& name, Closed then);
  void closed(const std::string& name, const AdminReply& reply);
  // What hands a command's outcome to who asked.
  Resource::AdminDone answers(const std::string& name, Shared responder);
  void run_admin(Up& up, AdminOp op, Seat peer, Shared responder, const Range& range = {}, bool assume_clean = false);
  void with_status(const std::string& name, std::function<void(std::vector<ResourceStatus>)> then);
  std::vector<ResourceStatus> statuses_of(const std::map<std::string, ResourceView>& views) const;
  void show_one(const ControlRequest& request, const Shared& responder, std::function<std::string(const ResourceStatus&)> text);
  ResourceStatus status_of(const Up& up, const ResourceView& view) const;
  void feed_events(std::shared_ptr<EventFeed> feed, std::string resource, bool once, Shared responder);

  EventLoop& loop_;
  NodeOptions options_;
  Boot boot_;
  std::map<std::string, Up> up_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace lockstep
