// dump-md: the record as text for a person and as JSON for a program. Declared in metadata_tool.h.
#include <fmt/format.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "shell/loop/device_open.h"
#include "shell/metadata_attach.h"
#include "shell/metadata_tool.h"

namespace lockstep {

namespace {

using Json = nlohmann::ordered_json;

Json json_of(const Ballot& ballot) {
  if (ballot.none()) return nullptr;
  return {{"counter", ballot.counter}, {"node", ballot.node.value}, {"start", ballot.start}};
}

Json json_of(const VolumeShapes& volumes) {
  Json json = Json::array();
  for (const VolumeShape& volume : volumes) json.push_back({{"number", volume.number}, {"size", volume.size_bytes}});
  return json;
}

Json json_of(const Tenure& tenure) {
  Json json;
  json["history"] = tenure.history.to_string();
  json["parent"] = tenure.parent.is_nil() ? Json(nullptr) : Json(tenure.parent.to_string());
  json["number"] = tenure.number;
  json["origin"] = json_of(tenure.origin);
  json["primary"] = nullptr;
  if (tenure.primary) {
    json["primary"] = {
        {"node", tenure.primary->node.value}, {"boot", tenure.primary->boot.to_string()}, {"start", tenure.primary->start}};
  }
  json["clean"] = tenure.clean;
  json["members"] = Json::array();
  for (const Seat member : tenure.members) json["members"].push_back(member.value);
  json["voter-set"] = tenure.voter_set;
  json["voters"] = Json::array();
  for (const Voter& voter : tenure.voters) {
    json["voters"].push_back({{"seat", voter.seat.value},
                              {"kind", voter.seat.is_witness() ? "witness" : "data"},
                              {"acceptor", voter.acceptor.is_nil() ? Json(nullptr) : Json(voter.acceptor.to_string())}});
  }
  json["volumes"] = json_of(tenure.volumes);
  return json;
}

Json json_of(const std::optional<Tenure>& tenure) { return tenure ? json_of(*tenure) : Json(nullptr); }

Json json_of(const Layout& layout) {
  Json json{{"placement", layout.placement == Placement::internal ? "internal" : "external"},
            {"bitmap-slots", layout.bitmap_slots},
            {"data-device-size", layout.data_device_bytes},
            {"meta-device-size", layout.meta_device_bytes},
            {"data-size", layout.data_bytes},
            {"superblock-offset", layout.superblock_offset},
            {"intent-offset", layout.intent_offset},
            {"intent-pages", layout.intent_pages},
            {"bitmap-offset", layout.bitmap_offset},
            {"bitmap-pages", layout.bitmap_pages}};
  if (!layout.digests) return json;
  json["digest-offset"] = layout.digest_offset;
  json["digest-pages"] = layout.digest_pages();
  return json;
}

Json json_of_peers(MetadataIo& io, const Superblock& superblock) {
  Json peers = Json::array();
  for (uint8_t i = 0; i < superblock.layout.bitmap_slots; ++i) {
    if (Seat{i} == superblock.record.node) continue;
    const ReadBitmap bitmap = read_bitmap(io, superblock, {i});
    const Uuid& disk = superblock.record.peers[i].disk;
    peers.push_back({{"node", i},
                     {"disk", disk.is_nil() ? Json(nullptr) : Json(disk.to_string())},
                     {"dirty-blocks", bitmap.bits.count()},
                     {"unreadable-pages", bitmap.unreadable_pages}});
  }
  return peers;
}

Json json_of_record(MetadataIo& io, const Superblock& superblock) {
  const NodeRecord& record = superblock.record;
  const ReadIntent intent = read_intent(io, superblock);
  Json json;
  json["resource-id"] = record.resource.to_string();
  json["volume"] = superblock.volume;
  json["node-id"] = record.node.value;
  json["disk"] = record.disk.to_string();
  json["size"] = record.size_bytes;
  if (!record.volumes.empty()) json["volumes"] = json_of(record.volumes);
  json["digests"] = superblock.layout.digests;
  json["start"] = record.start();
  json["boot"] = record.boot.is_nil() ? Json(nullptr) : Json(record.boot.to_string());
  json["inconsistent"] = record.inconsistent;
  json["doubtful"] = record.doubtful;
  json["outdated"] = record.outdated;
  json["tenure"] = json_of(record.adopted);
  const AcceptorRecord& acceptor = record.acceptor;
  json["acceptor"] = {{"uuid", acceptor.acceptor.to_string()},
                      {"promised", json_of(acceptor.promised)},
                      {"accepted", json_of(acceptor.accepted)},
                      {"tenure", json_of(acceptor.tenure)},
                      {"longest-lease-ms", acceptor.longest_lease.ns / 1'000'000}};
  json["intent"] = {{"extent-size", kExtentBytes},
                    {"set-extents", intent.bits.count()},
                    {"extents", intent.bits.size()},
                    {"unreadable-pages", intent.unreadable_pages}};
  json["peers"] = json_of_peers(io, superblock);
  json["layout"] = json_of(superblock.layout);
  return json;
}

Json json_of_metadata(MetadataIo& io, Placement placement) {
  const Quorum quorum = read_superblock(io, placement);
  Json json;
  json["status"] = code_of(quorum.status);
  json["version"] = kMetaVersion;
  json["sequence"] = quorum.superblock.sequence;
  json["superblock-copies"] = Json::array();
  for (const CopyState state : quorum.states) json["superblock-copies"].push_back(name_of(state));
  if (quorum.status != MetaStatus::ok) return json;
  json.update(json_of_record(io, quorum.superblock));
  return json;
}

// "key value" lines in the order of the JSON, nested by indentation: one description of the record, two ways
// to show it.
void append_text(const Json& json, int indent, std::string& text) {
  for (const auto& [key, value] : json.items()) {
    const std::string margin(static_cast<size_t>(indent) * 2, ' ');
    const bool nested = value.is_object() || (value.is_array() && !value.empty() && value.front().is_object());
    if (!nested) {
      std::string shown = value.is_string() ? value.get<std::string>() : value.is_null() ? "none" : value.dump();
      text += fmt::format("{}{:<{}} {}\n", margin, key, std::max(0, 20 - indent * 2), shown);
      continue;
    }
    if (value.is_object()) {
      text += fmt::format("{}{}\n", margin, key);
      append_text(value, indent + 1, text);
      continue;
    }
    for (const Json& item : value) {
      text += fmt::format("{}{}\n", margin, key);
      append_text(item, indent + 1, text);
    }
  }
}

}  // namespace

ToolResult dump_md(const MetadataTarget& target, bool json) {
  Result<OpenedDevice> opened = open_device(target.meta_path(), {.read_only = true, .claim = false});
  if (!opened.ok()) {
    return {16, {}, fmt::format("{}: {}: {}.\n", target.meta_path(), opened.error().where, std::strerror(opened.error().os))};
  }
  OpenedDevice device = opened.value();
  FdMetadataIo io(device);
  const Quorum quorum = read_superblock(io, target.placement());
  const Json shown = json_of_metadata(io, target.placement());
  close_device(device);
  ToolResult result;
  if (json) {
    result.out = shown.dump(2) + "\n";
  } else {
    append_text(shown, 0, result.out);
  }
  if (quorum.status != MetaStatus::ok) {
    result.exit_status = 20;
    result.err = fmt::format("{}: {}.\n  {}\n", target.meta_path(), text_of(quorum.status), remedy_of(quorum.status));
  }
  return result;
}

}  // namespace lockstep
