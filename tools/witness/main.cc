// lockstep-witness: a vote without data, for any number of resources. See docs/wire.md and `lockstep-witness
// --help`.
#include <unistd.h>

#include <boost/program_options.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <iostream>

#include "shell/link/patient_listen.h"
#include "shell/loop/log.h"
#include "shell/loop/sd_notify.h"
#include "shell/loop/signals.h"
#include "witness.h"

#ifndef LOCKSTEP_VERSION
#define LOCKSTEP_VERSION "0.1.0"
#endif

namespace lockstep {
namespace {

namespace po = boost::program_options;

constexpr int kUsage = 1;

struct Options {
  std::string listen = ":7799";
  std::string state_dir = "/var/lib/lockstep-witness";
  std::string verifiers;
  TlsFiles tls;
};

// An exit status, or nothing when the program is to run.
std::optional<int> read_options(int argc, char** argv, Options& options) {
  po::options_description known("lockstep-witness: votes for lockstep resources; stays in the foreground.\n\nOptions");
  auto add = known.add_options();
  add("listen", po::value(&options.listen)->value_name("HOST:PORT"), "where to listen (default :7799)");
  add("state-dir", po::value(&options.state_dir)->value_name("DIR"),
      "durable state, one witness a directory (default /var/lib/lockstep-witness)");
  add("verifiers", po::value(&options.verifiers)->value_name("DIR"),
      "serve only the resources whose verifiers lie here as RESOURCE-UUID.pub; without it a verifier is "
      "stored at "
      "first contact");
  add("tls-certificate", po::value(&options.tls.certificate)->value_name("FILE"),
      "this witness's certificate: with it, its key and the nodes' authority it speaks TLS, and nothing else");
  add("tls-key", po::value(&options.tls.key)->value_name("FILE"), "that certificate's key");
  add("tls-ca", po::value(&options.tls.ca)->value_name("FILE"), "who signs the nodes' certificates");
  add("help", "this text");
  add("version", "print the version");
  try {  // the library reports by exception
    po::variables_map given;
    const po::positional_options_description none;
    po::store(po::command_line_parser(argc, argv).options(known).positional(none).run(), given);
    po::notify(given);
    if (given.contains("help")) {
      std::cout << known;
      return 0;
    }
    if (given.contains("version")) {
      std::cout << "lockstep-witness " << LOCKSTEP_VERSION << "\n";
      return 0;
    }
  } catch (const po::error& error) {
    std::cerr << "lockstep-witness: " << error.what() << "\nTry lockstep-witness --help.\n";
    return kUsage;
  }
  return std::nullopt;
}

int complain(const std::string& what, const Error& error) {
  const std::string why = error.os != 0 ? std::strerror(error.os) : "failed";
  log_format(LogLevel::error, "", "", "{}: {}: {}", what, error.where, why);
  return 1;
}

// An exit status, or nothing where all is well.
std::optional<int> load_keys(const TlsFiles& files, WitnessSettings& settings) {
  if (files == TlsFiles{}) return std::nullopt;
  if (files.certificate.empty() || files.key.empty() || files.ca.empty()) {
    std::cerr << "lockstep-witness: --tls-certificate, --tls-key and --tls-ca belong together: give all three\n";
    return kUsage;
  }
  std::string wrong;
  settings.tls = TlsStore::open(
      files, [](const std::string& text) { log_line(LogLevel::notice, "", text); }, wrong);
  if (settings.tls) return std::nullopt;
  log_line(LogLevel::error, "", "TLS: " + wrong);
  return 1;
}

int run(const Options& options) {
  prepare_daemon();
  const auto where = split_host_port(options.listen);
  if (!where) {
    std::cerr << "lockstep-witness: --listen " << options.listen << ": not HOST:PORT\n";
    return kUsage;
  }
  // A directory that isn't there would silently refuse every resource.
  if (!options.verifiers.empty() && ::access(options.verifiers.c_str(), R_OK | X_OK) != 0)
    return complain(options.verifiers, {errno, "read the directory of verifiers"});
  WitnessSettings settings;
  if (auto status = load_keys(options.tls, settings)) return *status;
  auto dir = StateDir::open(options.state_dir);
  if (!dir.ok()) {
    if (dir.error().os != EWOULDBLOCK) return complain(options.state_dir, dir.error());
    log_format(LogLevel::error, "", "", "{}: another witness uses this state directory", options.state_dir);
    return 1;
  }
  auto loop = EventLoop::create(IoEngine::automatic);
  if (!loop.ok()) return complain("event loop", loop.error());
  // SIGHUP (a terminal that goes away) is no reason to take a vote from clusters.
  auto signals = SignalWatch::create(*loop.value(), {SIGTERM, SIGINT, SIGHUP}, [&loop](int signal) {
    if (signal != SIGHUP) loop.value()->stop();
  });
  if (!signals.ok()) return complain("signals", signals.error());

  settings.listen = *where;
  settings.verifiers = options.verifiers;
  Witness witness(*loop.value(), dir.value(), settings);
  const auto started = listen_patiently([&witness] { return witness.start(); });
  if (!started.ok()) return complain(options.listen, started.error());
  log_format(LogLevel::info, "", "", "listening on {}, state in {}", witness.listening_at().to_string(), options.state_dir);
  if (auto told = sd_notify("READY=1"); !told.ok()) complain("systemd", told.error());
  loop.value()->run();
  if (auto told = sd_notify("STOPPING=1"); !told.ok()) complain("systemd", told.error());
  log_line(LogLevel::info, "", "stopped");
  return 0;
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  lockstep::Options options;
  if (const auto status = lockstep::read_options(argc, argv, options)) return *status;
  lockstep::log_to(STDERR_FILENO, "lockstep-witness", lockstep::LogLevel::info);
  return lockstep::run(options);
}
