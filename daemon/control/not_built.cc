#include "control/not_built.h"

#include <fmt/format.h>

#include <array>

namespace lockstep {

namespace {

struct Row {
  std::string_view command;
  std::string_view instead;  // {0}: the resource
};

constexpr auto kInstead = std::to_array<Row>({
    {"attach", "lockstep down {0} and lockstep up {0} attach the disk anew."},
    {"detach", "lockstep down {0} releases the disk."},
    {"outdate", "Nothing has to be marked: a copy that may lack an acknowledged write is never promoted."},
});

}  // namespace

ControlReply not_built_yet(const std::string& resource, std::string_view command) {
  std::string err = fmt::format("{}: {} is not built yet [not-built]\n", resource, command);
  for (const Row& row : kInstead) {
    if (row.command == command) err += fmt::format("  {}\n", fmt::format(fmt::runtime(row.instead), resource));
  }
  return {20, "", err};
}

}  // namespace lockstep
