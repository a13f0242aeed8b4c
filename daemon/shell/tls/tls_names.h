// The names that a certificate proves.
#pragma once

#include <gnutls/gnutls.h>

#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

struct CertificateNames {
  std::string subject;           // as RFC 4514 writes it; empty: no certificate that can be read
  std::vector<std::string> all;  // as in an allow list: dn:, dns:, ip:, email:, uri:
};
CertificateNames names_of_certificate(const gnutls_datum_t& der);

// Whether it is for one of these names or addresses, as RFC 6125 compares them.
bool is_certificate_for(const gnutls_datum_t& der, const std::vector<std::string>& names);

// For logs and terminals: what a client may have put in to fool them is replaced, and what is long is cut.
std::string printable(std::string_view text);
// The same, but different for different texts: to what was replaced or cut a digest is added.
std::string distinct(std::string_view text);

}  // namespace lockstep
