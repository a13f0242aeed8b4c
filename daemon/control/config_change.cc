#include "control/config_change.h"

#include <fmt/format.h>

namespace lockstep {

namespace {

constexpr std::string_view kRefused = "State change failed: (-10) State change was refused";

SeatSet voters_of(const config::Resource& resource) {
  SeatSet seats;
  for (const config::Host& host : resource.hosts) seats.insert(host.seat());
  for (size_t i = 0; i < resource.witnesses.size(); ++i) seats.insert(witness_seat(static_cast<uint8_t>(i)));
  return seats;
}

std::string voter_name(Seat seat, const config::Resource* first, const config::Resource& second) {
  const config::Resource* known = first != nullptr && voters_of(*first).contains(seat) ? first : &second;
  if (voters_of(*known).contains(seat)) return known->name_of(seat) + (seat.is_witness() ? " (witness)" : "");
  return seat.is_witness() ? "a witness that the configuration has no more" : fmt::format("node {}", seat.value);
}

std::string voter_names(SeatSet seats, const config::Resource* first, const config::Resource& second) {
  std::string out;
  for (const Seat seat : seats) out += fmt::format("{}{}", out.empty() ? "" : ", ", voter_name(seat, first, second));
  return out;
}

}  // namespace

ControlReply voters_unchanged(const config::Resource& wanted, const config::Resource* before, const Tenure& tenure) {
  SeatSet had;
  for (const Voter& voter : tenure.voters) had.insert(voter.seat);
  if (had == voters_of(wanted)) return {};
  return {11, "",
          fmt::format("{0}: {1}\n  Its voters are {2}; the configuration names {3}.\n"
                      "  Changing the voters of a resource that has been used is not built yet [not-built].\n"
                      "  Put the configuration back. If the resource's data may be lost: lockstep down {0} and create-md --force {0} on all\n"
                      "  nodes, remove its file in the state directory of each witness, and create it anew.\n",
                      wanted.name, kRefused, voter_names(had, before, wanted), voter_names(voters_of(wanted), nullptr, wanted))};
}

}  // namespace lockstep
