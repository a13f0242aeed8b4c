// Certificates for tests, made by way of GnuTLS: an authority, what it has signed, and files that hold it.
#pragma once

#include <gnutls/x509.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "shell/tls/tls_files.h"

namespace lockstep {

struct Issued {
  std::string certificate;  // PEM
  std::string key;
};

struct AlternativeName {
  gnutls_x509_subject_alt_name_t kind;
  std::string value;  // of an address: its bytes
};

struct Wish {
  std::string common_name = "localhost";  // any bytes
  std::string organization = {};
  std::vector<AlternativeName> names = {};
  std::string purpose = {};  // an OID; empty: none is written, which means any
  int64_t begins = -3600;    // seconds from now
  int64_t ends = 3600;
};

class Authority {
 public:
  explicit Authority(const std::string& name = "authority") {
    key_ = new_key();
    gnutls_x509_crt_init(&certificate_);
    fill(certificate_, {.common_name = name}, key_, 1);
    EXPECT_EQ(gnutls_x509_crt_set_basic_constraints(certificate_, 1, -1), 0);
    EXPECT_EQ(gnutls_x509_crt_set_key_usage(certificate_, GNUTLS_KEY_KEY_CERT_SIGN), 0);
    EXPECT_EQ(gnutls_x509_crt_sign2(certificate_, certificate_, key_, GNUTLS_DIG_SHA256, 0), 0);
  }
  ~Authority() {
    gnutls_x509_crt_deinit(certificate_);
    gnutls_x509_privkey_deinit(key_);
  }
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  std::string pem() const { return pem_of(certificate_); }

  Issued issue(const Wish& wish) {
    gnutls_x509_privkey_t key = new_key();
    gnutls_x509_crt_t certificate = nullptr;
    gnutls_x509_crt_init(&certificate);
    fill(certificate, wish, key, ++serial_);
    EXPECT_EQ(gnutls_x509_crt_set_key_usage(certificate, GNUTLS_KEY_DIGITAL_SIGNATURE), 0);
    for (const AlternativeName& name : wish.names) {
      EXPECT_EQ(gnutls_x509_crt_set_subject_alt_name(certificate, name.kind, name.value.data(),
                                                     static_cast<unsigned>(name.value.size()), GNUTLS_FSAN_APPEND),
                0)
          << name.value;
    }
    if (!wish.purpose.empty()) {
      EXPECT_EQ(gnutls_x509_crt_set_key_purpose_oid(certificate, wish.purpose.c_str(), 0), 0);
    }
    EXPECT_EQ(gnutls_x509_crt_sign2(certificate, certificate_, key_, GNUTLS_DIG_SHA256, 0), 0);
    Issued issued{pem_of(certificate), pem_of(key)};
    gnutls_x509_crt_deinit(certificate);
    gnutls_x509_privkey_deinit(key);
    return issued;
  }
  Issued server(const std::string& name = "localhost") {
    return issue({.common_name = name, .names = {{GNUTLS_SAN_DNSNAME, name}}, .purpose = GNUTLS_KP_TLS_WWW_SERVER});
  }
  Issued client(const std::string& name = "client1") { return issue({.common_name = name, .purpose = GNUTLS_KP_TLS_WWW_CLIENT}); }

 private:
  static gnutls_x509_privkey_t new_key() {
    gnutls_x509_privkey_t key = nullptr;
    gnutls_x509_privkey_init(&key);
    EXPECT_EQ(gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0), 0);
    return key;
  }
  static void fill(gnutls_x509_crt_t certificate, const Wish& wish, gnutls_x509_privkey_t key, uint32_t serial) {
    const std::string number{static_cast<char>(serial >> 8 & 0x7f), static_cast<char>(serial & 0xff)};
    const time_t now = ::time(nullptr);
    EXPECT_EQ(gnutls_x509_crt_set_version(certificate, 3), 0);
    EXPECT_EQ(gnutls_x509_crt_set_serial(certificate, number.data(), number.size()), 0);
    EXPECT_EQ(gnutls_x509_crt_set_activation_time(certificate, now + wish.begins), 0);
    EXPECT_EQ(gnutls_x509_crt_set_expiration_time(certificate, now + wish.ends), 0);
    set(certificate, GNUTLS_OID_X520_ORGANIZATION_NAME, wish.organization);
    set(certificate, GNUTLS_OID_X520_COMMON_NAME, wish.common_name);
    EXPECT_EQ(gnutls_x509_crt_set_key(certificate, key), 0);
  }
  static void set(gnutls_x509_crt_t certificate, const char* oid, const std::string& value) {
    if (value.empty()) return;
    EXPECT_EQ(gnutls_x509_crt_set_dn_by_oid(certificate, oid, 0, value.data(), static_cast<unsigned>(value.size())), 0);
  }
  static std::string taken(gnutls_datum_t& text) {
    std::string all(reinterpret_cast<const char*>(text.data), text.size);
    gnutls_free(text.data);
    return all;
  }
  static std::string pem_of(gnutls_x509_crt_t certificate) {
    gnutls_datum_t text{};
    EXPECT_EQ(gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &text), 0);
    return taken(text);
  }
  static std::string pem_of(gnutls_x509_privkey_t key) {
    gnutls_datum_t text{};
    EXPECT_EQ(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &text), 0);
    return taken(text);
  }

  gnutls_x509_privkey_t key_ = nullptr;
  gnutls_x509_crt_t certificate_ = nullptr;
  uint32_t serial_ = 1;
};

// A directory for keys, for as long as a test runs.
class KeyDirectory {
 public:
  KeyDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "lockstep-tls-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  ~KeyDirectory() { std::filesystem::remove_all(path_); }
  KeyDirectory(const KeyDirectory&) = delete;
  KeyDirectory& operator=(const KeyDirectory&) = delete;

  std::string path(const std::string& name) const { return (path_ / name).string(); }
  // In the place of what is there, as one step: another file, whatever the clock says.
  std::string put(const std::string& name, std::string_view text) const {
    std::ofstream(path(name + ".new"), std::ios::binary) << text;
    std::filesystem::rename(path(name + ".new"), path(name));
    return path(name);
  }
  // `who` is shown, and those are believed whom `ca` has signed. `name`: of the files.
  TlsFiles files(const std::string& name, const Issued& who, const std::string& ca) const {
    TlsFiles files;
    files.certificate = put(name + ".cert", who.certificate);
    files.key = put(name + ".key", who.key);
    if (!ca.empty()) files.ca = put(name + ".ca", ca);
    return files;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace lockstep
