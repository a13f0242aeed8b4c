// Two ends of TLS, over a socket that has little room.
#pragma once

#include <gnutls/gnutls.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "authority.h"
#include "shell/loop/unique_fd.h"
#include "shell/tls/tls_session.h"

namespace lockstep {

using Bytes = std::vector<std::byte>;
using Progress = TlsSession::Progress;
using Side = TlsSession::Side;

inline Bytes random_bytes(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  Bytes bytes(count);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

inline std::pair<UniqueFd, UniqueFd> narrow_pair() {
  std::array<int, 2> fds{};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()), 0);
  for (const int fd : fds) {
    const int little = 1;  // the kernel makes of it the least that it can
    EXPECT_EQ(::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof little), 0);
  }
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

inline bool readable(int fd) {
  pollfd is{fd, POLLIN, 0};
  return ::poll(&is, 1, 0) > 0;
}

inline std::shared_ptr<const TlsCredentials> loaded(const TlsFiles& files) {
  std::string wrong;
  auto credentials = TlsCredentials::load(files, wrong);
  EXPECT_NE(credentials, nullptr) << wrong;
  return credentials;
}

// Both go on in turn until neither gets further. What became of each.
template <class A, class B>
std::pair<Progress, Progress> shake_hands(A& a, B& b) {
  std::pair<Progress, Progress> is{Progress::needs_input, Progress::needs_input};
  const auto over = [](Progress progress) { return progress == Progress::done || progress == Progress::failed; };
  for (int i = 0; i < 200 && !(over(is.first) && over(is.second)); ++i) {
    if (!over(is.first)) is.first = a.handshake();
    if (!over(is.second)) is.second = b.handshake();
  }
  return is;
}
constexpr std::pair<Progress, Progress> kBothDone{Progress::done, Progress::done};

inline ssize_t receive(TlsSession& from, std::span<std::byte> to) {
  const std::array<iovec, 1> part{{{to.data(), to.size()}}};
  return from.receive(part);
}
inline ssize_t send(TlsSession& to, std::span<const std::byte> what) {
  const std::array<iovec, 1> part{{{const_cast<std::byte*>(what.data()), what.size()}}};
  return to.send(part);
}
// All that is there, into `to`. How the last call ended: 0, or an errno.
inline int receive_all(TlsSession& from, Bytes& to) {
  std::array<std::byte, 5000> piece;
  for (;;) {
    const ssize_t n = receive(from, piece);
    if (n < 0) return errno;
    if (n == 0) return 0;
    to.insert(to.end(), piece.begin(), piece.begin() + n);
  }
}

// A server for clients, and a node's client of it: certificates on both sides.
class TlsPair {
 public:
  explicit TlsPair(Side side = Side::server_for_clients) : fds(narrow_pair()) {
    server = std::make_unique<TlsSession>(loaded(keys.files("server", ca.server(), ca.pem())), side, fds.first.get());
    client = std::make_unique<TlsSession>(loaded(keys.files("client", ca.client(), ca.pem())), Side::connecting, fds.second.get(),
                                          std::vector<std::string>{"localhost"});
  }
  void established() { ASSERT_EQ(shake_hands(*server, *client), kBothDone) << server->failure() << " / " << client->failure(); }

  KeyDirectory keys;
  Authority ca;
  std::pair<UniqueFd, UniqueFd> fds;
  std::unique_ptr<TlsSession> server;
  std::unique_ptr<TlsSession> client;
};

// A client that is GnuTLS itself, for what nodes do not do: pre-shared keys, TLS 1.2, new keys on the way.
class PlainClient {
 public:
  PlainClient(int fd, const std::string& priority) {
    gnutls_init(&session_, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
    EXPECT_EQ(gnutls_priority_set_direct(session_, priority.c_str(), nullptr), 0);
    gnutls_transport_set_int(session_, fd);
  }
  ~PlainClient() {
    gnutls_deinit(session_);
    if (x509_ != nullptr) gnutls_certificate_free_credentials(x509_);
    if (psk_ != nullptr) gnutls_psk_free_client_credentials(psk_);
  }
  PlainClient(const PlainClient&) = delete;
  PlainClient& operator=(const PlainClient&) = delete;

  void anonymous() {
    gnutls_certificate_allocate_credentials(&x509_);
    gnutls_credentials_set(session_, GNUTLS_CRD_CERTIFICATE, x509_);
  }
  void shows(const TlsFiles& files) {
    anonymous();
    EXPECT_EQ(gnutls_certificate_set_x509_key_file(x509_, files.certificate.c_str(), files.key.c_str(), GNUTLS_X509_FMT_PEM), 0);
  }
  void knows(std::string_view name, std::string_view key) {
    gnutls_psk_allocate_client_credentials(&psk_);
    const gnutls_datum_t who = datum(name);
    const gnutls_datum_t what = datum(key);
    EXPECT_EQ(gnutls_psk_set_client_credentials2(psk_, &who, &what, GNUTLS_PSK_KEY_HEX), 0);
    gnutls_credentials_set(session_, GNUTLS_CRD_PSK, psk_);
  }
  Progress handshake() {
    const int result = gnutls_handshake(session_);
    if (result == GNUTLS_E_SUCCESS) return Progress::done;
    return gnutls_error_is_fatal(result) == 0 ? Progress::needs_input : Progress::failed;
  }
  ssize_t send(std::span<const std::byte> what) { return gnutls_record_send(session_, what.data(), what.size()); }
  ssize_t receive(std::span<std::byte> to) { return gnutls_record_recv(session_, to.data(), to.size()); }
  gnutls_session_t session() { return session_; }

 private:
  static gnutls_datum_t datum(std::string_view text) {
    return {reinterpret_cast<unsigned char*>(const_cast<char*>(text.data())), static_cast<unsigned>(text.size())};
  }

  gnutls_session_t session_ = nullptr;
  gnutls_certificate_credentials_t x509_ = nullptr;
  gnutls_psk_client_credentials_t psk_ = nullptr;
};

}  // namespace lockstep
