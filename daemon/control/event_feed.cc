#include "control/event_feed.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace lockstep {

void EventFeed::describe(const ResourceStatus& status, std::map<std::string, Object>& into) {
  const Snapshot& snapshot = status.snapshot;
  const std::string reason(code_of(snapshot.reason));
  const auto add = [&into, &status](int order, const std::string& id, Object object) {
    into.emplace(fmt::format("{} {} {}", status.name, order, id), std::move(object));
  };
  add(0, "",
      {"resource",
       {{"name", status.name}},
       {{"role", std::string(to_text(snapshot.role))},
        {"suspended", suspended_text(status)},
        {"tenure", fmt::format("{}", snapshot.tenure ? snapshot.tenure->number : 0)},
        {"reason", reason}}});
  for (size_t i = 0; i < snapshot.volumes.size(); ++i) {
    const std::string volume = fmt::format("{}", snapshot.volumes[i].number);
    add(2, volume,
        {"device",
         {{"name", status.name}, {"volume", volume}},
         {{"disk", std::string(to_text(snapshot.disk))},
          {"open", i < status.volumes.size() && status.volumes[i].open ? "yes" : "no"},
          {"quorum", snapshot.quorum ? "yes" : "no"}}});
  }
  for (const PeerSnapshot& peer : snapshot.peers) {
    const std::string id = fmt::format("{}", peer.node.value);
    const Fields keys = {{"name", status.name}, {"peer-node-id", id}, {"conn-name", status.name_of(peer.node)}};
    add(1, id,
        {"connection",
         keys,
         {{"connection", status.connection_state(peer.node)},
          {"role", std::string(to_text(peer.connected ? peer.role : Role::unknown))}}});
    for (const ConnectionPathStatus& path : status.paths(peer.node)) {
      const auto place = [](const PlaceStatus& of) { return fmt::format("{}:{}", family_of(of), to_text(of)); };
      Fields path_keys = keys;
      path_keys.emplace_back("local", place(path.own));
      path_keys.emplace_back("peer", place(path.peer));
      add(4, id + " " + path_keys.back().second + " " + place(path.own),
          {"path", path_keys, {{"established", path.established ? "yes" : "no"}, {"carries", std::string(lanes_text(path))}}});
    }
    for (const VolumeShape& shape : snapshot.volumes) {
      const std::string volume = fmt::format("{}", shape.number);
      Fields device_keys = keys;
      device_keys.emplace_back("volume", volume);
      add(3, id + " " + volume,
          {"peer-device",
           device_keys,
           {{"replication", std::string(to_text(peer.replication))},
            {"peer-disk", std::string(to_text(peer.disk))},
            {"resync-suspended", paused_text(peer)}}});
    }
  }
  for (const VoterSnapshot& voter : snapshot.voters) {
    add(5, fmt::format("{}", voter.seat.value),
        {"voter",
         {{"name", status.name}, {"voter", status.name_of(voter.seat)}},
         {{"kind", voter.seat.is_witness() ? "witness" : "node"}, {"answers", voter.answers ? "yes" : "no"}}});
  }
}

std::string EventFeed::line(std::string_view verb, const Object& object, const Fields& state) const {
  if (json_) {
    nlohmann::ordered_json out = {{"event", verb}, {"object", object.kind}};
    for (const auto& [key, value] : object.keys) out[key] = value;
    for (const auto& [key, value] : state) out[key] = value;
    return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  }
  std::string out = fmt::format("{} {}", verb, object.kind);
  for (const auto& [key, value] : object.keys) out += fmt::format(" {}:{}", key, value);
  for (const auto& [key, value] : state) out += fmt::format(" {}:{}", key, value);
  return out;
}

std::vector<std::string> EventFeed::update(const std::vector<ResourceStatus>& all) {
  std::map<std::string, Object> now;
  for (const ResourceStatus& status : all) describe(status, now);
  std::vector<std::string> lines;
  for (const auto& [id, object] : known_) {
    if (!now.contains(id)) lines.push_back(line("destroy", object, {}));
  }
  for (const auto& [id, object] : now) {
    const auto before = known_.find(id);
    if (before == known_.end()) {
      lines.push_back(line(begun_ ? "create" : "exists", object, object.state));
      continue;
    }
    Fields changed;
    for (size_t i = 0; i < object.state.size(); ++i) {
      if (object.state[i] != before->second.state[i]) changed.push_back(object.state[i]);
    }
    if (!changed.empty()) lines.push_back(line("change", object, changed));
  }
  if (!begun_) lines.push_back(json_ ? R"({"event":"exists","object":"-"})" : "exists -");
  begun_ = true;
  known_ = std::move(now);
  return lines;
}

}  // namespace lockstep
