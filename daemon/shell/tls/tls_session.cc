#include "shell/tls/tls_session.h"

#include <fmt/format.h>
#include <gnutls/crypto.h>
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
constexpr const char* kForClients = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%NO_TICKETS:-GROUP-DH-ALL:-DHE-RSA:-RSA";
constexpr const char* kForClientsWithKeys =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%NO_TICKETS:-GROUP-DH-ALL:-DHE-RSA:-RSA:+ECDHE-PSK";

std::string text_of_status(unsigned status) {
  gnutls_datum_t text{};
  if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) < 0) return "its certificate does not hold";
  std::string told(reinterpret_cast<const char*>(text.data), text.size);
  gnutls_free(text.data);
  while (!told.empty() && (told.back() == ' ' || told.back() == '\0')) told.pop_back();
  return told;
}

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

  purpose_.type = GNUTLS_DT_KEY_PURPOSE_OID;
  purpose_.data =
      reinterpret_cast<unsigned char*>(const_cast<char*>(connects ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT));
  gnutls_session_set_ptr(session_, this);
  if (connects || credentials_->asks_for_certificates()) gnutls_session_set_verify_function(session_, verify);
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

// GnuTLS is never told that there is no room: with a record half sent it cannot answer a peer that wants new keys. What the socket does not take
// is kept here, a record and an answer of TLS's own at most, and goes before anything else.
ssize_t TlsSession::push(gnutls_transport_ptr_t self, const giovec_t* parts, int count) {
  auto* is = static_cast<TlsSession*>(self);
  size_t total = 0;
  for (int i = 0; i < count; ++i) {
    const auto* from = static_cast<const std::byte*>(parts[i].iov_base);
    is->kept_.insert(is->kept_.end(), from, from + parts[i].iov_len);
    total += parts[i].iov_len;
  }
  if (is->flush() || errno == EAGAIN) return static_cast<ssize_t>(total);
  gnutls_transport_set_errno(is->session_, errno);
  return -1;
}

// False, and errno: not all of it could be sent.
bool TlsSession::flush() {
  while (flushed_ < kept_.size()) {
    const ssize_t n = ::send(fd_, kept_.data() + flushed_, kept_.size() - flushed_, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    flushed_ += static_cast<size_t>(n);
  }
  kept_.clear();
  flushed_ = 0;
  return true;
}

// The deadlines are its owner's. The event loop has said that there is something, or will.
int TlsSession::wait(gnutls_transport_ptr_t, unsigned) { return 1; }

TlsSession::Progress TlsSession::handshake() {
  if (!failure_.empty()) return Progress::failed;
  for (;;) {
    const int result = shaken_ ? GNUTLS_E_SUCCESS : gnutls_handshake(session_);
    if (result == GNUTLS_E_SUCCESS || result == GNUTLS_E_AGAIN) {
      shaken_ = result == GNUTLS_E_SUCCESS;
      if (!flush() && errno == EAGAIN) return Progress::needs_output;  // another error shows when it is read
      established_ = shaken_;
      return shaken_ ? Progress::done : Progress::needs_input;
    }
    if (gnutls_error_is_fatal(result) == 0) continue;  // interrupted, or a warning
    if (failure_.empty()) failure_ = why(result);
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

// Within the handshake: a certificate that is signed, made for this use, and for whom was called. Otherwise the other side is told, and failure_
// says why.
int TlsSession::verify(gnutls_session_t session) {
  auto* is = static_cast<TlsSession*>(gnutls_session_get_ptr(session));
  unsigned status = 0;
  if (gnutls_certificate_verify_peers(session, &is->purpose_, 1, &status) < 0) return -1;
  if (status != 0) {
    is->failure_ = text_of_status(status);
    return -1;
  }
  if (is->expected_.empty() || is->is_certified_for(is->expected_)) return 0;
  is->failure_ = fmt::format("its certificate is not for {}", fmt::join(is->expected_, " or "));
  return -1;
}

std::string TlsSession::why(int error) const {
  if (error == GNUTLS_E_FATAL_ALERT_RECEIVED)
    return fmt::format("the other side says: {}", gnutls_alert_get_name(gnutls_alert_get(session_)));
  if (error == GNUTLS_E_PREMATURE_TERMINATION) return "the other side hung up, perhaps because it does not speak TLS";
  return gnutls_strerror(error);
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

// A record counts as sent when the socket has taken all of it.
ssize_t TlsSession::send(std::span<const iovec> parts) {
  if (!flush()) return -1;
  if (sending_ > 0) return static_cast<ssize_t>(std::exchange(sending_, 0));
  const ssize_t n = send_record(parts);
  if (n < 0) {
    errno = n == GNUTLS_E_INTERRUPTED ? EINTR : ECONNRESET;
    return -1;
  }
  if (flush()) return n;
  sending_ = static_cast<size_t>(n);
  return -1;
}

ssize_t TlsSession::send_record(std::span<const iovec> parts) {
  if (!parts.empty() && parts.front().iov_len >= kRecordBytes)
    return gnutls_record_send(session_, parts.front().iov_base, kRecordBytes);
  record_.clear();
  for (const iovec& part : parts) {
    const auto* from = static_cast<const std::byte*>(part.iov_base);
    record_.insert(record_.end(), from, from + std::min(part.iov_len, kRecordBytes - record_.size()));
    if (record_.size() == kRecordBytes) break;
  }
  return gnutls_record_send(session_, record_.data(), record_.size());
}

void TlsSession::say_goodbye() {
  if (established_ && kept_.empty()) gnutls_bye(session_, GNUTLS_SHUT_WR);
}

// --- who -------------------------------------------------------------------------------------------------

// GnuTLS asks within the handshake. A name that nobody has gets a key that nobody has: whoever tries names is not told which there are.
int TlsSession::key_of(gnutls_session_t session, const gnutls_datum_t* name, gnutls_datum_t* key) {
  const auto* is = static_cast<const TlsSession*>(gnutls_session_get_ptr(session));
  const auto* found = is->credentials_->key_of(std::string_view(reinterpret_cast<const char*>(name->data), name->size));
  const size_t size = found != nullptr ? found->size() : 32;
  key->data = static_cast<unsigned char*>(gnutls_malloc(size));
  if (key->data == nullptr) return -1;
  key->size = static_cast<unsigned>(size);
  if (found == nullptr) return gnutls_rnd(GNUTLS_RND_KEY, key->data, size);
  std::memcpy(key->data, found->data(), size);
  return 0;
}

TlsSession::Identity TlsSession::identity() const {
  gnutls_datum_t key{};
  if (gnutls_auth_client_get_type(session_) == GNUTLS_CRD_PSK && gnutls_psk_server_get_username2(session_, &key) == 0) {
    const std::string name(reinterpret_cast<const char*>(key.data), key.size);
    return {"psk " + distinct(name), {"psk:" + name}};
  }
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
  return {"certificate " + distinct(names.subject), std::move(names.all)};
}

}  // namespace lockstep
