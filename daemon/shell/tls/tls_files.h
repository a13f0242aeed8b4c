// Where keys and certificates are. Paths of PEM files, and of GnuTLS's own form for pre-shared keys (psktool).
#pragma once

#include <string>

namespace lockstep {

struct TlsFiles {
  std::string certificate;  // with the certificates that lead to an authority, if any are needed
  std::string key;
  std::string ca;     // who signs the other side's certificates; empty: it is not asked for one
  std::string psk;    // "NAME:HEX" a line
  std::string allow;  // names that may come in (allow_list.h); empty: all who prove one
  bool x509() const { return !certificate.empty(); }
  friend bool operator==(const TlsFiles&, const TlsFiles&) = default;
};

}  // namespace lockstep
