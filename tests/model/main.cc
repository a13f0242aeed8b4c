// lockstep-register-check: visits every state of the tenure register within bounds, and says how many there were.
#include <fmt/format.h>

#include <boost/program_options.hpp>
#include <iostream>

#include "model/register_model.h"

int main(int argc, char** argv) {
  namespace po = boost::program_options;
  using lockstep::model::Bounds;
  Bounds bounds;
  po::options_description description("lockstep-register-check: every order of everything, within bounds");
  auto add = description.add_options();
  add("help", "this text");
  add("two-voters", "two data nodes and no witness: fences can break a tie");
  add("rounds", po::value(&bounds.rounds)->default_value(bounds.rounds), "that each of the two candidates begins");
  add("crashes", po::value(&bounds.crashes)->default_value(bounds.crashes), "of candidates");
  add("wipes", po::value(&bounds.wipes)->default_value(bounds.wipes), "of the witness's storage");
  add("fences", po::value(&bounds.fences)->default_value(bounds.fences), "completed ones, with --two-voters");
  add("forget-found", po::bool_switch(&bounds.forget_found), "leave a rule out: propose whatever the promises showed");
  add("half-unseasoned", po::bool_switch(&bounds.half_unseasoned), "leave a rule out: any half decides with a fence");
  add("old-evidence", po::bool_switch(&bounds.old_evidence), "leave a rule out: evidence of an earlier boot counts");
  add("deaf-voters", po::bool_switch(&bounds.deaf_voters), "leave a rule out: a voter does not notice which boot asks it");
  po::variables_map given;
  try {
    po::store(po::parse_command_line(argc, argv, description), given);
    po::notify(given);
  } catch (const po::error& error) {
    std::cerr << "lockstep-register-check: " << error.what() << "\n";
    return 2;
  }
  if (given.count("help") != 0) {
    std::cout << description;
    return 0;
  }
  bounds.witness = given.count("two-voters") == 0;
  lockstep::model::RegisterModel model(bounds);
  const bool good = model.run();
  for (const std::string& step : model.path()) fmt::print("  {}\n", step);
  fmt::print(
      "{} voters, {} rounds a candidate, {} crashes, {} wipes, {} fences: {} states, {} transitions, {} values, {} states "
      "after a decision: {}\n",
      bounds.witness ? 3 : 2, bounds.rounds, bounds.crashes, bounds.wipes, bounds.fences, model.states(), model.transitions(),
      model.values(), model.decisions(), good ? "no objection" : model.objection());
  return good ? 0 : 1;
}
