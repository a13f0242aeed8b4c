// The control socket's language: a line of JSON asks, lines of JSON answer.
//
//   {"command":"primary","resource":"r0","volume":0,"peer":"beta","options":{"force":true}}
//   {"event":"..."}* {"progress":{...}}*  {"exit":0,"stdout":"","stderr":""}
//
// While a command runs an empty progress comes every second: a client that hears nothing for longer knows that the daemon hangs.
// Requests are bounded in bytes and depth; a malformed one is answered with exit status 1 and its connection
// closed.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace lockstep {

constexpr size_t kMaxRequestBytes = 64 * 1024;

struct ControlRequest {
  std::string command;
  std::string resource;  // empty: all of them, where the command allows that
  std::optional<uint16_t> volume;
  std::string peer;                                   // empty: every peer
  nlohmann::json options = nlohmann::json::object();  // by name without dashes: {"force":true,"timeout":10}

  bool flag(std::string_view name) const;  // false also when it is no boolean
  std::string text(std::string_view name) const;
};

struct ControlReply {
  int exit_status = 0;  // as the contract numbers them
  std::string out;      // for standard output
  std::string err;      // for standard error
};

// The request, or what is wrong with it.
std::variant<ControlRequest, std::string> parse_request(std::string_view line);
std::string format_request(const ControlRequest& request);  // with its newline
std::string format_reply(const ControlReply& reply);        // with its newline

// A line from the daemon: the reply, or something on the way to it.
struct ControlEvent {
  std::string text;  // a line for standard output
};
using ControlLine = std::variant<ControlReply, ControlEvent, nlohmann::json /* progress */, std::string /* what is wrong */>;
ControlLine parse_line(std::string_view line);

}  // namespace lockstep
