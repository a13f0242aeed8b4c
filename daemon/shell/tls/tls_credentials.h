// What this side proves itself with, and whom it believes: loaded from files, never changed afterwards. Sessions share it and keep it while they
// last. The cryptography is GnuTLS's.
#pragma once

#include <gnutls/gnutls.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shell/tls/allow_list.h"
#include "shell/tls/key_list.h"
#include "shell/tls/tls_files.h"

namespace lockstep {

class TlsCredentials {
 public:
  // Null, and why in `wrong` (which file, and what is the matter with it), where they cannot be used.
  static std::shared_ptr<const TlsCredentials> load(const TlsFiles& files, std::string& wrong);
  ~TlsCredentials();
  TlsCredentials(const TlsCredentials&) = delete;
  TlsCredentials& operator=(const TlsCredentials&) = delete;

  gnutls_certificate_credentials_t x509() const { return x509_; }    // null: none
  gnutls_psk_server_credentials_t psk() const { return psk_; }       // null: none
  bool asks_for_certificates() const { return !files_.ca.empty(); }  // of the other side
  const std::vector<std::byte>* key_of(std::string_view name) const { return keys_ ? keys_->key_of(name) : nullptr; }
  // Whether somebody who has proved these names may come in.
  bool allows(const std::vector<std::string>& names) const { return !allowed_ || allowed_->has_any_of(names); }
  bool names_who_may() const { return allowed_.has_value(); }

 private:
  explicit TlsCredentials(const TlsFiles& files) : files_(files) {}
  bool load_x509(std::string& wrong);
  bool load_psk(std::string& wrong);
  bool load_allowed(std::string& wrong);

  TlsFiles files_;
  gnutls_certificate_credentials_t x509_ = nullptr;
  gnutls_psk_server_credentials_t psk_ = nullptr;
  std::optional<KeyList> keys_;
  std::optional<AllowList> allowed_;
};

}  // namespace lockstep
