// Commands that change something.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "control/config/values.h"
#include "control/config_change.h"
#include "control/explain.h"
#include "control/node.h"
#include "control/resource_settings.h"
#include "core/volumes.h"

namespace lockstep {

namespace {
constexpr const char* kGivenUp =
    "{0}: this node's data is given up; what differs is copied from the other node as soon as the two are connected.\n"
    "  If the other node is StandAlone: lockstep connect {0} there.\n";

// Both count in sectors of 512 bytes, as drbdadm's, and take the suffixes of the configuration; empty: from the beginning, to the end.
std::variant<Range, std::string> range_to_verify(const std::string& start, const std::string& stop) {
  const auto place = [](const std::string& word) { return word.empty() ? 0 : config::parse_size(word, 512).value_or(-1); };
  const int64_t first = place(start);
  const int64_t end = place(stop);
  if (first < 0 || end < 0) {
    return fmt::format("verify: \"{}\" is no place in a volume: give a number of sectors, or a size as in 10M\n",
                       first < 0 ? start : stop);
  }
  if (!stop.empty() && end <= first) return std::string("verify: --stop lies before --start: nothing would be compared\n");
  if (start.empty() && stop.empty()) return Range{};
  const auto from = static_cast<uint64_t>(first);
  return Range{from, (stop.empty() ? UINT64_MAX : static_cast<uint64_t>(end)) - from};
}

}  // namespace

void Node::up(const ControlRequest& request, Shared responder) {
  Up* running = find(request.resource);
  if (running == nullptr) return responder->finish(open(request));
  if (running->closing.empty()) return up_already(request, std::move(responder));
  close(request.resource, [this, request, responder](const ControlReply&) { up(request, responder); });
}

// It is so already, whatever else the configuration says by now; but who wrote another voter into it must not believe that it votes.
void Node::up_already(const ControlRequest& request, Shared responder) {
  if (need(request, responder) == nullptr) return;
  const config::Loaded loaded = config::load(options_.config_path);
  const config::Resource* wanted = loaded.ok() ? loaded.config.resource(request.resource) : nullptr;
  if (wanted == nullptr) return responder->finish({});
  responder->finish(voters_as_running(*wanted, find(request.resource)->config));
}

void Node::down(const ControlRequest& request, Shared responder) {
  // Down already; unless nobody has heard of it, which is a slip of the pen.
  if (find(request.resource) == nullptr) return responder->finish(unknown(request));
  if (need(request, responder) == nullptr) return;
  close(request.resource, [responder](const ControlReply& reply) { responder->finish(reply); });
}

// What changed since `up` takes effect by going down and up again, where neither a Primary nor a client is in the way; connections that
// an operator took down come back.
void Node::adjust(const ControlRequest& request, Shared responder) {
  Up* running = find(request.resource);
  if (running == nullptr) return responder->finish(open(request));
  if (need(request, responder) == nullptr) return;
  if (!running->closing.empty())
    return close(request.resource, [this, request, responder](const ControlReply&) { adjust(request, responder); });
  const config::Loaded loaded = config::load(options_.config_path);
  if (!loaded.ok()) return responder->finish({10, "", loaded.errors()});
  const config::Resource* wanted = loaded.config.resource(request.resource);
  const auto seen = [this](const config::Resource& resource) { return config::dump(as_seen_by(resource, options_.node)); };
  if (wanted != nullptr) {
    if (const ControlReply other = id_unchanged(running->config, *wanted); other.exit_status != 0)
      return responder->finish(other);
    const Seat self = running->resource->settings().core.self;
    const bool same_nodes = lockstep::peers_of(running->config, self) == lockstep::peers_of(*wanted, self);
    if (!same_nodes && only_nodes_differ(running->config, *wanted, options_.node)) {
      const ControlReply too_many = one_place_at_a_time(running->config, *wanted);
      return too_many.exit_status != 0 ? responder->finish(too_many) : change_nodes(*wanted, std::move(responder));
    }
  }
  if (wanted == nullptr || seen(*wanted) != seen(running->config))
    return restart(request, wanted != nullptr ? std::optional(*wanted) : std::nullopt, std::move(responder));
  running->config = *wanted;
  for (const PeerSettings& peer : lockstep::peers_of(*wanted, running->resource->settings().core.self))
    running->resource->connect(peer.seat);
  responder->finish({});
}

// While it runs: whoever comes is connected, and who goes gives its copy and its vote back first.
void Node::change_nodes(const config::Resource& wanted, Shared responder) {
  Resource& resource = *up_.at(wanted.name).resource;
  const auto peers = lockstep::peers_of(wanted, resource.settings().core.self);
  const auto taken_over = [this, wanted, peers, responder](const AdminReply& reply, const OpenFailure& failure) {
    if (failure.exit_status != 0) return responder->finish({failure.exit_status, "", failure.text});
    if (!reply.ok) return refuse(wanted.name, reply.reason, responder);
    Up* const up = find(wanted.name);
    if (up == nullptr) return responder->finish({20, "", "the resource went down\n"});
    up->config = wanted;
    for (const PeerSettings& peer : peers) up->resource->connect(peer.seat);
    responder->finish({});
  };
  resource.change_nodes(peers, [this, taken_over, alive = alive_](const AdminReply& reply, const OpenFailure& failure) {
    loop_.post([taken_over, reply, failure, alive] {
      if (*alive) taken_over(reply, failure);
    });
  });
}

void Node::restart(const ControlRequest& request, std::optional<config::Resource> wanted, Shared responder) {
  with_status(request.resource, [this, request, wanted = std::move(wanted), responder](const std::vector<ResourceStatus>& all) {
    const Up* running = find(request.resource);
    if (all.empty() || running == nullptr || !running->closing.empty()) return adjust(request, responder);
    restart_seen(request, wanted, all.front(), responder);
  });
}

void Node::restart_seen(const ControlRequest& request, const std::optional<config::Resource>& wanted,
                        const ResourceStatus& status, const Shared& responder) {
  const config::Resource before = as_seen_by(up_.at(request.resource).config, options_.node);
  if (status.snapshot.role == Role::primary) {
    const config::Resource after = wanted ? as_seen_by(*wanted, options_.node) : config::Resource{};
    return responder->finish(restart_refused(before, wanted ? &after : nullptr));
  }
  close(request.resource,
        [this, request, wanted = wanted.has_value(), was = up_.at(request.resource).config, responder](ControlReply reply) {
          if (reply.exit_status != 0) {
            reply.err += "  The changed configuration takes effect at the next down and up.\n";
            return responder->finish(reply);
          }
          responder->finish(wanted ? reopen(was, request) : ControlReply{});
        });
}

// With what the configuration says now; where that cannot be had, as it was: a slip in a file must not take a node down.
ControlReply Node::reopen(const config::Resource& before, const ControlRequest& request) {
  ControlReply reply = open(request);
  if (reply.exit_status == 0) return reply;
  const ControlReply again = open(before, request);
  reply.err += again.exit_status == 0
                   ? fmt::format("  {} runs on as it was configured before.\n", request.resource)
                   : fmt::format("  {0} IS DOWN on this node: it could not be brought up as it was before either.\n{1}",
                                 request.resource, again.err);
  return reply;
}

std::vector<Seat> Node::peers_of(const Up& up, const std::string& name, const Shared& responder) {
  std::vector<Seat> seats;
  for (const config::Host& host : up.config.hosts) {
    const bool self = host.seat() == up.resource->settings().core.self;
    if (!self && (name.empty() || host.name == name)) seats.push_back(host.seat());
  }
  if (seats.empty()) responder->finish({10, "", fmt::format("{}: \"{}\" is not one of its peers\n", up.config.name, name)});
  return seats;
}

void Node::connect(const ControlRequest& request, Shared responder) {
  Up* up = need(request, responder);
  if (up == nullptr) return;
  const auto peers = peers_of(*up, request.peer, responder);
  if (peers.empty()) return;
  if (request.flag("discard-my-data")) return discard(request, *up, std::move(responder));
  for (Seat peer : peers) up->resource->connect(peer);
  responder->finish({});
}

// After a split brain, on the side whose data is given up: its history ends here, and the resource starts anew, to be levelled with what
// differs. A peer that stands alone waits for a `connect` of its own operator.
void Node::discard(const ControlRequest& request, Up& up, Shared responder) {
  const auto peers = peers_of(up, request.peer, responder);
  with_status(request.resource, [this, request, responder, peers](const std::vector<ResourceStatus>& all) {
    Up* still = need(request, responder);
    if (still == nullptr) return;
    // In favour of the one that it has split from, whichever that is.
    Seat winner = peers.front();
    for (const PeerSnapshot& peer : all.empty() ? std::vector<PeerSnapshot>{} : all.front().snapshot.peers) {
      const bool meant = std::find(peers.begin(), peers.end(), peer.node) != peers.end();
      if (meant && peer.refused == Reason::different_history) winner = peer.node;
    }
    discard_for(request, *still, winner, responder);
  });
}

void Node::discard_for(const ControlRequest& request, Up& up, Seat peer, const Shared& responder) {
  const std::string& name = request.resource;
  up.resource->admin(AdminOp::discard_history, peer, [this, request, responder, name, alive = alive_](const AdminReply& reply) {
    loop_.post([this, request, responder, name, reply, alive] {
      if (!*alive) return;
      if (!reply.ok) return refuse(name, reply.reason, responder);
      log_line(LogLevel::warning, name, "this node's data was given up (connect --discard-my-data)");
      if (find(name) == nullptr) return responder->finish({});
      close(name, [this, request, responder, was = up_.at(name).config](ControlReply closed) {
        if (closed.exit_status != 0) return responder->finish(closed);
        ControlReply opened = reopen(was, request);
        if (opened.exit_status == 0) opened.out += fmt::format(kGivenUp, request.resource);
        responder->finish(opened);
      });
    });
  });
}

void Node::refuse(const std::string& name, Reason reason, const Shared& responder) {
  with_status(name, [responder, reason](const std::vector<ResourceStatus>& all) {
    responder->finish(all.empty() ? ControlReply{20, "", "the resource went down\n"} : refusal(all.front(), reason));
  });
}

void Node::disconnect(const ControlRequest& request, Shared responder) {
  Up* up = need(request, responder);
  if (up == nullptr) return;
  const auto peers = peers_of(*up, request.peer, responder);
  if (peers.empty()) return;
  for (Seat peer : peers) up->resource->disconnect(peer);
  responder->finish({});
}

void Node::primary(const ControlRequest& request, Shared responder) {
  Up* up = need(request, responder);
  if (up == nullptr) return;
  run_admin(*up, request.flag("force") ? AdminOp::primary_force : AdminOp::primary, kNoSeat, std::move(responder));
}

void Node::secondary(const ControlRequest& request, Shared responder) {
  Up* up = need(request, responder);
  if (up != nullptr) run_admin(*up, AdminOp::secondary, kNoSeat, std::move(responder));
}

void Node::new_current_uuid(const ControlRequest& request, Shared responder) {
  Up* up = need(request, responder);
  if (up == nullptr) return;
  if (!request.flag("clear-bitmap"))
    return responder->finish({1, "", "new-current-uuid needs --clear-bitmap here: it declares fresh disks identical\n"});
  run_admin(*up, AdminOp::new_current_uuid, kNoSeat, std::move(responder));
}

void Node::invalidate(const ControlRequest& request, Shared responder) {
  Up* up = need(request, responder);
  if (up != nullptr) run_admin(*up, AdminOp::invalidate, kNoSeat, std::move(responder));
}

void Node::invalidate_remote(const ControlRequest& request, Shared responder) {
  Up* up = need(request, responder);
  if (up == nullptr) return;
  const auto peers = peers_of(*up, request.peer, responder);
  if (peers.size() > 1) {
    return responder->finish({10, "",
                              fmt::format("{0}: it has {1} peers: name the one that is meant, as in invalidate-remote {0}:{2}\n",
                                          request.resource, peers.size(), up->config.name_of(peers.front()))});
  }
  if (!peers.empty()) run_admin(*up, AdminOp::invalidate_remote, peers.front(), std::move(responder));
}

// With the peer that is named, or with all.
void Node::on_peers(const ControlRequest& request, AdminOp op, const Range& range, Shared responder) {
  Up* up = need(request, responder);
  if (up == nullptr) return;
  const auto peers = peers_of(*up, request.peer, responder);
  if (!peers.empty()) run_admin(*up, op, request.peer.empty() ? kNoSeat : peers.front(), std::move(responder), range);
}

void Node::pause_sync(const ControlRequest& request, Shared responder) {
  on_peers(request, AdminOp::pause_sync, {}, std::move(responder));
}

void Node::resume_sync(const ControlRequest& request, Shared responder) {
  on_peers(request, AdminOp::resume_sync, {}, std::move(responder));
}

void Node::resize(const ControlRequest& request, Shared responder) {
  const std::string size = request.text("size");
  const int64_t bytes = size.empty() ? 0 : config::parse_size(size, 1).value_or(-1);
  if (bytes < 0 || (bytes == 0 && !size.empty()))
    return responder->finish(
        {1, "", fmt::format("resize: --size {}: a number of bytes is expected, as in 1073741824 or 1G\n", size)});
  if (request.flag("shrink") && (size.empty() || request.flag("assume-clean")))
    return responder->finish(
        {1, "", "resize: --shrink needs --size, and goes without --assume-clean: the copies stay as they are\n"});
  Up* up = need(request, responder);
  if (up == nullptr) return;
  if (request.flag("shrink"))
    return run_admin(*up, AdminOp::shrink, kNoSeat, std::move(responder), {0, static_cast<uint64_t>(bytes)});
  run_admin(*up, AdminOp::resize, kNoSeat, std::move(responder), {0, static_cast<uint64_t>(bytes)}, request.flag("assume-clean"));
}

void Node::suspend_io(const ControlRequest& request, Shared responder) {
  if (Up* up = need(request, responder)) run_admin(*up, AdminOp::suspend_io, kNoSeat, std::move(responder));
}

void Node::resume_io(const ControlRequest& request, Shared responder) {
  if (Up* up = need(request, responder)) run_admin(*up, AdminOp::resume_io, kNoSeat, std::move(responder));
}

void Node::verify(const ControlRequest& request, Shared responder) {
  if (request.flag("repair")) return repair(request, std::move(responder));
  if (request.flag("cancel")) return on_peers(request, AdminOp::verify_stop, {}, std::move(responder));
  const auto range = range_to_verify(request.text("start"), request.text("stop"));
  if (const auto* wrong = std::get_if<std::string>(&range)) return responder->finish({1, "", *wrong});
  const Range& wanted = std::get<Range>(range);
  if (!request.text("from").empty()) {
    return responder->finish(
        {10, "",
         "verify: --from says which copy is right, and goes with --repair; which peer to compare with is said as in verify RESOURCE:PEER\n"});
  }
  if (request.volume || !wanted.empty()) return verify_volume(request, wanted, std::move(responder));
  on_peers(request, AdminOp::verify, wanted, std::move(responder));
}

// One volume, or a part of one; `range` is in bytes of the volume, and empty for all of it.
void Node::verify_volume(const ControlRequest& request, const Range& range, Shared responder) {
  const Up* up = need(request, responder);
  if (up == nullptr) return;
  if (!request.volume && !up->resource->settings().others.empty()) {
    return responder->finish(
        {10, "",
         fmt::format("{0}: it has several volumes: say in which one the places are, as in verify {0}/0\n", request.resource)});
  }
  with_status(request.resource, [this, request, range, responder](const std::vector<ResourceStatus>& all) {
    if (all.empty()) return responder->finish({20, "", "the resource went down\n"});
    const VolumeShapes& volumes = all.front().snapshot.volumes;
    if (volumes.empty()) return on_peers(request, AdminOp::verify, range, responder);  // never used: refused there
    for (size_t i = 0; i < volumes.size(); ++i) {
      if (request.volume && volumes[i].number != *request.volume) continue;
      const uint64_t size = volumes[i].size_bytes;
      if (range.offset >= size) {
        return responder->finish(
            {11, "",
             fmt::format("{}/{}: it has {} bytes: --start lies behind its end\n", request.resource, volumes[i].number, size)});
      }
      const uint64_t length = range.empty() ? size : std::min(range.length, size - range.offset);
      return on_peers(request, AdminOp::verify, {volume_base(volumes, i) + range.offset, length}, responder);
    }
    responder->finish({10, "", fmt::format("{}: it has no volume {}\n", request.resource, *request.volume)});
  });
}

// Whoever asks has to say which copy is right: nothing here knows.
void Node::repair(const ControlRequest& request, Shared responder) {
  Up* up = need(request, responder);
  if (up == nullptr) return;
  if (!request.text("start").empty() || !request.text("stop").empty()) {
    return responder->finish(
        {10, "", "verify: --repair writes all that is known to differ: --start and --stop do not go with it\n"});
  }
  const std::string from = request.text("from");
  if (from == up->resource->settings().node)
    return run_admin(*up, AdminOp::repair, up->resource->settings().core.self, std::move(responder));
  if (!from.empty()) {
    const auto peers = peers_of(*up, from, responder);
    if (!peers.empty()) run_admin(*up, AdminOp::repair, peers.front(), std::move(responder));
    return;
  }
  with_status(request.resource, [responder, name = request.resource](const std::vector<ResourceStatus>& all) {
    if (all.empty()) return responder->finish({20, "", "the resource went down\n"});
    const auto& peers = all.front().snapshot.peers;
    const bool any = std::any_of(peers.begin(), peers.end(), [](const PeerSnapshot& peer) { return peer.verify.differing > 0; });
    if (!any) return responder->finish({0, name + ": no difference is known: nothing to repair\n", ""});
    const std::string where = explain_text(all.front(), ExplainTopic::resync);
    responder->finish(
        {11, "",
         fmt::format("{0}: verify --repair needs --from NODE: which copy is right cannot be told here, and rot must not "
                     "be copied over good data\n{1}",
                     name, where)});
  });
}

}  // namespace lockstep
