// Commands that only look.
#include <fmt/format.h>

#include <utility>

#include "control/clients_text.h"
#include "control/explain.h"
#include "control/node.h"
#include "control/status_json.h"
#include "core/durable.h"
#include "shell/resource/client_listening.h"

namespace lockstep {

ResourceStatus Node::status_of(const Up& up, const ResourceView& view) const {
  ResourceStatus status;
  status.name = up.config.name;
  status.self = up.resource->settings().core.self;
  for (const config::Host& host : up.config.hosts) status.names.push_back({host.seat(), host.name});
  for (size_t i = 0; i < up.config.witnesses.size(); ++i)
    status.names.push_back({witness_seat(static_cast<uint8_t>(i)), up.config.witnesses[i].name});
  for (const auto& [seat, link] : view.links) {
    if (!link.refusal.empty()) status.refusals.push_back({seat, link.refusal});
    if (seat.is_witness()) continue;
    ConnectionStatus shown;
    shown.peer = seat;
    shown.tls = link.tls;
    // Connected in DRBD's sense: both sides have met, not merely a socket.
    shown.connection_state = name_of(link.state);
    if (link.state == LinkState::connected) {
      for (const PeerSnapshot& peer : view.snapshot.peers) {
        if (peer.node == seat && !peer.connected) shown.connection_state = name_of(LinkState::connecting);
      }
    }
    for (const PathStatus& path : link.paths)
      shown.paths.push_back({{path.local.host, path.local.port},
                             {path.where.host, path.where.port},
                             path.control_only,
                             path.standing,
                             path.carries_data,
                             path.carries_control,
                             path.last_error});
    status.links.push_back(std::move(shown));
  }
  const ResourceSettings& settings = up.resource->settings();
  for (const ClientPort::Traffic& of : view.volumes) {
    const size_t i = status.volumes.size();
    status.volumes.push_back({of.open, of.bytes_read / 1024, of.bytes_written / 1024, {}});
    if (i < view.snapshot.volumes.size()) {
      status.volumes.back().nbd = nbd_uris(settings.nbd, settings.tls, settings.node,
                                           fmt::format("{}/{}", settings.name, view.snapshot.volumes[i].number));
    }
  }
  status.digests = view.digests;
  status.disk_open = view.disk_open;
  status.rot_found_kib = view.wrong_blocks * kBlockBytes / 1024;
  status.snapshot = view.snapshot;
  return status;
}

// Asks every resource's loop and gives all answers at once, in the order of names. Empty name: all that are up.
void Node::with_status(const std::string& name, std::function<void(std::vector<ResourceStatus>)> then) {
  std::vector<std::string> names;
  for (const auto& [known, up] : up_) {
    if (name.empty() || known == name) names.push_back(known);
  }
  if (names.empty()) return then({});
  using Views = std::map<std::string, ResourceView>;
  // Complete when nobody holds it any more: all have answered, or went down and dropped the question.
  const std::shared_ptr<Views> views(new Views, [this, &loop = loop_, then = std::move(then), alive = alive_](Views* seen) {
    loop.post([this, then, alive, seen = std::shared_ptr<Views>(seen)] {
      if (*alive) then(statuses_of(*seen));
    });
  });
  for (const std::string& one : names) {
    up_.at(one).resource->view(
        [this, one, views](ResourceView view) { loop_.post([one, views, view = std::move(view)] { (*views)[one] = view; }); });
  }
}

std::vector<ResourceStatus> Node::statuses_of(const std::map<std::string, ResourceView>& views) const {
  std::vector<ResourceStatus> all;
  for (const auto& [name, view] : views) {
    const auto at = up_.find(name);
    if (at != up_.end()) all.push_back(status_of(at->second, view));
  }
  return all;
}

void Node::status(const ControlRequest& request, Shared responder) {
  // It answers 0 for a resource that is not up; a volume or a peer that doesn't exist is a slip all the same.
  if (request.volume || !request.peer.empty()) {
    const ControlReply wrong = unknown(request);
    if (wrong.exit_status != 0) return responder->finish(wrong);
  }
  with_status(request.resource,
              [responder, name = request.resource, json = request.flag("json")](const std::vector<ResourceStatus>& all) {
                std::string text = json ? status_json_text(all) : status_text(all);
                if (!json && all.empty())
                  text = name.empty() ? "# No resource is up on this node.\n" : "# " + name + " is not up on this node.\n";
                responder->finish({0, std::move(text), ""});
              });
}

void Node::show_one(const ControlRequest& request, const Shared& responder,
                    std::function<std::string(const ResourceStatus&)> text) {
  if (need(request, responder) == nullptr) return;
  with_status(request.resource, [responder, text = std::move(text)](const std::vector<ResourceStatus>& all) {
    responder->finish(all.empty() ? ControlReply{20, "", "the resource went down\n"} : ControlReply{0, text(all.front()), ""});
  });
}

void Node::role(const ControlRequest& request, Shared responder) {
  show_one(request, responder, [](const ResourceStatus& status) { return role_text(status); });
}

void Node::cstate(const ControlRequest& request, Shared responder) {
  show_one(request, responder, [peer = request.peer](const ResourceStatus& status) { return cstate_text(status, peer); });
}

void Node::dstate(const ControlRequest& request, Shared responder) {
  show_one(request, responder, [peer = request.peer](const ResourceStatus& status) { return dstate_text(status, peer); });
}

void Node::show_gi(const ControlRequest& request, Shared responder) {
  show_one(request, responder, [](const ResourceStatus& status) { return show_gi_text(status); });
}

void Node::explain(const ControlRequest& request, Shared responder) {
  const auto topic = parse_topic(request.text("topic"));
  if (!topic) return responder->finish({1, "", "explain knows promote, io and resync\n"});
  show_one(request, responder, [topic = *topic](const ResourceStatus& status) { return explain_text(status, topic); });
}

// The answer holds the responder until the resource's loop has spoken, or has ended and dropped the question.
void Node::clients(const ControlRequest& request, Shared responder) {
  const Up* up = need(request, responder);
  if (up == nullptr) return;
  up->resource->clients(
      [this, responder, name = request.resource, json = request.flag("json"), alive = alive_](std::vector<ClientView> all) {
        loop_.post([responder, name, json, alive, all = std::move(all)] {
          if (*alive) responder->finish({0, json ? clients_json_text(name, all) : clients_text(name, all), ""});
        });
      });
}

void Node::events(const ControlRequest& request, Shared responder) {
  if (!request.resource.empty() && need(request, responder) == nullptr) return;
  if (!request.flag("now") && !responder->begin_stream())
    return responder->finish({20, "",
                              fmt::format("lockstepd: {} others follow the events already; that is the limit\n  End one of "
                                          "them, or ask for the state with --now.\n",
                                          ControlServer::kMaxStreams)});
  feed_events(std::make_shared<EventFeed>(request.flag("json")), request.resource, request.flag("now"), std::move(responder));
}

void Node::feed_events(std::shared_ptr<EventFeed> feed, std::string resource, bool once, Shared responder) {
  with_status(resource, [this, feed, resource, once, responder, alive = alive_](const std::vector<ResourceStatus>& all) {
    for (const std::string& line : feed->update(all)) responder->event(line);
    if (once) return responder->finish({});
    if (!responder->open()) return;
    loop_.call_at(loop_.now() + milliseconds(100), [this, feed, resource, responder, alive] {
      if (*alive) feed_events(feed, resource, false, responder);
    });
  });
}

}  // namespace lockstep
