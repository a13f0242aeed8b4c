#include "tools/cli/wait_commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <thread>

#include "tools/cli/daemon_client.h"

namespace lockstep::cli {

namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr auto kInterval = std::chrono::milliseconds(200);

// Lenient readers: a missing or odd value is "not yet", never an exception.
std::string text(const json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}
double number(const json& object, const char* key, double otherwise) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_number() ? found->get<double>() : otherwise;
}
const json& list(const json& object, const char* key) {
  static const json kEmpty = json::array();
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_array() ? *found : kEmpty;
}

const json kNothing = json::object();

std::optional<double> parse_timeout(const std::string& word) {
  double value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size() || !(value >= 0) || value > 1e9) return std::nullopt;
  return value;
}

json find_resource(const std::string& text_of_status, const std::string& name) {
  const json all = json::parse(text_of_status, nullptr, false);
  if (!all.is_array()) return nullptr;
  for (const json& one : all) {
    if (text(one, "name") == name) return one;
  }
  return nullptr;
}

// Rewrites one line on the terminal; silent elsewhere.
class ProgressLine {
 public:
  void show(const std::string& line) {
    if (!terminal_) return;
    std::fprintf(stderr, "\r%-70s", line.c_str());
    shown_ = true;
  }
  ~ProgressLine() {
    if (shown_) std::fputc('\n', stderr);
  }

 private:
  bool terminal_ = ::isatty(STDERR_FILENO) == 1;
  bool shown_ = false;
};

}  // namespace

bool all_connected(const json& resource) {
  for (const json& connection : list(resource, "connections")) {
    if (text(connection, "connection-state") != "Connected") return false;
  }
  return resource.is_object();
}

bool all_in_sync(const json& resource) {
  if (!all_connected(resource)) return false;
  // A copy under protocol A or B has all but what is on its way, and is never more than Consistent.
  bool follows = false;
  for (const json& connection : list(resource, "connections")) {
    for (const json& device : list(connection, "peer_devices")) follows = follows || text(device, "follower") == "here";
  }
  const auto good = [](const std::string& state, bool follower) { return state == (follower ? "Consistent" : "UpToDate"); };
  for (const json& device : list(resource, "devices")) {
    if (!good(text(device, "disk-state"), follows)) return false;
  }
  for (const json& connection : list(resource, "connections")) {
    for (const json& device : list(connection, "peer_devices")) {
      // Only its Primary knows what a follower lacks: what it says of other ones is as old as its last word from there.
      if (follows && text(device, "follower") != "here") continue;
      // What verify found is no work for a resync.
      const json& verify = device.is_object() && device.contains("verify") ? device["verify"] : kNothing;
      const double differing = number(device, "out-of-sync", 1) - number(verify, "differing", 0);
      if (!good(text(device, "peer-disk-state"), text(device, "follower") == "peer") || differing > 0) return false;
    }
  }
  return true;
}

std::string progress_line(const json& resource) {
  const std::string name = text(resource, "name");
  for (const json& connection : list(resource, "connections")) {
    const std::string state = text(connection, "connection-state");
    const std::string refusal = text(connection, "refusal");
    if (state != "Connected")
      return fmt::format("{}: {} {}{}", name, text(connection, "name"), state, refusal.empty() ? "" : " (" + refusal + ")");
    for (const json& device : list(connection, "peer_devices")) {
      const double rate = number(device, "rate", 0);
      const double left = number(device, "eta", -1);
      if (number(device, "percent-resync-done", -1) < 0) continue;
      // Rounded down: 100.0 has to mean that nothing is left.
      const double percent = std::floor(number(device, "percent-in-sync", 0) * 10) / 10;
      std::string line = fmt::format("{}: {:.1f}% in sync, {:.1f} MiB/s", name, percent, rate / 1024);
      if (left >= 0) line += fmt::format(", {}:{:02} left", static_cast<int64_t>(left) / 60, static_cast<int64_t>(left) % 60);
      return line;
    }
  }
  return fmt::format("{}: waiting", name);
}

namespace {

struct Comparison {
  bool running = false;
  double done = 100;      // percent, of the one that is least far
  double differing = 0;   // KiB
  bool completed = true;  // of every peer that is meant
};

Comparison comparison_of(const json& resource, const std::string& peer) {
  Comparison all;
  for (const json& connection : list(resource, "connections")) {
    if (!peer.empty() && text(connection, "name") != peer) continue;
    for (const json& device : list(connection, "peer_devices")) {
      const auto verify = device.is_object() ? device.find("verify") : device.end();
      if (verify == device.end()) continue;
      if (peer.empty() && text(device, "follower") == "peer") continue;  // members are compared
      if (verify->value("running", false) || verify->value("repairing", false)) {
        all.running = true;
        all.done = std::min(all.done, number(*verify, "done", 100));
      }
      all.differing += number(*verify, "differing", 0);
      all.completed = all.completed && verify->value("completed", false);
    }
  }
  return all;
}

}  // namespace

int wait_for_verify(const Arguments& arguments, const std::string& resource) {
  ControlRequest request;
  request.command = "status";
  request.resource = resource;
  request.options["json"] = true;
  ProgressLine line;
  for (;;) {
    const ControlReply reply = ask_daemon(arguments.run_dir, request);
    const json status = reply.exit_status == 0 ? find_resource(reply.out, resource) : json();
    if (status.is_null()) {
      std::fprintf(stderr, "lockstep: %s went down while its copies were compared\n", resource.c_str());
      return 20;
    }
    const Comparison now = comparison_of(status, arguments.target.peer);
    if (now.running) {
      line.show(fmt::format("{}: {:.1f}% compared", resource, now.done));
      std::this_thread::sleep_for(kInterval);
      continue;
    }
    if (!now.completed && !arguments.flag("repair")) {
      std::fprintf(stderr, "lockstep: %s: not every copy was compared to the end (status and the log say why)\n",
                   resource.c_str());
      return 20;
    }
    if (now.differing == 0) return 0;
    std::fprintf(stderr, "lockstep: %s: %.0f KiB differ (lockstep explain %s resync lists where)\n", resource.c_str(),
                 now.differing, resource.c_str());
    return 20;
  }
}

int run_wait_command(const Arguments& arguments, const std::string& resource) {
  std::optional<double> timeout;
  if (arguments.flag("timeout")) {
    timeout = parse_timeout(arguments.options.at("timeout"));
    if (!timeout) {
      std::fprintf(stderr, "lockstep: --timeout takes seconds, not \"%s\"\n", arguments.options.at("timeout").c_str());
      return 1;
    }
  }
  const bool sync = arguments.command->name == "wait-sync";
  const auto begun = Clock::now();
  ControlRequest request;
  request.command = "status";
  request.resource = resource;
  request.volume = arguments.target.volume;
  request.options["json"] = true;
  ProgressLine line;
  for (;;) {
    const ControlReply reply = ask_daemon(arguments.run_dir, request);
    if (reply.exit_status != 0) {
      std::fputs(reply.err.c_str(), stderr);
      return reply.exit_status;
    }
    const json status = find_resource(reply.out, resource);
    if (status.is_null()) {
      std::fprintf(stderr, "lockstep: resource %s is not up\n  lockstep up %s brings it up.\n", resource.c_str(),
                   resource.c_str());
      return 20;
    }
    if (sync ? all_in_sync(status) : all_connected(status)) return 0;
    if (timeout && Clock::now() - begun >= std::chrono::duration<double>(*timeout)) {
      const std::string what = progress_line(status);
      std::fprintf(stderr, "lockstep: waited %g s in vain: %s\n", *timeout, what.c_str());
      return 5;
    }
    line.show(progress_line(status));
    std::this_thread::sleep_for(kInterval);
  }
}

}  // namespace lockstep::cli
