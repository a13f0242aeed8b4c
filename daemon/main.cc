// lockstepd: one a node. Brings nothing up by itself; `lockstep up` does.
#include <signal.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>

#include "control/boot.h"
#include "control/config/model.h"
#include "control/control_server.h"
#include "control/node.h"
#include "shell/loop/log.h"
#include "shell/loop/passed_sockets.h"
#include "shell/loop/sd_notify.h"
#include "shell/loop/signals.h"

namespace po = boost::program_options;

namespace {

std::string from_environment(const char* name, const std::string& otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
}

struct Arguments {
  lockstep::NodeOptions node;
  int exit_status = -1;  // -1: go on
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  lockstep::NodeOptions& node = arguments.node;
  std::string engine;
  po::options_description options("Usage: lockstepd [options]");
  options.add_options()("help,h", "this text")("version", "the version")(
      "config,c", po::value(&node.config_path)->default_value(from_environment("LOCKSTEP_CONFIG", "/etc/lockstep/lockstep.conf")),
      "configuration (LOCKSTEP_CONFIG)")("node",
                                         po::value(&node.node)->default_value(from_environment("LOCKSTEP_NODE", host_name())),
                                         "act as this node (LOCKSTEP_NODE)")(
      "run-dir", po::value(&node.run_dir)->default_value(from_environment("LOCKSTEP_RUN_DIR", "/run/lockstep")),
      "holds control.sock (LOCKSTEP_RUN_DIR)")("io-engine", po::value(&engine)->default_value("auto"),
                                               "auto, io_uring or libaio")(
      "shared", po::bool_switch(&node.shared_writers),
      "several NBD clients may write to one export at a time, as with options { shared-writers yes; }");
  po::variables_map given;
  try {
    po::store(po::command_line_parser(argc, argv).options(options).positional({}).run(), given);
    po::notify(given);
  } catch (const po::error& error) {
    std::cerr << "lockstepd: " << error.what() << "\n" << options;
    arguments.exit_status = 1;
    return arguments;
  }
  if (given.count("help") != 0) {
    std::cout << options;
    arguments.exit_status = 0;
  } else if (given.count("version") != 0) {
    std::cout << "lockstepd " LOCKSTEP_VERSION "\n";
    arguments.exit_status = 0;
  } else if (engine == "io_uring") {
    node.engine = lockstep::IoEngine::io_uring;
  } else if (engine == "libaio") {
    node.engine = lockstep::IoEngine::libaio;
  } else if (engine != "auto") {
    std::cerr << "lockstepd: --io-engine is auto, io_uring or libaio, not \"" << engine << "\"\n";
    arguments.exit_status = 1;
  }
  return arguments;
}

int serve(const lockstep::NodeOptions& options) {
  using namespace lockstep;
  prepare_daemon();
  adopt_passed_sockets();
  // A configuration that cannot be read is reported now; resources read it again when they are brought up.
  const config::Loaded loaded = config::load(options.config_path);
  if (!loaded.ok()) {
    std::cerr << loaded.errors();
    return 10;
  }
  if (!loaded.warnings().empty()) std::cerr << loaded.warnings();
  for (const config::Resource& resource : loaded.config.resources) {
    const config::Host* self = resource.host(options.node);
    if (self != nullptr) std::cerr << config::secret_warnings(resource.name, self->net);
  }
  const auto has_this_node = [&options](const config::Resource& resource) { return resource.host(options.node) != nullptr; };
  if (std::none_of(loaded.config.resources.begin(), loaded.config.resources.end(), has_this_node))
    log_format(LogLevel::warning, "", "", "no resource in {} has an \"on {}\"; --node says who this is", options.config_path,
               options.node);
  auto loop = EventLoop::create(options.engine);
  if (!loop) {
    log_format(LogLevel::error, "", "", "no I/O engine can be had: {} ({})", std::strerror(loop.error().os), loop.error().where);
    return 20;
  }
  EventLoop& control = *loop.value();
  std::function<void()> terminate;
  auto signals = SignalWatch::create(control, {SIGTERM, SIGINT, SIGHUP}, [&terminate](int signal) {
    if (signal != SIGHUP) return terminate();
    log_line(LogLevel::notice, "", "SIGHUP: nothing is read again by it; lockstep adjust does that");
  });
  if (!signals) return 20;
  if (const auto prepared = prepare_run_dir(options.run_dir); !prepared.ok()) {
    log_format(LogLevel::error, "", "", "cannot make the run-dir {}: {}; --run-dir names another one", options.run_dir,
               std::strerror(prepared.error().os));
    return 20;
  }
  const auto boot = this_boot(options.run_dir);
  if (!boot) {
    log_format(LogLevel::error, "", "", "cannot keep the boot token in {}: {}; --run-dir names another directory",
               options.run_dir, std::strerror(boot.error().os));
    return 20;
  }
  Node node(control, options, boot.value());
  auto server = ControlServer::create(control, options.run_dir, node);
  if (!server) {
    log_format(LogLevel::error, "", "", "cannot serve {}/control.sock: {}", options.run_dir,
               server.error().os == EADDRINUSE ? "another lockstepd uses this run-dir" : std::strerror(server.error().os));
    return 20;
  }
  bool stopping = false;
  terminate = [&] {
    if (std::exchange(stopping, true)) return;
    static_cast<void>(sd_notify("STOPPING=1").ok());
    node.shut_down([&control] { control.stop(); });
  };
  log_format(LogLevel::notice, "", "", "lockstepd " LOCKSTEP_VERSION ", node {}, I/O engine {}{}", options.node,
             control.engine_name(), control.fallback_reason().empty() ? "" : " (" + control.fallback_reason() + ")");
  if (!sd_notify("READY=1").ok()) log_line(LogLevel::warning, "", "could not tell systemd that this daemon is ready");
  control.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  if (arguments.exit_status >= 0) return arguments.exit_status;
  lockstep::log_to(2, "lockstepd", lockstep::LogLevel::info);
  return serve(arguments.node);
}
