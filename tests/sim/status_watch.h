// Looks at the status of every node now and then, as operators do. What is frozen, refused or in the way has to say why (P12).
#pragma once

#include "sim/sim_node.h"

namespace lockstep::sim {

class StatusWatch {
 public:
  explicit StatusWatch(SimContext context) : context_(context) {}
  void add_node(const SimNode* node) { nodes_.push_back(node); }
  void begin();

 private:
  void look(const SimNode& node);
  void count(Reason reason);

  SimContext context_;
  std::vector<const SimNode*> nodes_;
};

}  // namespace lockstep::sim
