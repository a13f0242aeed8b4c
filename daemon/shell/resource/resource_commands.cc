// What the control thread asks of a resource, on the resource's loop.
#include <sys/random.h>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/volumes.h"
#include "shell/resource/resource.h"

namespace lockstep {

namespace {

Uuid random_uuid() {
  Uuid id;
  CHECK(::getrandom(id.bytes.data(), id.bytes.size(), 0) == static_cast<ssize_t>(id.bytes.size()));
  id.bytes[6] = static_cast<uint8_t>((id.bytes[6] & 0x0f) | 0x40);  // RFC 9562, version 4
  id.bytes[8] = static_cast<uint8_t>((id.bytes[8] & 0x3f) | 0x80);
  return id;
}

}  // namespace

void Resource::admin(AdminOp op, Seat peer, AdminDone done, Range range, bool assume_clean) {
  const AdminRequest request{{}, op, peer, random_uuid(), range, 0, assume_clean};
  loop_->post([this, op, request, done = std::move(done)]() mutable {
    if (ending_) return;
    // Clients first: a Primary that they use does not step down, and nothing is taken away from under them.
    const bool alone = op == AdminOp::secondary || op == AdminOp::stop || op == AdminOp::shrink;
    if (!alone || !primary_) return begin_admin(request, std::move(done));
    when_clients_left(loop_->now() + settings_.client_leave_time, [this, request, done = std::move(done)](bool left) mutable {
      if (!left) return done(AdminReply{{}, false, Reason::device_in_use});
      ++closing_to_clients_;
      begin_admin(request, [this, done = std::move(done)](const AdminReply& reply) {
        --closing_to_clients_;
        done(reply);
      });
    });
  });
}

void Resource::detach(AdminDone done) {
  admin(AdminOp::detach, kNoSeat, [this, done = std::move(done)](const AdminReply& reply) {
    if (!reply.ok) return done(reply);
    loop_->defer([this, done, reply] { close_disks([done, reply] { done(reply); }); });
  });
}

// The core uses them no more; what was read ahead of it, digests say, may still be under way.
void Resource::close_disks(std::function<void()> then) {
  if (!disk_ || ending_) return then();
  if (disk_->outstanding() > 0 || meta_->outstanding() > 0) {
    loop_->call_at(loop_->now() + milliseconds(10), [this, then = std::move(then)]() mutable { close_disks(std::move(then)); });
    return;
  }
  checked_.reset();
  meta_.reset();
  meta_device_.reset();
  joined_ = nullptr;
  disk_.reset();
  then();
}

void Resource::begin_admin(AdminRequest request, AdminDone done) {
  request.id = AdminId{++last_admin_};
  admins_.emplace_back(request.id, std::move(done));
  happen(request);
}

void Resource::when_clients_left(Instant deadline, std::function<void(bool)> then) {
  if (clients_->open_exports() == 0) return then(true);
  if (loop_->now() >= deadline) return then(false);
  loop_->call_at(loop_->now() + milliseconds(50),
                 [this, deadline, then = std::move(then)]() mutable { when_clients_left(deadline, std::move(then)); });
}

void Resource::view(std::function<void(ResourceView)> done) {
  loop_->post([this, done = std::move(done)] {
    if (ending_) return;
    ResourceView view;
    view.snapshot = replica_->inspect(loop_->now());
    for (const PeerSettings& peer : settings_.links.peers) view.links.emplace_back(peer.seat, links_->status(peer.seat));
    const VolumeShapes& volumes = view.snapshot.volumes;
    for (size_t i = 0; i < volumes.size(); ++i) view.volumes.push_back(clients_->traffic(volume_base(volumes, i)));
    view.disk_open = disk_ != nullptr;
    view.digests = layout_.digests;
    if (checked_) view.wrong_blocks = checked_->wrong_blocks();
    view.engine = loop_->engine_name();
    done(std::move(view));
  });
}

void Resource::clients(std::function<void(std::vector<ClientView>)> done) {
  loop_->post([this, done = std::move(done)] {
    if (!ending_) done(clients_->clients());
  });
}

void Resource::connect(Seat peer) {
  loop_->post([this, peer] {
    if (!ending_) links_->connect(peer);
  });
}

void Resource::disconnect(Seat peer) {
  loop_->post([this, peer] {
    if (!ending_) links_->set_stand_alone(peer, "disconnected by an operator");
  });
}

OpenFailure Resource::cannot_have(const std::vector<PeerSettings>& peers) {
  const uint8_t slots = layout_.bitmap_slots;
  for (const PeerSettings& peer : peers) {
    if (peer.seat.is_witness() || peer.seat.value < slots) continue;
    return {16, settings_.name + ": the metadata has bitmaps for node ids 0 to " + std::to_string(slots - 1) + ", and " +
                    peer.name + " has node-id " + std::to_string(peer.seat.value) +
                    ".\n  Give it a node-id that is free, or create-md " +
                    "again with a larger --max-peers, one node after the other.\n"};
  }
  const auto listening = links_->listen_for(peers);
  if (listening.ok()) return {0, ""};
  const HostPort& own = links_->refused_address();
  return {20, settings_.name + ": cannot listen on its replication address " + own.host + ":" + own.port + ": " +
                  std::strerror(listening.error().os) + " (" + listening.error().where + ").\n"};
}

void Resource::change_nodes(std::vector<PeerSettings> peers, NodesDone done) {
  loop_->post([this, peers = std::move(peers), done = std::move(done)]() mutable {
    if (ending_) return;
    if (const OpenFailure wrong = cannot_have(peers); wrong.exit_status != 0) return done({}, wrong);
    AdminRequest request;
    request.op = AdminOp::change_nodes;
    request.nodes.insert(settings_.core.self);
    for (const PeerSettings& peer : peers) request.nodes.insert(peer.seat);
    begin_admin(request, [this, peers = std::move(peers), done = std::move(done)](const AdminReply& reply) {
      if (reply.ok) loop_->defer([this, peers] { take_over(peers); });
      done(reply, {0, ""});
    });
  });
}

void Resource::take_over(const std::vector<PeerSettings>& peers) {
  if (ending_) return;
  settings_.links.peers = peers;
  links_->set_peers(peers);
}

// Of the volume at an address.
const std::string& Resource::disk_at(uint64_t address) const {
  const auto& tenure = replica_->record().adopted;
  const auto place = tenure ? place_of(tenure->volumes, address) : std::nullopt;
  const bool other = place && place->index > 0 && place->index <= settings_.others.size();
  return other ? settings_.others[place->index - 1].disk : settings_.disk;
}

// The resource's name alone is volume 0.
std::optional<uint16_t> Resource::volume_named(std::string_view name) const {
  for (const uint16_t number : settings_.volume_numbers()) {
    if (name == fmt::format("{}/{}", settings_.name, number) || (number == 0 && name == settings_.name)) return number;
  }
  return std::nullopt;
}

nbd::Lookup Resource::look_up(std::string_view name) {
  const auto volume = volume_named(name);
  if (!volume) {
    const std::vector<uint16_t> numbers = settings_.volume_numbers();
    std::string there;
    for (const uint16_t number : numbers) there += fmt::format("{}{}/{}", there.empty() ? "" : ", ", settings_.name, number);
    return nbd::Refusal{nbd::Refusal::Kind::unknown, "no such export here; there is " + there};
  }
  if (!primary_ || closing_to_clients_ > 0) {
    std::string text = settings_.name + " is Secondary on this node";
    const auto& tenure = replica_->record().adopted;
    if (tenure && tenure->primary && tenure->primary->node != settings_.core.self)
      text += "; its Primary is " + settings_.name_of(tenure->primary->node);
    return nbd::Refusal{nbd::Refusal::Kind::policy, text + " (lockstep primary " + settings_.name + " makes it Primary)"};
  }
  const VolumeShapes& volumes = replica_->record().adopted->volumes;
  size_t index = 0;
  while (index < volumes.size() && volumes[index].number != *volume) ++index;
  if (index == volumes.size())
    return nbd::Refusal{nbd::Refusal::Kind::unknown, fmt::format("{} has no volume {} in its tenure", settings_.name, *volume)};
  nbd::ExportInfo info;
  info.name = fmt::format("{}/{}", settings_.name, *volume);
  info.description = "Lockstep resource " + info.name;
  info.tag = volume_base(volumes, index);
  info.size = volumes[index].size_bytes;
  info.minimum_block = std::max<uint32_t>(512, disk_ ? disk_->info().block_bytes : 0);
  info.contexts = {std::string(kSyncContext)};
  info.reports_extents = true;
  return info;
}

// The maps know blocks; what is asked for may begin and end within one.
std::vector<nbd::Extent> Resource::sync_status(const Range& range, size_t most) const {
  const uint64_t first = range.offset / kBlockBytes;
  const uint64_t end = blocks_of(range.end());
  std::vector<nbd::Extent> all;
  uint64_t into = range.offset % kBlockBytes;
  for (const SyncRun& run : replica_->sync_runs(first, end - first, most)) {
    all.push_back({run.blocks * kBlockBytes - into, run.flags});
    into = 0;
  }
  return all;
}

// Holes are told where this node's disk may speak for the resource, at the end too: what was found before another node took over is old. Where
// blocks have digests a read is held to them, so nothing that only the file system says stands in for one. All else counts as data.
void Resource::find_allocated(const Range& range, size_t most, std::function<void(std::vector<nbd::Extent>)> done) {
  const auto place = disk_ && !checked_ && replica_->own_disk_counts(loop_->now()) ? disk_->in_file(range.offset) : std::nullopt;
  const uint64_t found_in = place ? std::min(place->length, range.length) : 0;
  if (found_in == 0) return done({{range.length, 0}});
  const auto judge = [this, length = found_in, done = std::move(done)](const std::vector<Stretch>& found) {
    if (!replica_->own_disk_counts(loop_->now())) return done({{length, 0}});
    std::vector<nbd::Extent> all;
    for (const Stretch& stretch : found) all.push_back({stretch.length, stretch.hole ? nbd::kStateHole | nbd::kStateZero : 0});
    done(std::move(all));
  };
  holes_->find(place->fd, place->offset, found_in, most, judge);
}

}  // namespace lockstep
