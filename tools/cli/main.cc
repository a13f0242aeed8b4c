// lockstep: the operator's commands. create-md, dump-md, wipe-md, move-md and dump work here; everything else is asked
// of lockstepd.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "control/config/model.h"
#include "tools/cli/arguments.h"
#include "tools/cli/daemon_client.h"
#include "tools/cli/metadata_commands.h"
#include "tools/cli/wait_commands.h"

namespace lockstep::cli {

namespace {

constexpr int kBadConfiguration = 10;
constexpr int kOtherFailure = 20;

int print(const ControlReply& reply) {
  std::cout << reply.out << std::flush;
  std::cerr << reply.err << std::flush;
  if (!std::cout) {
    std::cerr << "lockstep: cannot write to standard output\n";
    return reply.exit_status != 0 ? reply.exit_status : kOtherFailure;
  }
  return reply.exit_status;
}

// The first failure counts, and the others are still tried.
void merge(int status, int& into) {
  if (into == 0) into = status;
}

ControlReply unknown_resource(const config::Config& config, const std::string& name) {
  std::vector<std::string_view> known;
  for (const config::Resource& resource : config.resources) known.push_back(resource.name);
  const std::string nearest = config::nearest_word(name, known);
  return {kBadConfiguration, "",
          fmt::format("lockstep: the configuration has no resource {}\n{}", name,
                      nearest.empty() ? "" : fmt::format("  did you mean \"{}\"?\n", nearest))};
}

ControlReply not_a_host(const Arguments& arguments, const config::Resource& resource) {
  std::string hosts;
  for (const config::Host& host : resource.hosts) hosts += fmt::format("{}{}", hosts.empty() ? "" : ", ", host.name);
  return {kBadConfiguration, "",
          fmt::format("lockstep: resource {} has no \"on {}\" (it has {}); --node says who this is\n", resource.name,
                      arguments.node, hosts)};
}

// Of the secrets that this machine uses; those of other nodes are not here.
std::string secret_warnings(const Arguments& arguments, const config::Config& config) {
  std::string out;
  for (const config::Resource& resource : config.resources) {
    const config::Host* host = resource.host(arguments.node);
    if (host != nullptr && (arguments.target.all || arguments.target.resource == resource.name))
      out += config::secret_warnings(resource.name, host->net);
  }
  return out;
}

ControlReply dump_one(const Arguments& arguments, const config::Config& config) {
  if (arguments.target.all) return {0, config::dump(config), ""};
  const config::Resource* resource = config.resource(arguments.target.resource);
  if (!resource) return unknown_resource(config, arguments.target.resource);
  const auto has = [&arguments](const config::Host& host) {
    return std::any_of(host.volumes.begin(), host.volumes.end(),
                       [&arguments](const config::Volume& volume) { return volume.number == *arguments.target.volume; });
  };
  if (arguments.target.volume && std::none_of(resource->hosts.begin(), resource->hosts.end(), has))
    return {kBadConfiguration, "", fmt::format("{}: it has no volume {}\n", resource->name, *arguments.target.volume)};
  return {0, config::dump(*resource), ""};
}

int run_metadata(const Arguments& arguments, const config::Config& config) {
  if (!arguments.target.all && !config.resource(arguments.target.resource)) {
    return print(unknown_resource(config, arguments.target.resource));
  }
  int status = 0;
  for (const config::Resource& resource : config.resources) {
    if (!arguments.target.all && resource.name != arguments.target.resource) continue;
    const config::Host* host = resource.host(arguments.node);
    if (!host && arguments.target.all) continue;  // somebody else's
    merge(print(host ? run_metadata_command(arguments, resource, *host) : not_a_host(arguments, resource)), status);
  }
  return status;
}

int run_here(const Arguments& arguments) {
  const config::Loaded loaded = config::load(arguments.config);
  std::cerr << loaded.warnings();
  if (!loaded.ok()) return print({kBadConfiguration, "", loaded.errors()});
  if (arguments.command->name == "dump") {
    std::cerr << secret_warnings(arguments, loaded.config);
    return print(dump_one(arguments, loaded.config));
  }
  return run_metadata(arguments, loaded.config);
}

ControlRequest request_of(const Arguments& arguments, const std::string& resource) {
  ControlRequest request;
  request.command = std::string(arguments.command->name);
  request.resource = resource;
  request.volume = arguments.target.volume;
  request.peer = arguments.target.peer;
  for (const auto& [name, value] : arguments.options) {
    request.options[name] = value.empty() ? nlohmann::json(true) : nlohmann::json(value);
  }
  if (!arguments.topic.empty()) request.options["topic"] = arguments.topic;
  return request;
}

int ask(const Arguments& arguments, const std::string& resource) {
  if (arguments.command->runs == Runs::waits) return run_wait_command(arguments, resource);
  DaemonCallbacks callbacks;
  callbacks.on_event = [](const std::string& line) { std::cout << line << std::endl; };
  callbacks.on_progress = [](const nlohmann::json&) {};
  const int status = print(ask_daemon(arguments.run_dir, request_of(arguments, resource), callbacks));
  const bool waits = status == 0 && arguments.command->name == "verify" && arguments.flag("wait");
  return waits ? wait_for_verify(arguments, resource) : status;
}

// Names that `all` stands for: what the configuration gives this node, for commands that bring it up; else
// what is up.
std::optional<ControlReply> expand_all(const Arguments& arguments, const config::Config* config,
                                       std::vector<std::string>& names) {
  if (config) {
    for (const config::Resource& resource : config->resources) {
      if (resource.host(arguments.node)) names.push_back(resource.name);
    }
    // The daemon may run under another --node than this command: it knows which ones are its own.
    if (names.empty()) {
      for (const config::Resource& resource : config->resources) names.push_back(resource.name);
    }
    return std::nullopt;
  }
  ControlRequest request;
  request.command = "status";
  request.options["json"] = true;
  ControlReply reply = ask_daemon(arguments.run_dir, request);
  if (reply.exit_status != 0) return reply;
  const nlohmann::json all = nlohmann::json::parse(reply.out, nullptr, false);
  if (!all.is_array()) return ControlReply{kOtherFailure, "", "lockstep: the daemon's status is not understood\n"};
  for (const nlohmann::json& one : all) {
    if (one.is_object() && one.contains("name") && one["name"].is_string()) names.push_back(one["name"]);
  }
  // Nothing to do is done where nothing is wanted; who waits for all, or promotes all, is not told that it is so.
  const std::string_view command = arguments.command->name;
  if (names.empty() && command != "down" && command != "secondary" && command != "disconnect")
    return ControlReply{kOtherFailure, "", "lockstep: no resource is up on this node\n  lockstep up all brings them up.\n"};
  return std::nullopt;
}

int run_in_daemon(const Arguments& arguments) {
  const std::string_view command = arguments.command->name;
  const bool brings_up = command == "up" || command == "adjust";
  std::optional<config::Loaded> loaded;
  // The daemon reads its own configuration; here a broken one is told before anything is asked.
  if (brings_up && (arguments.config_given || ::access(arguments.config.c_str(), R_OK) == 0)) {
    loaded = config::load(arguments.config);
    if (!loaded->ok()) return print({kBadConfiguration, "", loaded->errors()});
    if (!arguments.target.all) {
      const config::Resource* resource = loaded->config.resource(arguments.target.resource);
      if (!resource) return print(unknown_resource(loaded->config, arguments.target.resource));
    }
  }
  if (!arguments.target.all) return ask(arguments, arguments.target.resource);
  if (arguments.command->target == Target::optional) return ask(arguments, "");
  std::vector<std::string> names;
  if (const auto failed = expand_all(arguments, loaded ? &loaded->config : nullptr, names)) return print(*failed);
  int status = 0;
  for (const std::string& name : names) merge(ask(arguments, name), status);
  return status;
}

int run(const std::vector<std::string>& words) {
  auto parsed = parse_arguments(words);
  if (const Instead* instead = std::get_if<Instead>(&parsed)) {
    return print({instead->exit_status, instead->out, instead->err});
  }
  const Arguments& arguments = std::get<Arguments>(parsed);
  return arguments.command->runs == Runs::here ? run_here(arguments) : run_in_daemon(arguments);
}

}  // namespace

}  // namespace lockstep::cli

int main(int argc, char** argv) {
  try {
    return lockstep::cli::run({argv + (argc > 0 ? 1 : 0), argv + argc});
  } catch (const std::exception& error) {  // out of memory, or a library's surprise: still no crash
    std::fprintf(stderr, "lockstep: %s\n", error.what());
    return 20;
  }
}
