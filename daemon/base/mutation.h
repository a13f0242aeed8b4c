// A place where the simulator's copy of the core can break one rule, to show that its oracle would notice (tests/sim/mutants.h).
// In the programs MUTANT(name) is the constant `false`: nothing of it is in their object code.
#pragma once

#ifndef MUTANT
#define MUTANT(name) false
#endif
