#include "control/control_protocol.h"

#include <utility>

namespace lockstep {

namespace {

using nlohmann::json;

// Never throws: a discarded value for what is no JSON or nests too deep.
json parse_json(std::string_view line) {
  constexpr int kDeepest = 16;
  const auto shallow = [](int depth, json::parse_event_t, json&) { return depth <= kDeepest; };
  return json::parse(line, shallow, false);
}

std::string string_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Bytes that are no UTF-8 (a path, a message of the system) are replaced rather than thrown over.
std::string line_of(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"; }

std::string read_target(const json& object, ControlRequest& request) {
  for (const char* key : {"resource", "peer"}) {
    if (object.contains(key) && !object[key].is_string()) return std::string(key) + " must be a string";
  }
  request.resource = string_of(object, "resource");
  request.peer = string_of(object, "peer");
  if (object.contains("volume")) {
    const json& volume = object["volume"];
    if (!volume.is_number_unsigned() || volume.get<uint64_t>() > 65534) return "volume must be a number from 0 to 65534";
    request.volume = static_cast<uint16_t>(volume.get<uint64_t>());
  }
  if (object.contains("options")) {
    if (!object["options"].is_object()) return "options must be an object";
    request.options = object["options"];
  }
  return "";
}

}  // namespace

bool ControlRequest::flag(std::string_view name) const {
  const auto found = options.find(std::string(name));
  return found != options.end() && found->is_boolean() && found->get<bool>();
}

std::string ControlRequest::text(std::string_view name) const { return string_of(options, std::string(name).c_str()); }

std::variant<ControlRequest, std::string> parse_request(std::string_view line) {
  const json object = parse_json(line);
  if (object.is_discarded()) return std::string("the request is not JSON");
  if (!object.is_object()) return std::string("the request must be an object");
  ControlRequest request;
  request.command = string_of(object, "command");
  if (request.command.empty()) return std::string("the request names no command");
  if (std::string wrong = read_target(object, request); !wrong.empty()) return wrong;
  return request;
}

std::string format_request(const ControlRequest& request) {
  json object = {{"command", request.command}, {"resource", request.resource}, {"options", request.options}};
  if (request.volume) object["volume"] = *request.volume;
  if (!request.peer.empty()) object["peer"] = request.peer;
  return line_of(object);
}

std::string format_reply(const ControlReply& reply) {
  return line_of(json{{"exit", reply.exit_status}, {"stdout", reply.out}, {"stderr", reply.err}});
}

ControlLine parse_line(std::string_view line) {
  json object = parse_json(line);
  if (object.is_discarded() || !object.is_object()) return std::string("the daemon's answer is not JSON");
  if (const auto exit = object.find("exit"); exit != object.end()) {
    if (!exit->is_number_integer()) return std::string("the daemon's answer has no exit status");
    return ControlReply{exit->get<int>(), string_of(object, "stdout"), string_of(object, "stderr")};
  }
  if (object.contains("event")) return ControlEvent{string_of(object, "event")};
  if (object.contains("progress")) return std::move(object["progress"]);
  return std::string("the daemon's answer is not understood");
}

}  // namespace lockstep
