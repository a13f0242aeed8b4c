// A changed configuration: what is refused of it, and in which words.
#include "control/config_change.h"

#include <gtest/gtest.h>

#include "tests/unit/config/config_test_support.h"

namespace lockstep {
namespace {

config::Resource resource(const std::string& extra) {
  return config::load_text(config::resource_with(extra)).config.resources.at(0);
}

const std::string kGamma = "witness gamma { address w:1; }";

// As `resource_with` writes it, with a third node.
std::string with_a_third(const std::string& extra) {
  std::string text = config::resource_with(extra);
  return text.insert(text.rfind('}'), "on delta { node-id 2; address 10.0.0.3:7800; volume 0 { disk /dev/d; } } ");
}

config::Resource parsed(const std::string& text) {
  const config::Loaded loaded = config::load_text(text);
  EXPECT_TRUE(loaded.ok()) << loaded.errors();
  return loaded.config.resources.at(0);
}

TEST(ConfigChange, NodesAndWitnessesAreTakenOverWhileItRuns) {
  const std::string id = " options { resource-uuid 01234567-89ab-4def-8123-456789abcdef; }";
  EXPECT_TRUE(only_nodes_differ(resource(kGamma + id), parsed(with_a_third(kGamma + id)), "alpha"));
  EXPECT_TRUE(only_nodes_differ(resource(kGamma), resource("witness other { address w:2; }"), "alpha"));
  EXPECT_FALSE(only_nodes_differ(resource(kGamma), parsed(with_a_third("net { ping-int 3; }")), "alpha"));
}

TEST(ConfigChange, AnIdThatIsWrittenDownWhenNodesChangeIsNoOtherSetting) {
  const config::Resource before = resource(kGamma);
  const ControlReply other = id_unchanged(before, parsed(with_a_third(kGamma)));
  EXPECT_EQ(other.exit_status, 11);
  EXPECT_NE(other.err.find("options { resource-uuid " + before.id.to_string() + "; }"), std::string::npos) << other.err;
  const config::Resource kept = parsed(with_a_third(kGamma + " options { resource-uuid " + before.id.to_string() + "; }"));
  EXPECT_EQ(id_unchanged(before, kept).exit_status, 0);
  EXPECT_TRUE(only_nodes_differ(before, kept, "alpha"));
}

TEST(ConfigChange, OnePlaceIsReplacedAtATime) {
  const std::string delta = "witness delta { address w:3; }";
  const auto two = [&](const std::string& witnesses) { return resource(witnesses); };
  EXPECT_EQ(one_place_at_a_time(two(kGamma), two(delta)).exit_status, 0);
  EXPECT_EQ(one_place_at_a_time(two(kGamma + delta), two(delta)).exit_status, 0);
  const ControlReply swapped = one_place_at_a_time(two(kGamma + delta), two(delta + kGamma));
  EXPECT_EQ(swapped.exit_status, 11);
  EXPECT_NE(swapped.err.find("gamma by delta, delta by gamma"), std::string::npos) << swapped.err;
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

TEST(ConfigChange, PathsBetweenTwoOthersChangeNothingHere) {
  const std::string pairs = "connection { host alpha; host beta; } connection { host alpha; host delta; } ";
  const std::string other = "connection { path { host beta address h:1; host delta address i:1; } }";
  const config::Resource before = parsed(with_a_third(pairs + "connection { host beta; host delta; }"));
  const config::Resource changed = parsed(with_a_third(pairs + other));
  EXPECT_EQ(config::dump(as_seen_by(before, "alpha")), config::dump(as_seen_by(changed, "alpha")));
  EXPECT_NE(config::dump(as_seen_by(before, "beta")), config::dump(as_seen_by(changed, "beta")));
  EXPECT_TRUE(only_nodes_differ(before, changed, "beta")) << "and there it is taken over";
}

// Who follows whom is settled when two nodes meet.
TEST(ConfigChange, AProtocolIsTakenOverByAStartOnly) {
  const std::string id = "options { resource-uuid 01234567-89ab-4def-8123-456789abcdef; } ";
  const auto three = [&id](const std::string& with_beta, const std::string& with_delta, const std::string& others) {
    return parsed(with_a_third(id + "connection { host alpha; host beta; " + with_beta +
                               " } connection { host alpha; host delta; " + with_delta +
                               " } connection { host beta; host delta; " + others + " }"));
  };
  const config::Resource two = resource(id);
  const std::string a = "net { protocol A; }";
  EXPECT_TRUE(only_nodes_differ(two, three("", "", ""), "alpha"));
  EXPECT_FALSE(only_nodes_differ(two, three("", a, ""), "alpha")) << "of a new node";
  EXPECT_FALSE(only_nodes_differ(two, three(a, "", ""), "alpha")) << "of one that was there";
  EXPECT_FALSE(only_nodes_differ(three("", a, ""), three("", "net { protocol B; }", ""), "alpha"));
  EXPECT_TRUE(only_nodes_differ(two, three("", "", a), "alpha")) << "between two others";
  EXPECT_TRUE(only_nodes_differ(three("", a, ""), two, "alpha")) << "of a node that goes";
}

TEST(ConfigChange, APrimaryIsNotRestarted) {
  const config::Resource before = resource("net { ping-int 2; }");
  const config::Resource wanted = resource("");
  const ControlReply reply = restart_refused(before, &wanted);
  EXPECT_EQ(reply.exit_status, 11);
  EXPECT_NE(reply.err.find("Changed: ping-int."), std::string::npos) << reply.err;
  EXPECT_NE(reply.err.find("lockstep secondary r0"), std::string::npos);
  EXPECT_NE(reply.err.find("[needs-restart]"), std::string::npos);
  EXPECT_NE(restart_refused(before, nullptr).err.find("has it no more"), std::string::npos);
}

}  // namespace
}  // namespace lockstep
