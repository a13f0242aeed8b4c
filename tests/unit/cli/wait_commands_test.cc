#include "tools/cli/wait_commands.h"

#include <gtest/gtest.h>

namespace lockstep::cli {
namespace {

using nlohmann::json;

// One resource of `status --json`, with two nodes and nothing left to do.
json in_sync() {
  return {{"name", "r0"},
          {"devices", {{{"disk-state", "UpToDate"}}}},
          {"connections",
           {{{"name", "beta"},
             {"connection-state", "Connected"},
             {"peer_devices", {{{"peer-disk-state", "UpToDate"}, {"out-of-sync", 0}, {"percent-in-sync", 100.0}}}}}}}};
}

json& peer_device(json& resource) { return resource["connections"][0]["peer_devices"][0]; }

json resyncing(double percent, int64_t kib_per_second, const json& seconds_left) {
  json resource = in_sync();
  peer_device(resource).update({{"peer-disk-state", "Inconsistent"},
                                {"out-of-sync", 4096},
                                {"percent-in-sync", percent},
                                {"percent-resync-done", 50.0},
                                {"rate", kib_per_second},
                                {"eta", seconds_left}});
  return resource;
}

TEST(ProgressLine, HasPercentRateAndTimeLeft) {
  EXPECT_EQ(progress_line(resyncing(39.44, 118 * 1024, 12)), "r0: 39.4% in sync, 118.0 MiB/s, 0:12 left");
  EXPECT_EQ(progress_line(resyncing(99.5, 512, 0)), "r0: 99.5% in sync, 0.5 MiB/s, 0:00 left");
  EXPECT_EQ(progress_line(resyncing(0, 1024, 60)), "r0: 0.0% in sync, 1.0 MiB/s, 1:00 left");
  EXPECT_EQ(progress_line(resyncing(0, 1024, 7509)), "r0: 0.0% in sync, 1.0 MiB/s, 125:09 left");
}

TEST(ProgressLine, RoundsDown) { EXPECT_EQ(progress_line(resyncing(99.99, 1024, 0)), "r0: 99.9% in sync, 1.0 MiB/s, 0:00 left"); }

TEST(ProgressLine, LeavesOutATimeThatNobodyKnows) {
  EXPECT_EQ(progress_line(resyncing(1, 0, nullptr)), "r0: 1.0% in sync, 0.0 MiB/s");
}

TEST(ProgressLine, NamesThePeerThatIsNotConnected) {
  json resource = resyncing(50, 1024, 9);
  resource["connections"][0]["connection-state"] = "Connecting";
  EXPECT_EQ(progress_line(resource), "r0: beta Connecting");
}

TEST(ProgressLine, WaitsWhereNothingIsUnderWay) {
  EXPECT_EQ(progress_line(in_sync()), "r0: waiting");
  EXPECT_EQ(progress_line({{"name", "r0"}}), "r0: waiting");
}

TEST(AllInSync, WantsEveryDiskUpToDateAndNothingOutOfSync) {
  EXPECT_TRUE(all_in_sync(in_sync()));
  const auto spoilt = [](auto spoil) {
    json resource = in_sync();
    spoil(resource);
    return all_in_sync(resource);
  };
  EXPECT_FALSE(spoilt([](json& r) { r["devices"][0]["disk-state"] = "Outdated"; }));
  EXPECT_FALSE(spoilt([](json& r) { r["connections"][0]["connection-state"] = "Connecting"; }));
  EXPECT_FALSE(spoilt([](json& r) { peer_device(r)["peer-disk-state"] = "Inconsistent"; }));
  EXPECT_FALSE(spoilt([](json& r) { peer_device(r)["out-of-sync"] = 4; }));
  EXPECT_FALSE(spoilt([](json& r) { peer_device(r).erase("out-of-sync"); }));  // not known is not zero
}

TEST(AllInSync, AFollowerIsConsistentAndNothingMore) {
  json resource = in_sync();
  peer_device(resource)["peer-disk-state"] = "Consistent";
  EXPECT_FALSE(all_in_sync(resource));
  peer_device(resource)["follower"] = "peer";
  EXPECT_TRUE(all_in_sync(resource));
  peer_device(resource)["follower"] = "here";
  EXPECT_FALSE(all_in_sync(resource));
  peer_device(resource)["peer-disk-state"] = "UpToDate";
  EXPECT_FALSE(all_in_sync(resource));
  resource["devices"][0]["disk-state"] = "Consistent";
  EXPECT_TRUE(all_in_sync(resource));
  // Of another follower it knows nothing: only that both are connected.
  json other = resource["connections"][0];
  other["peer_devices"][0].erase("follower");
  other["peer_devices"][0]["peer-disk-state"] = "Outdated";
  other["peer_devices"][0]["out-of-sync"] = 4096;
  resource["connections"].push_back(other);
  EXPECT_TRUE(all_in_sync(resource));
  resource["connections"][1]["connection-state"] = "Connecting";
  EXPECT_FALSE(all_in_sync(resource));
}

TEST(AllConnected, DoesNotLookAtDisks) {
  EXPECT_TRUE(all_connected(resyncing(1, 1, 1)));
  json resource = in_sync();
  resource["connections"][0]["connection-state"] = "StandAlone";
  EXPECT_FALSE(all_connected(resource));
  EXPECT_FALSE(all_connected(nullptr));
}

}  // namespace
}  // namespace lockstep::cli
