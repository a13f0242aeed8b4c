// A changed configuration: what is refused of it, and in which words.
#include "control/config_change.h"

#include <gtest/gtest.h>

#include "tests/unit/config/config_test_support.h"

namespace lockstep {
namespace {

config::Resource resource(const std::string& extra) {
  return config::load_text(config::resource_with(extra)).config.resources.at(0);
}

Tenure tenure_of(std::initializer_list<Seat> seats) {
  Tenure tenure;
  for (const Seat seat : seats) tenure.voters.push_back({seat, {}});
  return tenure;
}

const Seat kAlpha{0};
const Seat kBeta{1};
const std::string kGamma = "witness gamma { address w:1; }";

TEST(ConfigChange, TheSameVotersAreNoMatter) {
  EXPECT_EQ(voters_unchanged(resource(kGamma), nullptr, tenure_of({kAlpha, kBeta, witness_seat(0)})).exit_status, 0);
  EXPECT_EQ(voters_unchanged(resource("witness other { address w:2; }"), nullptr, tenure_of({kAlpha, kBeta, witness_seat(0)}))
                .exit_status,
            0);
}

TEST(ConfigChange, WitnessesMayJoinAndLeave) {
  EXPECT_EQ(voters_unchanged(resource(kGamma), nullptr, tenure_of({kAlpha, kBeta})).exit_status, 0);
  EXPECT_EQ(voters_unchanged(resource(""), nullptr, tenure_of({kAlpha, kBeta, witness_seat(0)})).exit_status, 0);
}

TEST(ConfigChange, AForcedHistoryLacksTheSeatsOfNodesThatWereAway) {
  Tenure forced = tenure_of({kAlpha});
  EXPECT_EQ(voters_unchanged(resource(kGamma), nullptr, forced).exit_status, 11);
  forced.parent = Uuid::from_words(1, 2);
  EXPECT_EQ(voters_unchanged(resource(kGamma), nullptr, forced).exit_status, 0);
}

TEST(ConfigChange, AnotherDataNodeIsRefused) {
  const config::Resource before = resource(kGamma);
  const ControlReply reply = voters_unchanged(before, &before, tenure_of({kAlpha, Seat{2}, witness_seat(0)}));
  EXPECT_EQ(reply.exit_status, 11);
  EXPECT_EQ(reply.err.find("r0: State change failed: (-10) State change was refused\n"), 0u);
  EXPECT_NE(
      reply.err.find("Its voters are alpha, node 2, gamma (witness); the configuration names alpha, beta, gamma (witness).\n"),
      std::string::npos)
      << reply.err;
  EXPECT_NE(reply.err.find("Put the configuration back."), std::string::npos);
}

TEST(ConfigChange, WordsNameWhatDiffersAndNeverASecret) {
  EXPECT_EQ(changed_words(resource("net { ping-int 2; }"), resource("net { ping-int 2; }")), "");
  EXPECT_EQ(changed_words(resource("net { ping-int 2; }"), resource("net { ping-int 3; shared-secret hush; }")),
            "ping-int, shared-secret");
  EXPECT_EQ(changed_words(resource(""), resource(kGamma)), "address, witness gamma");
}

TEST(ConfigChange, WhatConcernsTheOtherNodeOnlyChangesNothingHere) {
  std::string other = config::resource_with("");
  other.insert(other.find("node-id 1;"), "nbd :9; volume 0 { disk /dev/e; } options { lease-time 40; } ");
  const config::Loaded loaded = config::load_text(other);
  ASSERT_TRUE(loaded.ok()) << loaded.errors();
  const config::Resource changed = loaded.config.resources.at(0);
  EXPECT_EQ(changed_words(as_seen_by(resource(""), "alpha"), as_seen_by(changed, "alpha")), "");
  EXPECT_EQ(changed_words(as_seen_by(resource(""), "beta"), as_seen_by(changed, "beta")), "disk, lease-time, nbd");
}

TEST(ConfigChange, APrimaryIsNotRestarted) {
  const config::Resource before = resource("net { ping-int 2; }");
  const config::Resource wanted = resource("");
  const ControlReply reply = restart_refused(before, &wanted);
  EXPECT_EQ(reply.exit_status, 11);
  EXPECT_NE(reply.err.find("Changed: ping-int."), std::string::npos) << reply.err;
  EXPECT_NE(reply.err.find("lockstep secondary r0"), std::string::npos);
  EXPECT_NE(restart_refused(before, nullptr).err.find("has it no more"), std::string::npos);
}

}  // namespace
}  // namespace lockstep
