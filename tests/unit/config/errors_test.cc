// Wrong configurations and the exact texts that point at what is wrong.
#include <gtest/gtest.h>

#include "tests/unit/config/config_test_support.h"

namespace lockstep::config {
namespace {

TEST(Errors, MisspeltOption) {
  EXPECT_EQ(errors_of("common {\n\tnet { pin-int 1; }\n}\n"),
            "c:2:8: unknown word \"pin-int\" in net { }\n"
            "  \tnet { pin-int 1; }\n"
            "  \t      ^~~~~~~\n"
            "  did you mean \"ping-int\"?\n");
}

TEST(Errors, MisspeltHostInTheMesh) {
  EXPECT_EQ(errors_of(resource_with("  connection-mesh { hosts alpha betta; }")),
            "c:2:33: resource r0 has no \"on betta\"\n"
            "    connection-mesh { hosts alpha betta; }\n"
            "                                  ^~~~~\n"
            "  did you mean \"beta\"?\n");
}

TEST(Errors, MissingSemicolon) {
  EXPECT_EQ(errors_of("common { net { ping-int 1\n timeout 60; } }"),
            "c:1:25: a \";\" is missing after \"1\"\n"
            "  common { net { ping-int 1\n"
            "                          ^\n");
}

TEST(Errors, MissingFile) {
  MemoryReader reader({});
  EXPECT_EQ(load("gone", reader).errors(), "gone: cannot open the configuration file: No such file or directory\n");
}

struct Case {
  const char* name;
  std::string text;
  const char* expected;  // the first line
};

class FirstLine : public testing::TestWithParam<Case> {};

TEST_P(FirstLine, IsExact) {
  const std::string errors = errors_of(GetParam().text);
  EXPECT_EQ(errors.substr(0, errors.find('\n')), GetParam().expected) << errors;
}

std::string two(const std::string& alpha, const std::string& beta, const std::string& extra = "") {
  return "resource r0 { " + extra + " volume 0 { disk d; }\non alpha { " + alpha + " }\non beta { " + beta + " } }";
}
const std::string kA = "node-id 0; address h:1;";
const std::string kB = "node-id 1; address i:1;";
const std::string kC = "on gamma { node-id 2; address j:1; }";
const std::string kPairs = " connection { host alpha; host beta; } connection { host alpha; host gamma address h:6; } ";

INSTANTIATE_TEST_SUITE_P(
    All, FirstLine,
    testing::Values(
        Case{"brace", "resource r0 {", "c:1:1: this section is never closed: a \"}\" is missing"},
        Case{"closing", "}", "c:1:1: this \"}\" closes nothing"},
        Case{"string", "include \"x", "c:1:9: this string does not end"},
        Case{"unknown_section", "resorce r0 { }", "c:1:1: unknown word \"resorce\" in the file"},
        Case{"place", "common { ping-int 1; }", "c:1:10: ping-int belongs into net { }, not into common"},
        Case{"twice", "common { net { timeout 50; timeout 60; } }", "c:1:28: timeout is given twice; first in c line 1"},
        Case{"quorum_off", resource_with("options { quorum off; }"),
             "c:2:18: quorum off is refused: without quorum two nodes could be Primary at once and "
             "acknowledged writes be "
             "lost"},
        Case{"two_primaries", resource_with("net { allow-two-primaries; }"),
             "c:2:7: allow-two-primaries is refused: one tenure has one Primary, and there is no cluster "
             "file system's "
             "locking to keep two apart"},
        Case{"protocol", resource_with("net { protocol D; }"), "c:2:16: protocol takes A, B, C, not \"D\""},
        Case{"tls_alone", resource_with("net { tls yes; }"),
             "c:2:7: resource r0: tls yes needs tls-certificate, tls-key and tls-ca: tls-certificate is missing"},
        Case{"tls_half", resource_with("net { tls yes; tls-certificate c; tls-key k; }"),
             "c:2:7: resource r0: tls yes needs tls-certificate, tls-key and tls-ca: tls-ca is missing"},
        Case{
            "nbd_tls_alone", resource_with("options { nbd-tls forced; }"),
            "c:2:11: resource r0: nbd-tls needs a certificate (nbd-tls-certificate and nbd-tls-key) or pre-shared keys (nbd-tls-psk)"},
        Case{"nbd_tls_keyless", resource_with("options { nbd-tls-certificate c; }"),
             "c:2:11: resource r0: nbd-tls-certificate needs the certificate's key: nbd-tls-key FILE"},
        Case{"nbd_tls_bare_key", resource_with("options { nbd-tls-key k; nbd-tls-psk p; }"),
             "c:2:11: resource r0: nbd-tls-key needs the key's certificate: nbd-tls-certificate FILE"},
        Case{"nbd_tls_ca", resource_with("options { nbd-tls forced; nbd-tls-psk p; nbd-tls-ca a; }"),
             "c:2:42: resource r0: nbd-tls-ca is for clients' certificates, and only who shows one can ask for them: "
             "nbd-tls-certificate and nbd-tls-key"},
        Case{
            "nbd_tls_allow", resource_with("options { nbd-tls forced; nbd-tls-certificate c; nbd-tls-key k; nbd-tls-allow l; }"),
            "c:2:65: resource r0: nbd-tls-allow names clients, and none can prove a name: nbd-tls-ca FILE or nbd-tls-psk FILE is "
            "missing"},
        Case{"auto_promote", resource_with("options { auto-promote yes; }"), "c:2:24: auto-promote yes is not built yet; no is"},
        Case{"choice", resource_with("net { fencing resource; }"),
             "c:2:15: fencing takes dont-care, resource-only, resource-and-stonith, not \"resource\""},
        Case{"meaningless", resource_with("net { cram-hmac-alg sha1; }"),
             "c:2:7: cram-hmac-alg has no meaning here: the handshake has one keyed algorithm; shared-secret "
             "or "
             "shared-secret-file is enough"},
        Case{"flight_recorder", resource_with("options { flight-recorder here; }"),
             "c:2:27: flight-recorder takes on, off or an absolute path, not \"here\""},
        Case{"flight_recorder_size", resource_with("options { flight-recorder-size 1M; }"),
             "c:2:32: flight-recorder-size takes 2097152 to 68719476736 (bytes), not \"1M\""},
        Case{"range", resource_with("options { lease-time 2; }"), "c:2:22: lease-time takes 3 to 600 (0.1 s), not \"2\""},
        Case{"number", resource_with("net { timeout 6s; }"), "c:2:15: timeout takes a number (0.1 s), not \"6s\""},
        Case{"secrets", resource_with("net { shared-secret a; shared-secret-file b; }"),
             "c:2:24: shared-secret and shared-secret-file contradict each other: give one of them"},
        Case{"volume_number", "resource r { volume 3 { disk d; } on a { node-id 0; address h:1; } }",
             "c:1:21: the lowest volume of a resource is volume 0: it has the metadata of all of them"},
        Case{
            "volume_elsewhere",
            "resource r { volume 0 { disk d; } on a { node-id 0; address h:1; volume 1 { disk e; } } on b { node-id 1; address i:1; } }",
            "c:1:73: volume 1 is not there on b: every node has all volumes of a resource"},
        Case{"volumes_of_a_host_given_twice",
             "resource r { on a { node-id 0; address h:1; volume 0 { disk d; } volume 1 { disk e; } } "
             "on a { node-id 1; address i:1; volume 0 { disk f; } } }",
             "c:1:92: on a is given twice"},
        Case{"volume_metadata", resource_with("volume 1 { disk /dev/e; meta-disk /dev/f; }"),
             "c:2:35: volume 1 has no meta-disk of its own: the metadata of all volumes lies with volume 0"},
        Case{
            "volume_options", resource_with("volume 1 { disk /dev/e; disk { c-max-rate 10; } }"),
            "c:2:8: volume 1 has other disk options than volume 0: they apply to all volumes of a resource; write them into disk { } "
            "of the resource"},
        Case{"node_id", two(kA, "node-id 0; address i:1;"), "c:3:19: node-id 0 belongs to alpha already"},
        Case{"no_node_id", two(kA, "address i:1;"), "c:3:4: on beta has no node-id"},
        Case{"no_address", two("node-id 0;", kB), "c:2:4: on alpha has no address"},
        Case{"address", two("node-id 0; address 10.0.0.1;", kB),
             "c:2:31: \"10.0.0.1\" is not an address: 10.1.1.31:7800, [::1]:7800 or name:7800"},
        Case{"same_address", two(kA, "node-id 1; address h:1;"), "c:3:30: address h:1 is in use already: c line 2"},
        Case{"same_port", two(kA + " nbd :1;", kB), "c:2:40: port 1 on alpha is in use already: c line 2"},
        Case{"four", two(kA, kB, "on gamma { node-id 2; address j:1; } on delta { node-id 3; address k:1; }"),
             "c:3:4: more than three data nodes are not built yet"},
        Case{"pair_missing", two(kA, kB, kC + " connection { host alpha; host beta; } connection { host alpha; host gamma; }"),
             "c:1:52: data nodes without a connection between them are not built yet: name them all"},
        Case{"pair_twice", two(kA, kB, "connection { host alpha; host beta; } connection { host beta; host alpha; }"),
             "c:1:53: alpha and beta have a connection already"},
        Case{"own_net", two(kA, kB, kC + kPairs + "connection { host beta; host gamma; net { ping-int 3; } }"),
             "c:1:141: net options of one connection alone are not built yet: put them into the resource's net { }"},
        Case{
            "two_protocols", two(kA + " net { protocol A; }", kB),
            "c:1:10: alpha and beta would have different protocols: write it into the resource's net { } or into their connection"},
        Case{"path_in_mesh", two(kA, kB, "connection-mesh { hosts alpha beta; path { host alpha address h:7; } }"),
             "c:1:51: paths are between two hosts: write connection { path { ... } } for each pair in place of connection-mesh"},
        Case{
            "path_of_one", two(kA, kB, "connection { path { host alpha address h:7; } }"),
            "c:1:28: a path has the addresses of two hosts: path { host ALPHA address HOST:PORT; host BETA address HOST:PORT; }"},
        Case{"path_without_address", two(kA, kB, "connection { path { host alpha; host beta address i:7; } }"),
             "c:1:40: host alpha has no address in this path: host alpha address HOST:PORT;"},
        Case{"path_of_others",
             two(kA, kB,
                 kC + "connection { path { host alpha address h:7; host beta address i:7; } path { host alpha address h:8; host "
                      "gamma address j:8; } } connection { host alpha; host gamma; } connection { host beta; host gamma; }"),
             "c:1:120: all paths of a connection are between the same two hosts: beta has no address here"},
        Case{"path_and_address",
             two(kA, kB, "connection { host alpha address h:6; path { host alpha address h:7; host beta address i:7; } }"),
             "c:1:47: this connection has path sections: the addresses of its hosts belong into them"},
        Case{"path_beside_a_third",
             two(kA, kB, kC + "connection { host alpha; host gamma; path { host alpha address h:7; host beta address i:7; } }"),
             "c:1:51: a connection with path sections is between two hosts"},
        Case{"path_twice",
             two(kA, kB,
                 "connection { path { host alpha address h:7; host beta address i:7; } path { host beta address i:7; host alpha "
                 "address h:7; } }"),
             "c:1:84: this path is there already"},
        Case{"path_of_a_stranger", two(kA, kB, "connection { path { host alpha address h:7; host delta address i:7; } }"),
             "c:1:64: resource r0 has no \"on delta\""},
        Case{"control_address_of_one", two(kA + " control-address h:9;", kB),
             "c:3:4: on beta has no control-address, and another node has one: it is a path between all of them"},
        Case{"control_address_of_data", two(kA + " control-address h:1;", kB + " control-address i:1;"),
             "c:2:52: control-address is the address of a path with data: give it one of its own, or leave it out"},
        Case{"control_address_twice", two(kA + " control-address h:9; control-address h:8;", kB),
             "c:2:73: control-address is given twice; first in line 2"},
        Case{"witness_name", two(kA, kB, "witness beta { address w:1; }"), "c:1:23: the name beta is taken: a voter votes once"},
        Case{"witness_address", two(kA, kB, "witness w { }"), "c:1:23: witness w has no address"},
        Case{"no_disk", "resource r { on a { node-id 0; address h:1; } }",
             "c:1:17: resource r has no volume on a: volume 0 { disk PATH; }"},
        Case{
            "indexed", "resource r { volume 0 { disk d; meta-disk /dev/sdX[0]; } }",
            "c:1:43: indexed metadata is not supported: each volume's metadata has a file or a device of its own; write meta-disk "
            "internal or meta-disk FILE"},
        Case{
            "flexible", "resource r { volume 0 { disk d; meta-disk /dev/sdX [flexible]; } }",
            "c:1:43: indexed metadata is not supported: each volume's metadata has a file or a device of its own; write meta-disk "
            "internal or meta-disk FILE"},
        Case{"same_resource", resource_with("") + resource_with(""), "c:7:10: resource r0 is given twice; first in c line 1"},
        Case{"include_loop", "include c;", "c:1:9: files are included more than 8 deep"}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(Errors, GarbageNeverCrashes) {
  for (const std::string& text : {std::string("\0\1\2{;}", 6), std::string(100000, '{'), std::string(5000, 'a'),
                                  std::string("resource \"\" { on \"\" {} }"), std::string("a \"\\")}) {
    EXPECT_NE(errors_of(text), "");
  }
}

}  // namespace
}  // namespace lockstep::config
