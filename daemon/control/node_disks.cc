// detach, attach, outdate: a resource that is up, and the disk beneath it.
#include <fmt/format.h>

#include <utility>

#include "control/explain.h"
#include "control/node.h"

namespace lockstep {

void Node::detach(const ControlRequest& request, Shared responder) {
  if (Up* up = need(request, responder)) up->resource->detach(answers(request.resource, std::move(responder)));
}

void Node::outdate(const ControlRequest& request, Shared responder) {
  if (Up* up = need(request, responder)) run_admin(*up, AdminOp::outdate, kNoSeat, std::move(responder));
}

void Node::attach(const ControlRequest& request, Shared responder) {
  if (need(request, responder) == nullptr) return;
  with_status(request.resource, [this, request, responder](const std::vector<ResourceStatus>& all) {
    const Up* running = find(request.resource);
    const bool goes = all.empty() || running == nullptr || !running->closing.empty();
    goes ? responder->finish({20, "", "the resource went down\n"}) : attach_seen(request, all.front(), responder);
  });
}

// The resource starts anew on the disk that the configuration names now: whatever this run knew of a disk before says nothing about it. What
// cannot be attached is found out first, so that a slip leaves everything as it is.
void Node::attach_seen(const ControlRequest& request, const ResourceStatus& status, const Shared& responder) {
  const DiskState disk = status.snapshot.disk;
  if (disk != DiskState::diskless && disk != DiskState::failed) return responder->finish({});
  if (status.snapshot.role == Role::primary) return responder->finish(refusal(status, Reason::attach_primary));
  if (disk == DiskState::failed) return responder->finish(refusal(status, Reason::io_pending));
  if (!status.disk_open) return attach_free(request, responder);
  // It failed, and this process has it still.
  up_.at(request.resource).resource->detach([this, request, responder, alive = alive_](const AdminReply& reply) {
    loop_.post([this, request, responder, reply, alive] {
      if (*alive) reply.ok ? attach_free(request, responder) : refuse(request.resource, reply.reason, responder);
    });
  });
}

void Node::attach_free(const ControlRequest& request, const Shared& responder) {
  const Up* running = find(request.resource);
  if (running == nullptr || !running->closing.empty()) return responder->finish({20, "", "the resource went down\n"});
  const config::Loaded loaded = config::load(options_.config_path);
  if (!loaded.ok()) return responder->finish({10, "", loaded.errors()});
  const config::Resource* wanted = loaded.config.resource(request.resource);
  if (wanted == nullptr)
    return responder->finish({10, "", fmt::format("{}: not a resource of {}\n", request.resource, options_.config_path)});
  ControlReply wrong;
  const auto settings = settings_of(*wanted, request, wrong);
  if (!settings) return responder->finish(wrong);
  OpenFailure failure;
  if (!Resource::can_attach(*settings, failure))
    return responder->finish(
        {failure.exit_status, "", fmt::format("{}  {} stays up, without a disk.\n", failure.text, request.resource)});
  close(request.resource, [this, request, was = up_.at(request.resource).config, responder](ControlReply closed) {
    responder->finish(closed.exit_status != 0 ? closed : reopen(was, request));
  });
}

}  // namespace lockstep
