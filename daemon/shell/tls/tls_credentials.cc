#include "shell/tls/tls_credentials.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "shell/tls/tls_session.h"

namespace lockstep {

namespace {

std::optional<std::string> contents(const std::string& path, std::string& wrong) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file && file.peek() == std::ifstream::traits_type::eof() && !file.bad()) return std::string();  // << calls it a failure
  if (file) text << file.rdbuf();
  if (file && !file.bad() && text.good()) return text.str();
  wrong = fmt::format("cannot read {}: {}", path, std::strerror(errno != 0 ? errno : EIO));
  return std::nullopt;
}

}  // namespace

TlsCredentials::~TlsCredentials() {
  if (x509_ != nullptr) gnutls_certificate_free_credentials(x509_);
  if (psk_ != nullptr) gnutls_psk_free_server_credentials(psk_);
}

std::shared_ptr<const TlsCredentials> TlsCredentials::load(const TlsFiles& files, std::string& wrong) {
  std::shared_ptr<TlsCredentials> made(new TlsCredentials(files));
  if (files.x509() && !made->load_x509(wrong)) return nullptr;
  if (!files.psk.empty() && !made->load_psk(wrong)) return nullptr;
  if (!files.allow.empty() && !made->load_allowed(wrong)) return nullptr;
  if (made->x509_ != nullptr || made->psk_ != nullptr) return made;
  wrong = "neither a certificate nor pre-shared keys are given";
  return nullptr;
}

bool TlsCredentials::load_x509(std::string& wrong) {
  std::string unread;
  for (const std::string& path : {files_.certificate, files_.key, files_.ca}) {
    if (!path.empty() && !contents(path, wrong)) return false;
  }
  if (gnutls_certificate_allocate_credentials(&x509_) < 0) {
    wrong = "no memory for certificates";
    return false;
  }
  const int pair =
      gnutls_certificate_set_x509_key_file(x509_, files_.certificate.c_str(), files_.key.c_str(), GNUTLS_X509_FMT_PEM);
  if (pair < 0) {
    wrong = fmt::format("certificate {} with key {}: {}", files_.certificate, files_.key, gnutls_strerror(pair));
    return false;
  }
  if (files_.ca.empty()) return true;
  const int authorities = gnutls_certificate_set_x509_trust_file(x509_, files_.ca.c_str(), GNUTLS_X509_FMT_PEM);
  if (authorities > 0) return true;
  wrong = fmt::format("certificate authority {}: {}", files_.ca,
                      authorities < 0 ? gnutls_strerror(authorities) : "no certificate in it");
  return false;
}

bool TlsCredentials::load_psk(std::string& wrong) {
  const auto text = contents(files_.psk, wrong);
  if (!text) return false;
  std::string line;
  keys_ = KeyList::parse(*text, line);
  if (!keys_) {
    wrong = fmt::format("pre-shared keys {}: {}", files_.psk, line);
    return false;
  }
  if (gnutls_psk_allocate_server_credentials(&psk_) != 0) {
    wrong = "no memory for pre-shared keys";
    return false;
  }
  gnutls_psk_set_server_credentials_function2(psk_, TlsSession::key_of);
  return true;
}

bool TlsCredentials::load_allowed(std::string& wrong) {
  const auto text = contents(files_.allow, wrong);
  if (!text) return false;
  std::string line;
  allowed_ = AllowList::parse(*text, line);
  if (!allowed_) wrong = fmt::format("{}, {}", files_.allow, line);
  return allowed_.has_value();
}

}  // namespace lockstep
