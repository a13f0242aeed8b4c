#include "control/config/tls_options.h"

namespace lockstep::config {

TlsObjection nbd_tls_objection(const Options& options) {
  const TlsPaths& files = options.nbd_tls_files;
  const bool pair = !files.certificate.empty() && !files.key.empty();
  if (files.certificate.empty() != files.key.empty()) {
    const bool no_key = files.key.empty();
    return {no_key ? "nbd-tls-certificate" : "nbd-tls-key",
            no_key ? "nbd-tls-certificate needs the certificate's key: nbd-tls-key FILE"
                   : "nbd-tls-key needs the key's certificate: nbd-tls-certificate FILE",
            {}};
  }
  if (!files.ca.empty() && !pair)
    return {
        "nbd-tls-ca",
        "nbd-tls-ca is for clients' certificates, which are asked for only by who shows one: nbd-tls-certificate and nbd-tls-key",
        {}};
  if (!files.allow.empty() && files.ca.empty() && files.psk.empty())
    return {"nbd-tls-allow",
            "nbd-tls-allow names clients, and none can prove a name: nbd-tls-ca FILE or nbd-tls-psk FILE is missing",
            {}};
  const bool any = pair || !files.psk.empty();
  if (options.nbd_tls == NbdTls::off) {
    if (!any) return {};
    return {"nbd-tls-certificate", {}, "files for TLS are given, and nbd-tls is off: NBD clients are served in the clear"};
  }
  if (!any)
    return {"nbd-tls", "nbd-tls needs a certificate (nbd-tls-certificate and nbd-tls-key) or pre-shared keys (nbd-tls-psk)", {}};
  return {};
}

}  // namespace lockstep::config
