#include "shell/tls/tls_session.h"

#include <fmt/format.h>
#include <gnutls/x509.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/endian.h"
#include "shell/tls/tls_names.h"

namespace lockstep {

namespace {

constexpr size_t kRecordBytes = 16384;
constexpr unsigned kMostWarnings = 16;
// Without Diffie-Hellman in finite fields: who asks for 8192 bits makes a server count for half a second (CVE-2002-20001).
constexpr const char* kForNodes = "NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-DH-ALL";
constexpr const char* kForClients = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%NO_TICKETS:-GROUP-DH-ALL:-DHE-RSA";
constexpr const char* kForClientsWithKeys =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%NO_TICKETS:-GROUP-DH-ALL:-DHE-RSA:+ECDHE-PSK:+PSK";

}  // namespace

TlsSession::TlsSession(std::shared_ptr<const TlsCredentials> credentials, Side side, int fd, std::vector<std::string> expected)
    : credentials_(std::move(credentials)), fd_(fd), expected_(std::move(expected)) {
  if (!set_up(side)) failure_ = "TLS cannot be set up";
}

TlsSession::~TlsSession() {
  if (session_ != nullptr) gnutls_deinit(session_);
}

bool TlsSession::set_up(Side side) {
  const bool connects = side == Side::connecting;
  const unsigned role = connects ? GNUTLS_CLIENT : GNUTLS_SERVER;
  if (gnutls_init(&session_, role | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL | GNUTLS_NO_TICKETS) < 0) return false;
  const bool keys = side == Side::server_for_clients && credentials_->psk() != nullptr;
  const char* priority = side != Side::server_for_clients ? kForNodes : keys ? kForClientsWithKeys : kForClients;
  if (gnutls_priority_set_direct(session_, priority, nullptr) < 0) return false;
  if (credentials_->x509() != nullptr && gnutls_credentials_set(session_, GNUTLS_CRD_CERTIFICATE, credentials_->x509()) < 0)
    return false;
  if (keys && gnutls_credentials_set(session_, GNUTLS_CRD_PSK, credentials_->psk()) < 0) return false;

  // A certificate has to be made for this use. It is looked at within the handshake.
  purpose_.type = GNUTLS_DT_KEY_PURPOSE_OID;
  purpose_.data =
      reinterpret_cast<unsigned char*>(const_cast<char*>(connects ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT));
  if (connects || credentials_->asks_for_certificates()) gnutls_session_set_verify_cert2(session_, &purpose_, 1, 0);
  if (!connects && credentials_->asks_for_certificates()) gnutls_certificate_server_set_request(session_, GNUTLS_CERT_REQUIRE);
  gnutls_transport_set_ptr(session_, this);
  gnutls_transport_set_pull_function(session_, pull);
  gnutls_transport_set_vec_push_function(session_, push);
  gnutls_transport_set_pull_timeout_function(session_, wait);
  return true;
}

ssize_t TlsSession::pull(gnutls_transport_ptr_t self, void* data, size_t size) {
  auto* is = static_cast<TlsSession*>(self);
  const ssize_t n = ::recv(is->fd_, data, size, 0);
  if (n < 0) gnutls_transport_set_errno(is->session_, errno);
  if (n > 0) is->count(std::span(static_cast<const std::byte*>(data), static_cast<size_t>(n)));
  return n;
}

// A record is a head of five bytes, the last two of which say how many follow.
void TlsSession::count(std::span<const std::byte> pulled) {
  while (!pulled.empty()) {
    const size_t whole = pulled_ < head_.size() ? head_.size() : head_.size() + get_be<uint16_t>(head_.data() + 3);
    const size_t now = std::min(pulled.size(), whole - pulled_);
    if (pulled_ < head_.size()) std::copy_n(pulled.begin(), now, head_.begin() + static_cast<ptrdiff_t>(pulled_));
    pulled_ += now;
    pulled = pulled.subspan(now);
    if (pulled_ >= head_.size() && pulled_ == head_.size() + get_be<uint16_t>(head_.data() + 3)) pulled_ = 0;
  }
}

ssize_t TlsSession::push(gnutls_transport_ptr_t self, const giovec_t* parts, int count) {
  auto* is = static_cast<TlsSession*>(self);
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts);
  message.msg_iovlen = static_cast<size_t>(count);
  const ssize_t n = ::sendmsg(is->fd_, &message, MSG_NOSIGNAL);
  if (n < 0) gnutls_transport_set_errno(is->session_, errno);
  return n;
}

// The deadlines are its owner's. The event loop has said that there is something, or will.
int TlsSession::wait(gnutls_transport_ptr_t, unsigned) { return 1; }

TlsSession::Progress TlsSession::handshake() {
  if (!failure_.empty()) return Progress::failed;
  for (;;) {
    const int result = gnutls_handshake(session_);
    if (result == GNUTLS_E_SUCCESS) {
      if (!is_expected()) return Progress::failed;
      established_ = true;
      return Progress::done;
    }
    if (result == GNUTLS_E_AGAIN) return wants_output() ? Progress::needs_output : Progress::needs_input;
    if (gnutls_error_is_fatal(result) == 0) continue;  // interrupted, or a warning
    failure_ = why(result);
    const auto alert = gnutls_error_to_alert(result, nullptr);
    if (alert >= 0) gnutls_alert_send(session_, GNUTLS_AL_FATAL, static_cast<gnutls_alert_description_t>(alert));
    return Progress::failed;
  }
}

bool TlsSession::is_certified_for(const std::vector<std::string>& names) const {
  unsigned count = 0;
  const gnutls_datum_t* chain = gnutls_certificate_get_peers(session_, &count);
  return chain != nullptr && count > 0 && is_certificate_for(chain[0], names);
}

bool TlsSession::is_expected() {
  if (expected_.empty() || is_certified_for(expected_)) return true;
  failure_ = fmt::format("its certificate is not for {}", fmt::join(expected_, " or "));
  gnutls_alert_send(session_, GNUTLS_AL_FATAL, GNUTLS_A_BAD_CERTIFICATE);
  return false;
}

std::string TlsSession::why(int error) const {
  if (error == GNUTLS_E_FATAL_ALERT_RECEIVED)
    return fmt::format("the other side says: {}", gnutls_alert_get_name(gnutls_alert_get(session_)));
  if (error == GNUTLS_E_PREMATURE_TERMINATION) return "the other side hung up, perhaps because it does not speak TLS";
  if (error != GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR) return gnutls_strerror(error);
  gnutls_datum_t text{};
  const unsigned status = gnutls_session_get_verify_cert_status(session_);
  if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) < 0) return gnutls_strerror(error);
  std::string told(reinterpret_cast<const char*>(text.data), text.size);
  gnutls_free(text.data);
  while (!told.empty() && (told.back() == ' ' || told.back() == '\0')) told.pop_back();
  return told;
}

// --- bytes -----------------------------------------------------------------------------------------------

ssize_t TlsSession::receive_record(void* data, size_t size) {
  if (ended_) return 0;
  for (;;) {
    const ssize_t n = cut_off_ ? GNUTLS_E_PREMATURE_TERMINATION : gnutls_record_recv(session_, data, size);
    if (n > 0) return n;
    if (n == 0) {
      ended_ = true;
      return 0;
    }
    if (n == GNUTLS_E_AGAIN) {
      errno = EAGAIN;
      return -1;
    }
    if (n == GNUTLS_E_INTERRUPTED || (n == GNUTLS_E_WARNING_ALERT_RECEIVED && ++warnings_ <= kMostWarnings)) continue;
    if (n == GNUTLS_E_FATAL_ALERT_RECEIVED) failure_ = why(static_cast<int>(n));
    cut_off_ = true;
    errno = ECONNRESET;
    return -1;
  }
}

ssize_t TlsSession::receive(std::span<const iovec> parts) {
  size_t total = 0;
  untold_ = false;
  for (const iovec& part : parts) {
    for (size_t at = 0; at < part.iov_len;) {
      const ssize_t n = receive_record(static_cast<std::byte*>(part.iov_base) + at, part.iov_len - at);
      if (n <= 0 && total == 0) return n;
      untold_ = n <= 0 && (ended_ || cut_off_);
      if (n <= 0) return static_cast<ssize_t>(total);
      at += static_cast<size_t>(n);
      total += static_cast<size_t>(n);
    }
  }
  return static_cast<ssize_t>(total);
}

ssize_t TlsSession::send(std::span<const iovec> parts) {
  ssize_t n = 0;
  if (unsent_) {
    n = gnutls_record_send(session_, nullptr, 0);
  } else if (!parts.empty() && parts.front().iov_len >= kRecordBytes) {
    n = gnutls_record_send(session_, parts.front().iov_base, kRecordBytes);
  } else {
    record_.clear();
    for (const iovec& part : parts) {
      const auto* from = static_cast<const std::byte*>(part.iov_base);
      record_.insert(record_.end(), from, from + std::min(part.iov_len, kRecordBytes - record_.size()));
      if (record_.size() == kRecordBytes) break;
    }
    n = gnutls_record_send(session_, record_.data(), record_.size());
  }
  unsent_ = n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED;
  if (n >= 0) return n;
  errno = n == GNUTLS_E_AGAIN ? EAGAIN : n == GNUTLS_E_INTERRUPTED ? EINTR : ECONNRESET;
  return -1;
}

void TlsSession::say_goodbye() {
  if (established_ && !unsent_) gnutls_bye(session_, GNUTLS_SHUT_WR);
}

// --- who -------------------------------------------------------------------------------------------------

TlsSession::Identity TlsSession::identity() const {
  const char* key = gnutls_auth_client_get_type(session_) == GNUTLS_CRD_PSK ? gnutls_psk_server_get_username(session_) : nullptr;
  if (key != nullptr) return {fmt::format("psk {}", printable(key)), {fmt::format("psk:{}", key)}};
  return from_certificate();
}

std::vector<std::byte> TlsSession::channel() const {
  gnutls_datum_t material{};
  if (gnutls_session_channel_binding(session_, GNUTLS_CB_TLS_EXPORTER, &material) != 0) return {};
  const auto* bytes = reinterpret_cast<const std::byte*>(material.data);
  std::vector<std::byte> channel(bytes, bytes + material.size);
  gnutls_free(material.data);
  return channel;
}

TlsSession::Identity TlsSession::from_certificate() const {
  unsigned count = 0;
  const gnutls_datum_t* chain = gnutls_certificate_get_peers(session_, &count);
  if (chain == nullptr || count == 0) return {};
  CertificateNames names = names_of_certificate(chain[0]);
  if (names.subject.empty()) return {};
  return {fmt::format("certificate {}", printable(names.subject)), std::move(names.all)};
}

}  // namespace lockstep
