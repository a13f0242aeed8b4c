// Status, events and refusals as texts: what operators read and scripts parse.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "control/event_feed.h"
#include "control/explain.h"
#include "control/status_json.h"
#include "core/volumes.h"

namespace lockstep {
namespace {

// alpha, its peer beta and the witness gamma; healthy.
ResourceStatus healthy() {
  ResourceStatus status;
  status.name = "r0";
  status.self = {0};
  status.names = {{{0}, "alpha"}, {{1}, "beta"}, {witness_seat(0), "gamma"}};
  status.links = {{{1}, "Connected", {}}};
  Snapshot& snapshot = status.snapshot;
  snapshot.role = Role::primary;
  snapshot.disk = DiskState::up_to_date;
  snapshot.quorum = true;
  snapshot.size_bytes = 400 * 4096;
  snapshot.volumes.push_back({0, 400 * 4096});
  snapshot.votes_needed = 2;
  snapshot.votes_answering = 3;
  snapshot.voters = {{{0}, true, false, {}}, {{1}, true, false, {}}, {witness_seat(0), true, false, {}}};
  PeerSnapshot peer;
  peer.node = {1};
  peer.connected = true;
  peer.role = Role::secondary;
  peer.disk = DiskState::up_to_date;
  peer.replication = ReplicationState::established;
  snapshot.peers = {peer};
  Tenure tenure;
  tenure.number = 7;
  tenure.primary = Holder{{0}, {}, 1};
  tenure.members = {{0}, {1}};
  snapshot.tenure = tenure;
  return status;
}

// beta and gamma have been silent for 12 s, and this node is Secondary.
ResourceStatus lonely() {
  ResourceStatus status = healthy();
  Snapshot& snapshot = status.snapshot;
  snapshot.role = Role::secondary;
  snapshot.quorum = false;
  snapshot.reason = Reason::no_quorum;
  snapshot.votes_answering = 1;
  snapshot.voters[1] = {{1}, false, false, seconds(12)};
  snapshot.voters[2] = {witness_seat(0), false, false, seconds(12)};
  snapshot.peers[0].connected = false;
  snapshot.peers[0].role = Role::unknown;
  snapshot.peers[0].disk = DiskState::unknown;
  snapshot.peers[0].replication = ReplicationState::off;
  snapshot.peers[0].dirty_blocks = 100;
  status.links[0].connection_state = "Connecting";
  return status;
}

ResourceStatus resync() {
  ResourceStatus status = healthy();
  PeerSnapshot& peer = status.snapshot.peers[0];
  peer.replication = ReplicationState::sync_source;
  peer.disk = DiskState::inconsistent;
  peer.dirty_blocks = 100;
  peer.resync_total = 200;
  peer.resync_done = 100;
  peer.resync_running = seconds(2);
  return status;
}

// Volume 3 begins with the second extent.
ResourceStatus of_two_volumes() {
  ResourceStatus status = resync();
  Snapshot& snapshot = status.snapshot;
  snapshot.volumes.push_back({3, 100 * 4096});
  snapshot.size_bytes = span_of(snapshot.volumes);
  snapshot.healed_blocks = 5;
  status.volumes = {{false, 7, 8, {"nbd://a:1/r0/0"}}, {true, 9, 10, {"nbd://a:1/r0/3"}}};
  PeerSnapshot& peer = snapshot.peers[0];
  for (const uint64_t blocks : {75, 25}) peer.dirty_of.push_back(blocks);
  peer.verify.differing = 2;
  for (const uint64_t blocks : {0, 2}) peer.verify.differing_of.push_back(blocks);
  peer.verify.extents = {{kExtentBytes, 100 * 4096}};
  return status;
}

TEST(Status, SeveralVolumesAreToldApart) {
  const ResourceStatus status = of_two_volumes();
  const auto json = status_json(status);
  ASSERT_EQ(json["devices"].size(), 2u);
  EXPECT_EQ(json["devices"][0]["volume"], 0);
  EXPECT_EQ(json["devices"][0]["size"], 1600);
  EXPECT_EQ(json["devices"][0]["open"], false);
  EXPECT_EQ(json["devices"][0]["healed"], 20) << "counted for the resource: with the lowest";
  EXPECT_EQ(json["devices"][1]["volume"], 3);
  EXPECT_EQ(json["devices"][1]["size"], 400);
  EXPECT_EQ(json["devices"][1]["open"], true);
  EXPECT_EQ(json["devices"][1]["written"], 10);
  EXPECT_EQ(json["devices"][1]["nbd"][0], "nbd://a:1/r0/3");
  EXPECT_EQ(json["devices"][1]["healed"], 0);
  const auto& peers = json["connections"][0]["peer_devices"];
  ASSERT_EQ(peers.size(), 2u);
  EXPECT_EQ(peers[0]["out-of-sync"], 300);
  EXPECT_EQ(peers[0]["verify"]["differing"], 0);
  EXPECT_FALSE(peers[0]["verify"].contains("extents"));
  EXPECT_EQ(peers[1]["volume"], 3);
  EXPECT_EQ(peers[1]["out-of-sync"], 108);
  EXPECT_EQ(peers[1]["verify"]["differing"], 8);
  EXPECT_EQ(peers[1]["verify"]["extents"][0]["offset"], 0);
  const std::string text = status_text({status});
  EXPECT_NE(
      text.find("  volume:0 disk:UpToDate\n    nbd:nbd://a:1/r0/0\n  volume:3 disk:UpToDate open:yes\n    nbd:nbd://a:1/r0/3\n"),
      std::string::npos)
      << text;
  EXPECT_NE(explain_text(status, ExplainTopic::resync).find("r0/3: 0 to 409599"), std::string::npos);
  EventFeed feed(false);
  size_t devices = 0;
  for (const std::string& line : feed.update({status})) {
    if (line.find("device name:r0") != std::string::npos) ++devices;
  }
  EXPECT_EQ(devices, 4u) << "two of this node, two of its peer";
}

TEST(Status, ARangeIsDividedWhereVolumesMeet) {
  const Snapshot& snapshot = of_two_volumes().snapshot;
  const std::vector<VolumeRange> places = places_of(snapshot, {{0, 2 * kExtentBytes}, {500 * 4096, 4096}});
  ASSERT_EQ(places.size(), 2u) << "nothing of what lies between";
  EXPECT_EQ(places[0].range, (Range{0, 400 * 4096}));
  EXPECT_EQ(places[1].volume, 3);
  EXPECT_EQ(places[1].range, (Range{0, 100 * 4096}));
}

TEST(StatusText, LooksLikeDrbdadms) {
  EXPECT_EQ(status_text({healthy()}),
            "r0 role:Primary\n  disk:UpToDate\n  beta role:Secondary\n    peer-disk:UpToDate\n"
            "  gamma witness answers:yes\n\n");
  EXPECT_EQ(status_text({lonely()}),
            "r0 role:Secondary reason:no-quorum\n  disk:UpToDate quorum:no\n  beta connection:Connecting\n"
            "  gamma witness answers:no\n\n");
  EXPECT_NE(status_text({resync()}).find("    replication:SyncSource peer-disk:Inconsistent done:50.00\n"), std::string::npos);
}

TEST(StatusText, SaysWhoRefusesWhomAndWhy) {
  ResourceStatus status = lonely();
  status.refusals = {{Seat{1}, "beta is StandAlone"}, {witness_seat(0), "gamma refused: storage failed"}};
  EXPECT_EQ(status_text({status}),
            "r0 role:Secondary reason:no-quorum\n  disk:UpToDate quorum:no\n  beta connection:Connecting\n"
            "    beta is StandAlone\n  gamma witness answers:no\n    gamma refused: storage failed\n\n");
  EXPECT_NE(votes_text(status).find("(gamma refused: storage failed)"), std::string::npos);
  const auto r0 = nlohmann::json::parse(status_json_text({status}))[0];
  EXPECT_EQ(r0["connections"][0]["refusal"], "beta is StandAlone");
}

TEST(StatusText, OneLineCommands) {
  EXPECT_EQ(role_text(healthy()), "Primary\n");
  EXPECT_EQ(cstate_text(lonely()), "Connecting\n");
  EXPECT_EQ(dstate_text(lonely()), "UpToDate/DUnknown\n");
  EXPECT_EQ(dstate_text(lonely(), "beta"), "UpToDate/DUnknown\n");
}

TEST(StatusJson, KeepsDrbdsKeysAndAddsOurs) {
  const auto all = nlohmann::json::parse(status_json_text({healthy()}));
  ASSERT_TRUE(all.is_array());
  const auto& r0 = all[0];
  EXPECT_EQ(r0["name"], "r0");
  EXPECT_EQ(r0["node-id"], 0);
  EXPECT_EQ(r0["role"], "Primary");
  EXPECT_EQ(r0["suspended"], false);
  EXPECT_EQ(r0["tenure"], 7);
  EXPECT_TRUE(r0["reason"].is_null());
  EXPECT_EQ(r0["devices"][0]["disk-state"], "UpToDate");
  EXPECT_EQ(r0["devices"][0]["quorum"], true);
  EXPECT_EQ(r0["connections"].size(), 1u);
  const auto& beta = r0["connections"][0];
  EXPECT_EQ(beta["name"], "beta");
  EXPECT_EQ(beta["connection-state"], "Connected");
  EXPECT_EQ(beta["peer-role"], "Secondary");
  EXPECT_EQ(beta["peer_devices"][0]["replication-state"], "Established");
  EXPECT_EQ(beta["peer_devices"][0]["out-of-sync"], 0);
  EXPECT_EQ(beta["peer_devices"][0]["percent-in-sync"], 100.0);
  EXPECT_EQ(r0["voters"][2], (nlohmann::json{{"name", "gamma"},
                                             {"kind", "witness"},
                                             {"answers", true},
                                             {"empty-seat", false},
                                             {"refusal", nullptr},
                                             {"silent-for", 0}}));
  EXPECT_EQ(status_json_text({}), "[]\n");
}

TEST(StatusJson, ResyncAndFreeze) {
  ResourceStatus status = resync();
  status.snapshot.suspended = true;
  status.snapshot.reason = Reason::lease_lost;
  const auto r0 = nlohmann::json::parse(status_json_text({status}))[0];
  EXPECT_EQ(r0["suspended"], true);
  EXPECT_EQ(r0["suspended-quorum"], true);
  EXPECT_EQ(r0["reason"], "lease-lost");
  const auto& device = r0["connections"][0]["peer_devices"][0];
  EXPECT_EQ(device["out-of-sync"], 400);
  EXPECT_EQ(device["percent-in-sync"], 75.0);
  EXPECT_EQ(device["done"], 50.0);
  EXPECT_EQ(device["rate"], 200);
  EXPECT_EQ(device["eta"], 2);
}

TEST(StatusJson, AHundredPercentMeansNothingIsLeft) {
  EXPECT_EQ(percent_in_sync(1, uint64_t{1} << 50), 99.99);
  EXPECT_EQ(percent_in_sync(5, 4096), 0.0);
}

TEST(Refusal, SpeaksDrbdsWordsFirst) {
  const ControlReply reply = refusal(lonely(), Reason::no_quorum);
  EXPECT_EQ(reply.exit_status, 11);
  EXPECT_EQ(reply.err,
            "r0: State change failed: (-25) No quorum\n"
            "  1 of 3 voters answers (alpha); 2 are needed. beta: no connection for 12 s; gamma (witness): "
            "no answer for "
            "12 s.\n"
            "  Bring one of them back. A fence of beta cannot stand in for gamma (lockstep explain r0 "
            "promote says why).\n"
            "  Accepting a new history that may lack acknowledged writes: lockstep primary --force r0\n");
  EXPECT_EQ(refusal(healthy(), Reason::no_current_copy).exit_status, 17);
  EXPECT_EQ(refusal(healthy(), Reason::disk_failed).exit_status, 16);
}

TEST(Explain, NamesTheRuleAndWhatWouldChangeIt) {
  const std::string promote = explain_text(lonely(), ExplainTopic::promote);
  EXPECT_NE(promote.find("[no-quorum]"), std::string::npos);
  EXPECT_NE(promote.find("What would change the answer: "), std::string::npos);
  EXPECT_NE(promote.find("a fence is no vote"), std::string::npos);
  EXPECT_NE(explain_text(resync(), ExplainTopic::resync).find("beta: SyncSource, 50.00% done"), std::string::npos);
  EXPECT_FALSE(parse_topic("nonsense").has_value());
}

TEST(Explain, TellsWhatAFenceBrought) {
  ResourceStatus status = lonely();
  FenceSnapshot& fence = status.snapshot.peers[0].fence;
  EXPECT_EQ(status_text({status}).find("fence:"), std::string::npos);
  fence.last_exit_status = 5;
  EXPECT_NE(explain_text(status, ExplainTopic::promote)
                .find("Fence of beta: the handler ended with 5, which is no completed fence (7)."),
            std::string::npos);
  EXPECT_NE(status_text({status}).find("beta connection:Connecting fence:exit-5"), std::string::npos);
  fence.running = true;
  EXPECT_NE(explain_text(status, ExplainTopic::promote).find("Fence of beta: its handler runs."), std::string::npos);
  fence = {false, true, 7};
  EXPECT_NE(explain_text(status, ExplainTopic::promote).find("Fence of beta: completed"), std::string::npos);
  status.snapshot.voters.pop_back();
  EXPECT_NE(explain_text(status, ExplainTopic::promote).find("no fence lets it decide alone"), std::string::npos);
  status.snapshot.seasoned = true;
  EXPECT_EQ(explain_text(status, ExplainTopic::promote).find("no fence lets it decide alone"), std::string::npos);
}

TEST(Explain, DoesNotCallACopyGoodWhosePrimaryCannotBeHeard) {
  ResourceStatus status = healthy();
  status.snapshot.role = Role::secondary;
  status.snapshot.tenure->primary = Holder{{1}, {}, 1};
  EXPECT_NE(explain_text(status, ExplainTopic::promote).find("Nothing known here forbids"), std::string::npos);
  status.snapshot.peers[0].connected = false;
  EXPECT_NE(explain_text(status, ExplainTopic::promote).find("beta was Primary and cannot be heard"), std::string::npos);
}

TEST(Explain, ANewWitnessHasNoMemoryToDiffer) {
  ResourceStatus status = lonely();
  status.snapshot.tenure.reset();
  status.snapshot.reason = Reason::never_used;
  status.snapshot.voters[2] = {witness_seat(0), true, true, {}};
  const std::string promote = explain_text(status, ExplainTopic::promote);
  EXPECT_EQ(promote.find("memory"), std::string::npos) << promote;
  EXPECT_NE(promote.find("gamma (witness) answers and gets its vote when the resource is first used"), std::string::npos)
      << promote;
}

TEST(Explain, TwoVotersAreToldOnlyWaysThatExist) {
  ResourceStatus status = lonely();
  status.snapshot.voters.pop_back();
  EXPECT_NE(explain_text(status, ExplainTopic::promote).find("lockstep primary --force r0"), std::string::npos);
  status.snapshot.role = Role::primary;
  status.snapshot.suspended = true;
  status.snapshot.reason = Reason::lease_lost;
  const std::string io = explain_text(status, ExplainTopic::io);
  EXPECT_NE(io.find("Bring a missing voter back."), std::string::npos) << io;
  EXPECT_NE(io.find("fence-peer handler"), std::string::npos) << io;
}

TEST(Refusal, AFenceBreaksOnlyATieOfTwo) {
  ResourceStatus status = lonely();
  status.snapshot.voters.pop_back();
  EXPECT_NE(
      refusal(status, Reason::no_quorum).err.find("With two voters, one of them and a completed fence of the other decide."),
      std::string::npos);
  status.snapshot.voters.push_back({witness_seat(0), false, false, seconds(12)});
  status.snapshot.voters.push_back({witness_seat(1), false, false, seconds(12)});
  EXPECT_NE(refusal(status, Reason::no_quorum).err.find("A fence breaks no tie between 4 voters yet"), std::string::npos);
}

TEST(ShowGi, NamesEverything) {
  const std::string text = show_gi_text(healthy());
  EXPECT_NE(text.find("  tenure         7\n  primary        alpha\n  current-set    alpha, beta\n"), std::string::npos) << text;
}

TEST(Events, ExistsThenChanges) {
  EventFeed feed(false);
  const auto first = feed.update({healthy()});
  EXPECT_EQ(first.front(), "exists resource name:r0 role:Primary suspended:no tenure:7 reason:none");
  EXPECT_EQ(first.back(), "exists -");
  EXPECT_TRUE(feed.update({healthy()}).empty());
  const auto second = feed.update({resync()});
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0],
            "change peer-device name:r0 peer-node-id:1 conn-name:beta volume:0 replication:SyncSource "
            "peer-disk:Inconsistent");
  EXPECT_EQ(feed.update({}).front(), "destroy resource name:r0");
}

TEST(Protocol, RequestsAreCheckedAndSurviveARoundTrip) {
  ControlRequest request;
  request.command = "primary";
  request.resource = "r0";
  request.volume = 3;
  request.peer = "beta";
  request.options["force"] = true;
  const auto parsed = parse_request(format_request(request));
  ASSERT_TRUE(std::holds_alternative<ControlRequest>(parsed));
  const auto& back = std::get<ControlRequest>(parsed);
  EXPECT_EQ(back.volume, 3);
  EXPECT_EQ(back.peer, "beta");
  EXPECT_TRUE(back.flag("force"));
  for (const char* wrong : {"", "x", "[]", "{}", R"({"command":1})", R"({"command":"a","resource":1})",
                            R"({"command":"a","volume":-1})", R"({"command":"a","options":[]})"}) {
    EXPECT_TRUE(std::holds_alternative<std::string>(parse_request(wrong))) << wrong;
  }
  EXPECT_EQ(std::get<ControlReply>(parse_line(format_reply({11, "o", "\xff"}))).exit_status, 11);
}

TEST(Status, ShowsAVoterWithoutAVote) {
  ResourceStatus status = healthy();
  status.snapshot.without_seat = {status.snapshot.voters[2]};
  status.snapshot.without_seat[0].answers = false;
  status.snapshot.voters.pop_back();
  EXPECT_NE(status_text({status}).find("  gamma witness votes:no answers:no\n"), std::string::npos) << status_text({status});
  const std::string silent = explain_text(status, ExplainTopic::promote);
  EXPECT_NE(silent.find("gamma (witness) has no vote, and does not answer."), std::string::npos) << silent;
  status.snapshot.without_seat[0].answers = true;
  const std::string unknown = explain_text(status, ExplainTopic::promote);
  EXPECT_NE(unknown.find("gamma (witness) has no vote yet:"), std::string::npos) << unknown;
  EXPECT_EQ(status_json(status)["voters-without-seat"][0]["name"], "gamma");
}

}  // namespace
}  // namespace lockstep
