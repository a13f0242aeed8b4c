// One NBD client writes to an export at a time.
#include "client_port_harness.h"

namespace lockstep {
namespace {

class SingleWriter : public ClientPortTest {
 protected:
  static constexpr uid_t kOther = 4711;
  static constexpr uid_t kThird = 4712;
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can be several users";
    ClientPortTest::SetUp();
  }
  nbd::WireError change(const UniqueFd& client, nbd::Command how = nbd::Command::write) {
    send(client, request(how, 0, 512, how == nbd::Command::write ? 512 : 0));
    Bytes answer(nbd::kSimpleReplyBytes);
    size_t got = 0;
    EXPECT_TRUE(until([&] {
      while (!submitted.empty()) answer_first();
      const ssize_t n = ::recv(client.get(), answer.data() + got, answer.size() - got, 0);
      if (n > 0) got += static_cast<size_t>(n);
      return got == answer.size();
    }));
    return static_cast<nbd::WireError>(get_be<uint32_t>(answer.data() + 4));
  }
  bool read_only() const { return (offered & nbd::kTransReadOnly) != 0; }
  void gone(UniqueFd& client) {
    const size_t before = port->connections();
    client = UniqueFd();
    ASSERT_TRUE(until([&] { return port->connections() == before - 1; }));
  }
};

TEST_F(SingleWriter, OneClientWritesByAsManyConnectionsAsItLikes) {
  start();
  const UniqueFd one = open_export();
  EXPECT_EQ(change(one), nbd::WireError::none);
  const UniqueFd two = open_export();
  EXPECT_FALSE(read_only());
  EXPECT_EQ(change(two), nbd::WireError::none);
  EXPECT_EQ(change(one), nbd::WireError::none);
}

TEST_F(SingleWriter, WhoComesWhileAnotherWritesMayRead) {
  start();
  const UniqueFd writer = open_export();
  const UniqueFd early = open_export(kThird);
  EXPECT_FALSE(read_only()) << "nobody writes yet";
  EXPECT_EQ(change(writer, nbd::Command::trim), nbd::WireError::none);
  const UniqueFd reader = open_export(kOther);
  EXPECT_TRUE(read_only());
  EXPECT_EQ(change(reader), nbd::WireError::eperm);
  EXPECT_EQ(change(reader, nbd::Command::flush), nbd::WireError::none);
  EXPECT_EQ(change(early, nbd::Command::write_zeroes), nbd::WireError::eperm);
  EXPECT_EQ(change(writer), nbd::WireError::none);
}

TEST_F(SingleWriter, ToReadIsNotToWrite) {
  start();
  const UniqueFd reader = open_export(kOther);
  EXPECT_EQ(change(reader, nbd::Command::flush), nbd::WireError::none);
  const UniqueFd writer = open_export();
  EXPECT_FALSE(read_only());
  EXPECT_EQ(change(writer), nbd::WireError::none);
}

// What it has in its cache may be from before the other's changes.
TEST_F(SingleWriter, WhoWasThereBeforeMustComeAgain) {
  start();
  UniqueFd writer = open_export();
  const UniqueFd early = open_export(kOther);
  EXPECT_EQ(change(writer), nbd::WireError::none);
  gone(writer);
  EXPECT_EQ(change(early), nbd::WireError::eperm);
  const UniqueFd again = open_export(kOther);
  EXPECT_FALSE(read_only());
  EXPECT_EQ(change(again), nbd::WireError::none);
}

TEST_F(SingleWriter, TheExportIsFreeWhenTheLastConnectionIsGone) {
  start();
  UniqueFd one = open_export();
  UniqueFd two = open_export();
  EXPECT_EQ(change(one), nbd::WireError::none);
  gone(one);
  const UniqueFd other = open_export(kOther);
  EXPECT_TRUE(read_only()) << "the second one is still there";
  gone(two);
  const UniqueFd next = open_export(kOther);
  EXPECT_FALSE(read_only());
}

// Both in one turn of the loop, in whichever order they are looked at.
TEST_F(SingleWriter, WhoHasGoneAMomentAgoIsInNobodysWay) {
  start();
  UniqueFd writer = open_export();
  EXPECT_EQ(change(writer), nbd::WireError::none);
  writer = UniqueFd();
  const UniqueFd next = open_export(kOther);
  EXPECT_FALSE(read_only());
  EXPECT_EQ(change(next), nbd::WireError::none);
}

TEST_F(SingleWriter, EachExportIsHeldForItself) {
  start();
  const UniqueFd writer = open_export();
  EXPECT_EQ(change(writer), nbd::WireError::none);
  base = 1 << 30;
  const UniqueFd other = open_export(kOther);
  EXPECT_FALSE(read_only());
  EXPECT_EQ(change(other), nbd::WireError::none);
}

TEST_F(SingleWriter, CanBeLifted) {
  settings.shared_writers = true;
  start();
  const UniqueFd one = open_export();
  EXPECT_EQ(change(one), nbd::WireError::none);
  const UniqueFd other = open_export(kOther);
  EXPECT_FALSE(read_only());
  EXPECT_EQ(change(other), nbd::WireError::none);
  EXPECT_EQ(change(one), nbd::WireError::none);
}

// CVE-2013-6410 was such a comparison.
TEST_F(SingleWriter, AUserWhoseNumberBeginsLikeTheWritersIsAnother) {
  start();
  const UniqueFd writer = open_export(47);
  EXPECT_EQ(change(writer), nbd::WireError::none);
  for (uid_t user : {uid_t{4}, uid_t{471}}) {
    const UniqueFd other = open_export(user);
    EXPECT_TRUE(read_only()) << user;
    EXPECT_EQ(change(other), nbd::WireError::eperm) << user;
  }
}

}  // namespace
}  // namespace lockstep
