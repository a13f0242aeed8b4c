#include "tools/replay/printer.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>

#include "flight/describe.h"

namespace lockstep::replay {

namespace {

// Worth a line of the story: what comes from people, links and the register, and what fails.
bool tells(const Event& event) {
  if (std::holds_alternative<AdminRequest>(event) || std::holds_alternative<FenceDone>(event)) return true;
  if (std::holds_alternative<LinkUp>(event) || std::holds_alternative<LinkDown>(event)) return true;
  if (const auto* disk = std::get_if<DiskDone>(&event)) return disk->status != IoStatus::ok;
  if (const auto* meta = std::get_if<MetaDone>(&event)) return !meta->ok;
  const auto* received = std::get_if<MessageReceived>(&event);
  return received != nullptr && std::holds_alternative<TenureDecided>(received->message);
}

bool tells(const Effect& effect) {
  if (const auto* note = std::get_if<Note>(&effect)) return note->notice != Notice::round_started;
  return std::holds_alternative<RoleChanged>(effect) || std::holds_alternative<AdminReply>(effect) ||
         std::holds_alternative<RunFence>(effect);
}

}  // namespace

std::string Printer::time_of(Instant when) const {
  const int64_t since = (when - about_.begun).ns;
  if (about_.unix_ns == 0) return fmt::format("{:12.6f}", static_cast<double>(since) / 1e9);
  const int64_t unix_ns = about_.unix_ns + since;
  const auto second = static_cast<std::time_t>(unix_ns / 1'000'000'000);
  std::tm parts{};
  ::gmtime_r(&second, &parts);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z", parts, unix_ns % 1'000'000'000 / 1000);
}

void Printer::print(const flight::Player::Step& step) const {
  if (detail_ == Detail::none) return;
  const bool all = detail_ == Detail::trace;
  const std::string when = time_of(step.now);
  if (all || tells(step.event)) fmt::print("{} {:8} {}\n", when, step.number, describe(step.event));
  for (const Effect& effect : step.effects) {
    if (all || tells(effect)) fmt::print("{} {:8}   {}\n", when, step.number, describe(effect));
  }
}

}  // namespace lockstep::replay
