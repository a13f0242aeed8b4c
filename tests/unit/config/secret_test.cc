// Secrets: read, and warned about where they are none.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "control/config/model.h"

namespace lockstep::config {
namespace {

class SecretFile {
 public:
  explicit SecretFile(const std::string& contents, mode_t mode = 0600) {
    char name[] = "/tmp/lockstep-secret-XXXXXX";
    const int fd = ::mkstemp(name);
    EXPECT_GE(fd, 0);
    ::close(fd);
    net.shared_secret_file = name;
    std::ofstream(name, std::ios::binary) << contents;
    EXPECT_EQ(::chmod(name, mode), 0);
  }
  ~SecretFile() { ::unlink(net.shared_secret_file.c_str()); }
  Net net;
};

const std::string kRandom = "5f0c66b1f6a94ad1b23f1f54de9b7e0c\n";

TEST(Secret, ARandomOneIsFine) {
  EXPECT_EQ(secret_warnings("r0", SecretFile(kRandom).net), "");
  EXPECT_EQ(secret_warnings("r0", SecretFile(kRandom, 0640).net), "") << "a group is the administrator's choice";
  EXPECT_EQ(secret_warnings("r0", Net{}), "");
}

TEST(Secret, AShortOneOrOneOfTheSameBytesIsWarnedAbout) {
  EXPECT_NE(secret_warnings("r0", SecretFile("x\n").net).find("has 1 byte, fewer than 16"), std::string::npos);
  EXPECT_NE(secret_warnings("r0", SecretFile(std::string(64, '\0')).net).find("repeats a few bytes"), std::string::npos);
  Net net;
  net.shared_secret = "monkey";
  const std::string said = secret_warnings("r0", net);
  EXPECT_NE(said.find("r0: the secret in shared-secret has 6 bytes"), std::string::npos) << said;
  EXPECT_NE(said.find("openssl rand"), std::string::npos) << said;
  EXPECT_EQ(said.find("monkey"), std::string::npos) << "a secret is not shown";
}

TEST(Secret, AFileThatEverybodyMayReadIsWarnedAbout) {
  const SecretFile open_to_all(kRandom, 0644);
  const std::string said = secret_warnings("r0", open_to_all.net);
  EXPECT_NE(said.find("(mode 0644)"), std::string::npos) << said;
  EXPECT_NE(said.find("chmod 600 " + open_to_all.net.shared_secret_file), std::string::npos) << said;
}

}  // namespace
}  // namespace lockstep::config
