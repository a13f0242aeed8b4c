#include "control/node.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "control/config_change.h"
#include "control/explain.h"
#include "control/resource_settings.h"
#include "shell/loop/log.h"

namespace lockstep {

namespace {
constexpr const char* kNotUp = "{0}: this resource is not up on this node\n  lockstep up {0} brings it up.\n";
}

Node::Node(EventLoop& loop, NodeOptions options, Boot boot) : loop_(loop), options_(std::move(options)), boot_(boot) {}
Node::~Node() { *alive_ = false; }

const std::map<std::string, Node::Handler, std::less<>>& Node::handlers() {
  static const std::map<std::string, Handler, std::less<>> table = {
      {"up", &Node::up},
      {"down", &Node::down},
      {"adjust", &Node::adjust},
      {"connect", &Node::connect},
      {"disconnect", &Node::disconnect},
      {"primary", &Node::primary},
      {"secondary", &Node::secondary},
      {"new-current-uuid", &Node::new_current_uuid},
      {"invalidate", &Node::invalidate},
      {"invalidate-remote", &Node::invalidate_remote},
      {"attach", &Node::attach},
      {"detach", &Node::detach},
      {"outdate", &Node::outdate},
      {"verify", &Node::verify},
      {"pause-sync", &Node::pause_sync},
      {"resume-sync", &Node::resume_sync},
      {"resize", &Node::resize},
      {"suspend-io", &Node::suspend_io},
      {"resume-io", &Node::resume_io},
      {"status", &Node::status},
      {"events", &Node::events},
      {"role", &Node::role},
      {"cstate", &Node::cstate},
      {"dstate", &Node::dstate},
      {"show-gi", &Node::show_gi},
      {"explain", &Node::explain},
      {"clients", &Node::clients},
  };
  return table;
}

void Node::handle(ControlRequest request, std::shared_ptr<ControlResponder> responder) {
  const auto at = handlers().find(request.command);
  if (at == handlers().end())
    return responder->finish({1, "", fmt::format("lockstepd knows no command \"{}\"\n", request.command)});
  (this->*at->second)(request, std::move(responder));
}

Node::Up* Node::find(const std::string& name) {
  const auto at = up_.find(name);
  return at == up_.end() ? nullptr : &at->second;
}

Node::Up* Node::need(const ControlRequest& request, const Shared& responder) {
  Up* up = find(request.resource);
  if (up == nullptr) {
    responder->finish({20, "", fmt::format(kNotUp, request.resource)});
    return nullptr;
  }
  const ControlReply wrong = misnamed(up->config, request);
  if (wrong.exit_status == 0) return up;
  responder->finish(wrong);
  return nullptr;
}

// What only shows something does it for the whole resource; of what changes something, a comparison is for one volume, and resize has its own
// refusal.
bool Node::may_name_a_volume(const ControlRequest& request) {
  static constexpr std::array kMay{"verify", "resize", "status",  "events",  "role",
                                   "cstate", "dstate", "show-gi", "explain", "clients"};
  return std::any_of(kMay.begin(), kMay.end(), [&request](const char* command) { return request.command == command; }) &&
         !request.flag("repair") && !request.flag("cancel");
}

// A volume or a peer that the resource doesn't have: an operator's slip, which must not act on something else.
ControlReply Node::misnamed(const config::Resource& resource, const ControlRequest& request) const {
  const config::Host* self = resource.host(options_.node);
  if (request.volume && self != nullptr) {
    const auto same = [&request](const config::Volume& volume) { return volume.number == *request.volume; };
    if (std::none_of(self->volumes.begin(), self->volumes.end(), same))
      return {10, "", fmt::format("{}: it has no volume {}\n", resource.name, *request.volume)};
    if (self->volumes.size() > 1 && !may_name_a_volume(request)) {
      return {11, "",
              fmt::format("{0}/{1}: {2} acts on all volumes of a resource together\n  Say {2} {0}.\n", resource.name,
                          *request.volume, request.command)};
    }
  }
  const config::Host* peer = request.peer.empty() ? nullptr : resource.host(request.peer);
  if (request.peer.empty() || (peer != nullptr && peer != self)) return {};
  return {10, "", fmt::format("{}: \"{}\" is not one of its peers\n", resource.name, request.peer)};
}

// What is wrong with a name, also of a resource that is not up; nothing (exit status 0) too where the configuration cannot be read.
ControlReply Node::unknown(const ControlRequest& request) {
  if (const Up* up = find(request.resource)) return misnamed(up->config, request);
  const config::Loaded loaded = config::load(options_.config_path);
  if (!loaded.ok()) return {};
  const config::Resource* resource = loaded.config.resource(request.resource);
  if (resource == nullptr) return {10, "", fmt::format("{}: not a resource of {}\n", request.resource, options_.config_path)};
  return misnamed(*resource, request);
}

// Reads the configuration anew: what an operator changed since the start counts from the next `up`.
ControlReply Node::open(const ControlRequest& request) {
  const std::string& name = request.resource;
  const config::Loaded loaded = config::load(options_.config_path);
  if (!loaded.ok()) return {10, "", loaded.errors()};
  const config::Resource* resource = loaded.config.resource(name);
  if (resource == nullptr) return {10, "", fmt::format("{}: not a resource of {}\n", name, options_.config_path)};
  ControlReply reply = open(*resource, request);
  if (reply.exit_status == 0) reply.err += loaded.warnings();
  return reply;
}

// Nothing, and why in `wrong`, where this node cannot have it.
std::optional<ResourceSettings> Node::settings_of(const config::Resource& resource, const ControlRequest& request,
                                                  ControlReply& wrong) {
  const std::string& name = request.resource;
  const config::Host* self = resource.host(options_.node);
  if (self == nullptr) {
    wrong = {10, "",
             fmt::format("{}: node {} is not one of its hosts\n  Give --node, or add an `on {}` section.\n", name, options_.node,
                         options_.node)};
    return std::nullopt;
  }
  wrong = misnamed(resource, request);
  if (wrong.exit_status != 0) return std::nullopt;
  auto settings = settings_for(resource, *self, boot_, options_.engine);
  if (!settings) {
    wrong = {10, "",
             fmt::format("{}: cannot {} {}: {}\n", name, settings.error().where, self->net.shared_secret_file,
                         std::strerror(settings.error().os))};
    return std::nullopt;
  }
  if (options_.shared_writers) settings.value().shared_writers = true;
  std::string& recordings = settings.value().flight_directory;
  if (recordings == "on") recordings = options_.run_dir + "/flight";
  if (recordings == "off") recordings.clear();
  settings.value().handler_environment = {"LOCKSTEP_NODE=" + self->name, "LOCKSTEP_CONFIG=" + options_.config_path,
                                          "LOCKSTEP_RUN_DIR=" + options_.run_dir};
  return std::move(settings).value();
}

ControlReply Node::open(const config::Resource& wanted, const ControlRequest& request) {
  const std::string& name = request.resource;
  ControlReply wrong;
  auto settings = settings_of(wanted, request, wrong);
  if (!settings) return wrong;
  if (settings->links.secret.empty())
    log_line(LogLevel::warning, name, "no shared-secret: whoever reaches the port can be its peer");
  OpenFailure failure;
  auto opened = Resource::open(std::move(*settings), failure);
  if (opened == nullptr) return {failure.exit_status, "", failure.text};
  up_[name] = Up{wanted, std::move(opened), {}};
  const std::string weak = config::secret_warnings(name, wanted.host(options_.node)->net);
  if (!weak.empty()) log_line(LogLevel::warning, name, weak.substr(0, weak.find('\n')));
  return {0, "", weak};
}

void Node::close(const std::string& name, Closed then) {
  Up& up = up_.at(name);
  up.closing.push_back(std::move(then));
  if (up.closing.size() > 1) return;
  up.resource->admin(AdminOp::stop, kNoSeat, [this, name, alive = alive_](const AdminReply& reply) {
    loop_.post([this, name, reply, alive] {
      if (*alive) closed(name, reply);
    });
  });
}

void Node::closed(const std::string& name, const AdminReply& reply) {
  const std::vector<Closed> waiting = std::exchange(up_.at(name).closing, {});
  const auto tell = [waiting](const ControlReply& answer) {
    for (const Closed& then : waiting) then(answer);
  };
  if (!reply.ok)
    return with_status(name, [tell, reply](const std::vector<ResourceStatus>& all) {
      tell(all.empty() ? ControlReply{20, "", "the resource went down\n"} : refusal(all.front(), reply.reason));
    });
  up_.erase(name);
  log_line(LogLevel::notice, name, "down");
  if (reply.reason == Reason::none) return tell({});
  tell({0, "", fmt::format("{}: stopped without handing over, as after a crash. {}\n", name, text_of(reply.reason))});
}

Resource::AdminDone Node::answers(const std::string& name, Shared responder) {
  return [this, name, responder = std::move(responder), alive = alive_](const AdminReply& reply) {
    loop_.post([this, name, responder, reply, alive] {
      if (!*alive) return;
      if (!reply.ok) return refuse(name, reply.reason, responder);
      responder->finish({0, "", reply.reason == Reason::different_history ? new_history_text(name) : ""});
    });
  };
}

void Node::run_admin(Up& up, AdminOp op, Seat peer, Shared responder, const Range& range, bool assume_clean) {
  up.resource->admin(op, peer, answers(up.config.name, std::move(responder)), range, assume_clean);
}

void Node::shut_down(std::function<void()> done) {
  auto left = std::make_shared<size_t>(up_.size());
  auto finish = std::make_shared<std::function<void()>>(std::move(done));
  if (*left == 0) return (*finish)();
  // A Primary with clients does not wait for them: the daemon's end is the operator's decision.
  loop_.call_at(loop_.now() + seconds(8), [finish] {
    if (*finish) std::exchange(*finish, nullptr)();
  });
  for (auto& [name, up] : up_) {
    up.resource->admin(AdminOp::stop, kNoSeat, [this, left, finish](const AdminReply&) {
      loop_.post([left, finish] {
        if (--*left == 0 && *finish) std::exchange(*finish, nullptr)();
      });
    });
  }
}

}  // namespace lockstep
