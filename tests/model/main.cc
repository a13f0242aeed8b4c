// lockstep-register-check: visits every state of the tenure register within bounds, and says how many there were.
#include <fmt/format.h>

#include <boost/program_options.hpp>
#include <iostream>

#include "model/register_model.h"
#include "tools/command_line.h"

namespace po = boost::program_options;

namespace lockstep::model {
namespace {

// Far beyond what ends in a lifetime. The model keeps such counts in bytes, and its stack is as deep as the longest story.
constexpr int kMost = 16;

po::options_description describe_options(Bounds& bounds) {
  const auto count = [](const char* option, int& into, int least = 0) {
    return number(option, into, least, kMost)->default_value(std::to_string(into));
  };
  po::options_description description("lockstep-register-check: every order of everything, within bounds");
  auto add = description.add_options();
  add("help", "this text");
  add("two-voters", "two data nodes and no witness: fences can break a tie");
  add("rounds", count("rounds", bounds.rounds, 1), "that each of the two candidates begins; one more takes very much longer");
  add("crashes", count("crashes", bounds.crashes), "of candidates");
  add("wipes", count("wipes", bounds.wipes), "of the witness's storage");
  add("fences", count("fences", bounds.fences), "completed ones; they decide only with --two-voters");
  add("forget-found", po::bool_switch(&bounds.forget_found), "leave a rule out: propose whatever the promises showed");
  add("half-unseasoned", po::bool_switch(&bounds.half_unseasoned), "leave a rule out: any half decides with a fence");
  add("old-evidence", po::bool_switch(&bounds.old_evidence), "leave a rule out: evidence of an earlier boot counts");
  add("deaf-voters", po::bool_switch(&bounds.deaf_voters), "leave a rule out: a voter does not notice which boot asks it");
  return description;
}

// There is no storage of a witness to wipe where there is no witness.
void check_voters(const po::variables_map& given, Bounds& bounds) {
  bounds.witness = given.count("two-voters") == 0;
  if (bounds.witness) return;
  if (asked_for(given, "wipes") && bounds.wipes > 0)
    throw po::error("--wipes are of the witness's storage, and --two-voters has no witness: leave one of them out");
  bounds.wipes = 0;
}

int run(const Bounds& bounds) {
  RegisterModel model(bounds);
  const bool good = model.run();
  for (const std::string& step : model.path()) fmt::print("  {}\n", step);
  fmt::print(
      "{} voters, {} rounds a candidate, {} crashes, {} wipes, {} fences: {} states, {} transitions, {} values, {} states "
      "after a decision: {}\n",
      bounds.witness ? 3 : 2, bounds.rounds, bounds.crashes, bounds.wipes, bounds.fences, model.states(), model.transitions(),
      model.values(), model.decisions(), good ? "no objection" : model.objection());
  return good ? 0 : 1;
}

}  // namespace
}  // namespace lockstep::model

int main(int argc, char** argv) {
  lockstep::model::Bounds bounds;
  const po::options_description description = lockstep::model::describe_options(bounds);
  try {
    const po::variables_map given = lockstep::read_command_line(argc, argv, description);
    if (given.count("help") != 0) {
      std::cout << description;
      return 0;
    }
    lockstep::model::check_voters(given, bounds);
  } catch (const po::error& error) {
    std::cerr << "lockstep-register-check: " << error.what() << "; see lockstep-register-check --help\n";
    return 2;
  }
  return lockstep::model::run(bounds);
}
