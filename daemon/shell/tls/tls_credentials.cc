#include "shell/tls/tls_credentials.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

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

// GnuTLS looks a key up when a client names it, and would refuse every client of a file that it cannot read.
bool is_key_list(const std::string& text) {
  std::istringstream lines(text);
  size_t keys = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.front() == '#') continue;
    const size_t colon = line.rfind(':');
    const std::string key = colon == std::string::npos ? "" : line.substr(colon + 1);
    const bool hex = key.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
    if (colon == 0 || key.size() < 32 || key.size() % 2 != 0 || !hex) return false;
    ++keys;
  }
  return keys > 0;
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
  if (!is_key_list(*text)) {
    wrong = fmt::format(
        "pre-shared keys {}: each line is NAME:KEY, the key in at least 32 hexadecimal digits (psktool makes them)", files_.psk);
    return false;
  }
  if (gnutls_psk_allocate_server_credentials(&psk_) == 0 && gnutls_psk_set_server_credentials_file(psk_, files_.psk.c_str()) == 0)
    return true;
  wrong = fmt::format("pre-shared keys {} cannot be used", files_.psk);
  return false;
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
