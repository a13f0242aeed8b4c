// What a right configuration comes to.
#include <gtest/gtest.h>

#include "tests/unit/config/config_test_support.h"

namespace lockstep::config {
namespace {

constexpr const char* kContract = R"(
global { metrics 127.0.0.1:9946; }                        # optional; also allowed in `on HOST`
common { net { ping-int 1; } }
resource r0 {
  options  { quorum majority; on-no-quorum suspend-io; auto-promote no; lease-time 30; }   # lease-time in 0.1 s
  net      { protocol C; verify-alg xxh3; shared-secret-file /etc/lockstep/r0.key; fencing resource-and-stonith; }
  disk     { c-max-rate 0; on-io-error detach; }
  handlers { fence-peer "/usr/lib/lockstep/fence-peer-pacemaker"; fence-timeout 60; }
  volume 0 { disk /dev/vg0/r0; meta-disk internal; }      # meta-disk FILE for external
  on alpha { node-id 0; address 10.1.1.31:7800; nbd unix:/run/lockstep/r0.sock; nbd 127.0.0.1:10809; }
  on beta  { node-id 1; address 10.1.1.32:7800; volume 0 { disk /dev/sdb1; } }
  witness gamma { address 10.1.1.33:7799; }               # several are allowed
  connection-mesh { hosts alpha beta; }                   # implied when left out
}
)";

TEST(Load, TheContractsExample) {
  const Loaded loaded = load_text(kContract);
  ASSERT_TRUE(loaded.ok()) << loaded.errors();
  const Resource* r0 = loaded.config.resource("r0");
  ASSERT_NE(r0, nullptr);
  const Host* alpha = r0->host("alpha.example.org");
  const Host* beta = r0->by_seat({1});
  ASSERT_TRUE(alpha && beta);
  EXPECT_EQ(alpha->options.lease_time, seconds(3));
  EXPECT_EQ(alpha->net.timeout, seconds(6));
  EXPECT_EQ(alpha->net.fencing, Fencing::resource_and_stonith);
  EXPECT_EQ(alpha->net.shared_secret_file, "/etc/lockstep/r0.key");
  EXPECT_EQ(alpha->handlers.fence_peer, (std::vector<std::string>{"/usr/lib/lockstep/fence-peer-pacemaker"}));
  EXPECT_EQ(alpha->handlers.fence_timeout, seconds(60));
  ASSERT_EQ(alpha->nbd.size(), 2u);
  EXPECT_EQ(alpha->nbd[0].to_string(), "unix:/run/lockstep/r0.sock");
  EXPECT_EQ(alpha->nbd[1].tcp, (Endpoint{"127.0.0.1", 10809}));
  EXPECT_EQ(alpha->volumes[0].disk, "/dev/vg0/r0");
  EXPECT_TRUE(beta->volumes[0].internal());
  EXPECT_EQ(beta->volumes[0].disk, "/dev/sdb1");
  EXPECT_EQ(r0->name_of(witness_seat(0)), "gamma");
  EXPECT_EQ(loaded.config.metrics, (Endpoint{"127.0.0.1", 9946}));
  EXPECT_NE(loaded.warnings().find("metrics has no effect yet"), std::string::npos);
  EXPECT_EQ(loaded.warnings().find("verify-alg"), std::string::npos);
}

TEST(Load, DefaultsReplaceAPrimaryWithinTenSeconds) {
  const Loaded loaded = load_text(resource_with(""));
  ASSERT_TRUE(loaded.ok()) << loaded.errors();
  const Host& host = loaded.config.resources[0].hosts[0];
  const Duration noticed = host.net.ping_int + host.net.ping_timeout;
  EXPECT_LE(noticed, seconds(2));
  EXPECT_LE(noticed + host.options.lease_time + host.net.connect_int, seconds(8));
}

TEST(Load, InnerScopesOverride) {
  const Loaded loaded = load_text("common { net { ping-int 7; timeout 70; connect-int 9; shared-secret-file F; } }\n" +
                                  resource_with("net { ping-int 5; timeout 50; shared-secret \"a b\"; }\n"
                                                "connection { host alpha; host beta address [::1]:9; net { ping-int 3; } }"));
  ASSERT_TRUE(loaded.ok()) << loaded.errors();
  const Host& beta = loaded.config.resources[0].hosts[1];
  EXPECT_EQ(beta.net.ping_int, seconds(3));
  EXPECT_EQ(beta.net.timeout, seconds(5));
  EXPECT_EQ(beta.net.connect_int, seconds(9));
  EXPECT_EQ(beta.net.shared_secret, "a b");
  EXPECT_EQ(beta.net.shared_secret_file, "");
  const auto paths = loaded.config.resources[0].paths(loaded.config.resources[0].hosts[0], beta);
  ASSERT_EQ(paths.size(), 1U);
  EXPECT_EQ(paths[0].local.to_string(), "10.0.0.1:7800");
  EXPECT_EQ(paths[0].remote.to_string(), "[::1]:9");
}

TEST(Load, SizesAndIncludes) {
  const Loaded loaded = load_text("include \"dir/*.res\";", {{"dir/a.res", resource_with("disk { c-max-rate 10M; }")}});
  ASSERT_TRUE(loaded.ok()) << loaded.errors();
  ASSERT_EQ(loaded.config.resources.size(), 1u);
  EXPECT_EQ(loaded.config.resources[0].hosts[0].disk.c_max_rate, 10u << 20);
  EXPECT_TRUE(loaded.warnings().empty());
}

TEST(Load, SeveralVolumes) {
  const Loaded loaded = load_text(resource_with("volume 7 { disk /dev/f; } volume 1 { disk /dev/e; meta-disk internal; }"));
  ASSERT_TRUE(loaded.ok()) << loaded.errors();
  for (const Host& host : loaded.config.resources[0].hosts) {
    ASSERT_EQ(host.volumes.size(), 3u);
    EXPECT_EQ(host.volumes[1].number, 1);
    EXPECT_EQ(host.volumes[2].disk, "/dev/f");
  }
  const std::string text = dump(loaded.config);
  const Loaded again = load_text(text);
  ASSERT_TRUE(again.ok()) << again.errors();
  EXPECT_EQ(dump(again.config), text);
  std::string many;
  for (int number = 1; number < 9; ++number)
    many += "volume " + std::to_string(number) + " { disk /dev/x" + std::to_string(number) + "; } ";
  EXPECT_NE(load_text(resource_with(many)).errors().find("a resource has 8 volumes at most"), std::string::npos);
}

TEST(Load, Handlers) {
  const Loaded loaded = load_text(
      resource_with("disk { on-io-error call-local-io-error; verify-interval 604800; }\n"
                    "handlers { local-io-error \"/bin/tell me\"; before-resync-target /bin/save; handler-timeout 5; }"));
  ASSERT_TRUE(loaded.ok()) << loaded.errors();
  EXPECT_TRUE(loaded.warnings().empty()) << loaded.warnings();
  const Host& host = loaded.config.resources[0].hosts[0];
  EXPECT_EQ(host.handlers.others.at("local-io-error"), (std::vector<std::string>{"/bin/tell", "me"}));
  EXPECT_EQ(host.handlers.others.at("before-resync-target"), (std::vector<std::string>{"/bin/save"}));
  EXPECT_EQ(host.handlers.others.size(), 2u);
  EXPECT_EQ(host.handlers.timeout, seconds(5));
  EXPECT_TRUE(host.disk.tell_of_errors);
  EXPECT_EQ(host.disk.verify_interval, seconds(604800));
}

TEST(Load, ADiskMayBeKeptHoweverManyReadsFail) {
  const Loaded loaded = load_text(resource_with("disk { on-io-error pass_on; }"));
  ASSERT_TRUE(loaded.ok()) << loaded.errors();
  EXPECT_TRUE(loaded.config.resources[0].hosts[0].disk.bear_bad_reads);
  EXPECT_FALSE(loaded.config.resources[0].hosts[0].disk.tell_of_errors);
}

TEST(Load, ReadBalancing) {
  const auto loaded = [](const std::string& word) { return load_text(resource_with("disk { read-balancing " + word + "; }")); };
  EXPECT_EQ(load_text(resource_with("")).config.resources[0].hosts[0].disk.read_balancing, ReadBalancing::prefer_local);
  EXPECT_EQ(loaded("round-robin").config.resources[0].hosts[0].disk.read_balancing, ReadBalancing::round_robin);
  EXPECT_EQ(loaded("least-pending").config.resources[0].hosts[0].disk.read_balancing, ReadBalancing::least_pending);
  EXPECT_NE(loaded("prefer-remote").errors().find("not built yet"), std::string::npos);
  EXPECT_NE(loaded("32K-striping").errors().find("not built yet"), std::string::npos);
  EXPECT_FALSE(loaded("mirror").ok());
}

TEST(Load, ResyncOrder) {
  const auto by_age = [](const std::string& text) {
    return load_text(resource_with(text)).config.resources[0].hosts[0].disk.oldest_first;
  };
  EXPECT_FALSE(by_age(""));
  EXPECT_FALSE(by_age("disk { resync-order address; }"));
  EXPECT_TRUE(by_age("disk { resync-order age; }"));
}

TEST(Load, TheMostThatAResyncTakesIsNotLessThanTheLeast) {
  EXPECT_NE(load_text(resource_with("disk { c-max-rate 1K; c-min-rate 1M; }")).errors().find("less than c-min-rate"),
            std::string::npos);
  EXPECT_EQ(load_text(resource_with("disk { c-max-rate 1M; }")).errors(), "") << "of what nobody wrote nothing is said";
  EXPECT_EQ(load_text(resource_with("disk { c-max-rate 1M; c-min-rate 1M; }")).errors(), "");
  EXPECT_EQ(load_text(resource_with("disk { c-max-rate 0; }")).errors(), "") << "no limit";
}

TEST(Load, ALocalIoErrorHandlerNeedsItsPolicy) {
  EXPECT_NE(load_text(resource_with("handlers { local-io-error /bin/tell; }")).warnings().find("never runs"), std::string::npos);
  EXPECT_NE(load_text(resource_with("disk { on-io-error call-local-io-error; }")).warnings().find("only detaches"),
            std::string::npos);
  EXPECT_NE(load_text(resource_with("handlers { local-io-error /bin/tell; } disk { on-io-error pass_on; }"))
                .warnings()
                .find("never runs"),
            std::string::npos);
}

constexpr const char* kPaths = R"(resource r0 {
  volume 0 { disk /dev/d; }
  on alpha { node-id 0; control-address 10.9.0.1:7801; }
  on beta { node-id 1; control-address 10.9.0.2:7801; }
  on delta { node-id 2; address 10.0.0.3:7800; control-address 10.9.0.3:7801; }
  connection {
    path { host alpha address 10.1.0.1:7800; host beta address 10.1.0.2:7800; }
    path { host beta address 10.2.0.2:7800; host alpha address 10.2.0.1:7800; }
  }
  connection { host alpha; host delta; path { host delta address 10.3.0.3:7800; host alpha address 10.3.0.1:7800; } }
  connection { host beta; host delta; }
}
)";

std::string paths_text(const Resource& resource, size_t from, size_t to) {
  std::string out;
  for (const OwnPath& path : resource.paths(resource.hosts[from], resource.hosts[to]))
    out += path.local.to_string() + "-" + path.remote.to_string() + (path.control_only ? " control;" : ";");
  return out;
}

TEST(Load, PathsAreBetweenTwoHostsAndTheSameFromBothEnds) {
  const Loaded loaded = load_text(kPaths);
  ASSERT_TRUE(loaded.ok()) << loaded.errors();
  const Resource& r0 = loaded.config.resources[0];
  EXPECT_EQ(paths_text(r0, 0, 1), "10.1.0.1:7800-10.1.0.2:7800;10.2.0.1:7800-10.2.0.2:7800;10.9.0.1:7801-10.9.0.2:7801 control;");
  EXPECT_EQ(paths_text(r0, 1, 0), "10.1.0.2:7800-10.1.0.1:7800;10.2.0.2:7800-10.2.0.1:7800;10.9.0.2:7801-10.9.0.1:7801 control;");
  EXPECT_EQ(paths_text(r0, 2, 0), "10.3.0.3:7800-10.3.0.1:7800;10.9.0.3:7801-10.9.0.1:7801 control;");
  EXPECT_EQ(paths_text(r0, 1, 2), "10.1.0.2:7800-10.0.0.3:7800;10.9.0.2:7801-10.9.0.3:7801 control;");
  const Loaded again = load_text(dump(r0));
  ASSERT_TRUE(again.ok()) << dump(r0) << again.errors();
  for (const auto& [from, to] : {std::pair(0, 1), std::pair(1, 0), std::pair(0, 2), std::pair(2, 1)})
    EXPECT_EQ(paths_text(again.config.resources[0], from, to), paths_text(r0, from, to));
  EXPECT_EQ(dump(again.config.resources[0]), dump(r0));
}

std::string protocols_text(const Resource& resource) {
  std::string out;
  for (const Host& from : resource.hosts) {
    for (const Host& to : resource.hosts) {
      if (from.node_id != to.node_id) out.push_back(resource.protocol(from, to));
    }
    out.push_back(' ');
  }
  return out;
}

TEST(Load, AConnectionMayHaveAProtocolOfItsOwn) {
  std::string text = kPaths;
  const std::string last = "connection { host beta; host delta; }";
  const std::string alone = "connection { host beta; host delta; net { protocol A; } }";
  text.replace(text.find(last), last.size(), alone);
  const Loaded loaded = load_text(text);
  ASSERT_TRUE(loaded.ok()) << loaded.errors();
  EXPECT_EQ(protocols_text(loaded.config.resources[0]), "CC CA CA ");
  const Loaded again = load_text(dump(loaded.config));
  ASSERT_TRUE(again.ok()) << again.errors() << dump(loaded.config);
  EXPECT_EQ(protocols_text(again.config.resources[0]), "CC CA CA ");
  EXPECT_EQ(dump(again.config), dump(loaded.config));
  text.replace(text.find("protocol A"), 10, "timeout 50");
  EXPECT_FALSE(load_text(text).ok()) << "any other option is one for all connections";
}

TEST(Load, DumpReadsBackTheSame) {
  const Loaded first = load_text(kContract);
  const std::string text = dump(first.config);
  const Loaded second = load_text(text);
  ASSERT_TRUE(second.ok()) << second.errors() << text;
  EXPECT_EQ(dump(second.config), text);
  EXPECT_EQ(second.config.resources[0].id, first.config.resources[0].id);
}

TEST(Load, TheIdIsTheSameOnEveryNode) {
  const ResourceId id = resource_id_of("r0", {{0, "alpha"}, {1, "beta"}});
  EXPECT_EQ(id, resource_id_of("r0", {{1, "beta"}, {0, "alpha"}}));
  EXPECT_NE(id, resource_id_of("r1", {{0, "alpha"}, {1, "beta"}}));
  EXPECT_NE(id, resource_id_of("r0", {{1, "alpha"}, {0, "beta"}}));
  // Golden: a change here orphans every resource in the field.
  EXPECT_EQ(id.to_string(), "c5dd7a0c-8728-8edf-8043-c5c92ef4d496");
  const Loaded loaded = load_text(resource_with("options { resource-uuid 01234567-89ab-cdef-0123-456789abcdef; }"));
  EXPECT_EQ(loaded.config.resources.at(0).id.to_string(), "01234567-89ab-cdef-0123-456789abcdef");
}

}  // namespace
}  // namespace lockstep::config
