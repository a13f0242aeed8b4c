#include "shell/flight/flight_recorder.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "shell/flight/flight_archive.h"
#include "shell/loop/log.h"

namespace lockstep {

namespace {

flight::About about(const ResourceSettings& settings, const flight::Beginning& beginning) {
  flight::About about;
  about.version = "lockstepd " LOCKSTEP_VERSION;
  about.resource = settings.name;
  about.node = settings.node;
  about.unix_ns =
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  about.begun = beginning.begun;
  for (const PeerSettings& peer : settings.links.peers) about.names.emplace_back(peer.seat, peer.name);
  return about;
}

void warn(const ResourceSettings& settings, const Error& error, const std::string& path) {
  log_format(LogLevel::warning, settings.name, "", "no flight recorder: cannot {} {}: {}; the resource does not need it",
             error.where, path, std::strerror(error.os));
}

}  // namespace

std::unique_ptr<FlightRecorder> FlightRecorder::open(const ResourceSettings& settings, const flight::Beginning& beginning) {
  if (settings.flight_directory.empty()) return nullptr;
  // Half for this run, half for those before.
  const uint64_t half = settings.flight_bytes / 2;
  const std::string name = settings.name + "-" + settings.node + ".flight";
  if (const auto ready = put_away_recordings(settings.flight_directory, name, half); !ready.ok()) {
    warn(settings, ready.error(), settings.flight_directory);
    return nullptr;
  }
  const std::string path = settings.flight_directory + "/" + name;
  auto file = FlightFile::create(path, half);
  if (!file) {
    warn(settings, file.error(), path);
    return nullptr;
  }
  std::unique_ptr<FlightRecorder> made(
      new FlightRecorder(settings.name, path, std::move(file).value(), about(settings, beginning), beginning));
  if (!made->recorder_.ok()) {
    warn(settings, Error{ENOSPC, "reserve room in"}, path);
    return nullptr;
  }
  log_format(LogLevel::info, settings.name, "", "flight recorder: {}", path);
  return made;
}

FlightRecorder::FlightRecorder(std::string resource, std::string path, std::unique_ptr<FlightFile> file,
                               const flight::About& about, const flight::Beginning& beginning)
    : resource_(std::move(resource)), path_(std::move(path)), file_(std::move(file)), recorder_(*file_, about, beginning) {}

void FlightRecorder::after(Instant now, const Replica& replica, const Effects& effects) {
  if (!file_->lost()) return recorder_.after(now, replica, effects);
  if (std::exchange(told_loss_, true)) return;
  log_line(LogLevel::warning, resource_,
           "the flight recorder's file was cut short or its disk failed: it stops; the resource goes on");
}

void FlightRecorder::closed(Instant now, const Replica& replica) {
  if (!file_->lost()) recorder_.closed(now, replica);
}

void FlightRecorder::discard() {
  if (::unlink(path_.c_str()) != 0 && errno != ENOENT)
    log_format(LogLevel::warning, resource_, "", "cannot remove {}: {}", path_, std::strerror(errno));
}

}  // namespace lockstep
