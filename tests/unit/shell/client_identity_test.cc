#include "shell/resource/client_identity.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "shell/loop/unique_fd.h"

namespace lockstep {
namespace {

// Of a client at that address of this machine; "" where there is no such family.
std::string identity_of(const char* from, int family_of_listener) {
  const UniqueFd listener(::socket(family_of_listener, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_storage any{};
  any.ss_family = static_cast<sa_family_t>(family_of_listener);
  socklen_t size = family_of_listener == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  const int both = 0;
  if (family_of_listener == AF_INET6) ::setsockopt(listener.get(), IPPROTO_IPV6, IPV6_V6ONLY, &both, sizeof both);
  if (family_of_listener == AF_INET) reinterpret_cast<sockaddr_in&>(any).sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (family_of_listener == AF_INET6) ::inet_pton(AF_INET6, "::ffff:127.0.0.1", &reinterpret_cast<sockaddr_in6&>(any).sin6_addr);
  if (!listener.ok() || ::bind(listener.get(), reinterpret_cast<sockaddr*>(&any), size) != 0 || ::listen(listener.get(), 1) != 0)
    return "";
  EXPECT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&any), &size), 0);
  sockaddr_in to{};  // the port is at the same place in both families
  to.sin_family = AF_INET;
  to.sin_port = reinterpret_cast<sockaddr_in&>(any).sin_port;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  sockaddr_in own{};
  own.sin_family = AF_INET;
  EXPECT_EQ(::inet_pton(AF_INET, from, &own.sin_addr), 1);
  const UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::bind(client.get(), reinterpret_cast<sockaddr*>(&own), sizeof own), 0);
  EXPECT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  const UniqueFd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  return client_identity(accepted.get());
}

TEST(ClientIdentity, IsTheWholeAddressAndNoPort) {
  EXPECT_EQ(identity_of("127.0.0.1", AF_INET), "127.0.0.1");
  EXPECT_EQ(identity_of("127.0.0.10", AF_INET), "127.0.0.10");
}

TEST(ClientIdentity, IsTheSameByASocketForBothFamilies) {
  const std::string mapped = identity_of("127.0.0.10", AF_INET6);
  if (mapped.empty()) GTEST_SKIP() << "no IPv6 here";
  EXPECT_EQ(mapped, "127.0.0.10");
}

TEST(ClientIdentity, OfWhoIsGoneIsNobodys) { EXPECT_EQ(client_identity(-1), "unknown"); }

}  // namespace
}  // namespace lockstep
