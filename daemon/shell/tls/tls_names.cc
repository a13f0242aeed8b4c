#include "shell/tls/tls_names.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>

#include <algorithm>
#include <array>

namespace lockstep {

namespace {

constexpr unsigned kMostNames = 64;
constexpr size_t kLongestName = 1024;

std::string address_text(const std::array<char, kLongestName>& bytes, size_t size) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = size == 4 ? AF_INET : size == 16 ? AF_INET6 : AF_UNSPEC;
  if (family == AF_UNSPEC || ::inet_ntop(family, bytes.data(), text.data(), text.size()) == nullptr) return {};
  return text.data();
}

// A name with a NUL in it is an attempt to be taken for another.
std::string name_of(int kind, const std::array<char, kLongestName>& bytes, size_t size) {
  const std::string text(bytes.data(), size);
  if (kind == GNUTLS_SAN_IPADDRESS) {
    const std::string address = address_text(bytes, size);
    return address.empty() ? "" : "ip:" + address;
  }
  if (text.find('\0') != std::string::npos) return {};
  if (kind == GNUTLS_SAN_DNSNAME) return "dns:" + text;
  if (kind == GNUTLS_SAN_RFC822NAME) return "email:" + text;
  return kind == GNUTLS_SAN_URI ? "uri:" + text : "";
}

void add_alternatives(gnutls_x509_crt_t certificate, std::vector<std::string>& names) {
  for (unsigned i = 0; i < kMostNames; ++i) {
    std::array<char, kLongestName> bytes{};
    size_t size = bytes.size();
    const int kind = gnutls_x509_crt_get_subject_alt_name(certificate, i, bytes.data(), &size, nullptr);
    if (kind == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) return;
    std::string name = kind < 0 ? "" : name_of(kind, bytes, size);
    if (!name.empty()) names.push_back(std::move(name));
  }
}

}  // namespace

CertificateNames names_of_certificate(const gnutls_datum_t& der) {
  CertificateNames names;
  gnutls_x509_crt_t certificate = nullptr;
  if (gnutls_x509_crt_init(&certificate) < 0) return names;
  gnutls_datum_t subject{};
  if (gnutls_x509_crt_import(certificate, &der, GNUTLS_X509_FMT_DER) == 0 &&
      gnutls_x509_crt_get_dn3(certificate, &subject, 0) == 0) {
    names.subject.assign(reinterpret_cast<const char*>(subject.data), subject.size);
    gnutls_free(subject.data);
    names.all.push_back("dn:" + names.subject);
    add_alternatives(certificate, names.all);
  }
  gnutls_x509_crt_deinit(certificate);
  return names;
}

bool is_certificate_for(const gnutls_datum_t& der, const std::vector<std::string>& names) {
  gnutls_x509_crt_t certificate = nullptr;
  if (gnutls_x509_crt_init(&certificate) < 0) return false;
  const bool read = gnutls_x509_crt_import(certificate, &der, GNUTLS_X509_FMT_DER) == 0;
  const auto matches = [certificate](const std::string& name) {
    return gnutls_x509_crt_check_hostname(certificate, name.c_str()) != 0;
  };
  const bool is = read && std::any_of(names.begin(), names.end(), matches);
  gnutls_x509_crt_deinit(certificate);
  return is;
}

std::string printable(std::string_view text) {
  constexpr size_t kMost = 256;
  std::string clean;
  for (const char c : text.substr(0, kMost)) {
    const auto byte = static_cast<unsigned char>(c);
    clean.push_back(byte < 0x20 || byte == 0x7f ? '?' : c);
  }
  return clean;
}

std::string distinct(std::string_view text) {
  std::string shown = printable(text);
  if (shown == text) return shown;
  std::array<unsigned char, 32> digest{};
  gnutls_hash_fast(GNUTLS_DIG_SHA256, text.data(), text.size(), digest.data());
  return fmt::format("{} ({:02x})", shown, fmt::join(digest.begin(), digest.begin() + 8, ""));
}

}  // namespace lockstep
