#include "control/config/tls_options.h"

namespace lockstep::config {

namespace {

TlsObjection error(Section section, std::string_view option, std::string text) { return {section, option, std::move(text), {}}; }
TlsObjection warning(Section section, std::string_view option, std::string text) {
  return {section, option, {}, std::move(text)};
}

}  // namespace

TlsObjection nbd_tls_objection(const Options& options) {
  const TlsPaths& files = options.nbd_tls_files;
  const bool pair = !files.certificate.empty() && !files.key.empty();
  if (!files.certificate.empty() && !pair)
    return error(Section::options, "nbd-tls-certificate", "nbd-tls-certificate needs the certificate's key: nbd-tls-key FILE");
  if (!files.key.empty() && !pair)
    return error(Section::options, "nbd-tls-key", "nbd-tls-key needs the key's certificate: nbd-tls-certificate FILE");
  if (!files.ca.empty() && !pair)
    return error(
        Section::options, "nbd-tls-ca",
        "nbd-tls-ca is for clients' certificates, and only who shows one can ask for them: nbd-tls-certificate and nbd-tls-key");
  if (!files.allow.empty() && files.ca.empty() && files.psk.empty())
    return error(Section::options, "nbd-tls-allow",
                 "nbd-tls-allow names clients, and none can prove a name: nbd-tls-ca FILE or nbd-tls-psk FILE is missing");
  const bool any = pair || !files.psk.empty();
  if (options.nbd_tls != NbdTls::off && !any)
    return error(Section::options, "nbd-tls",
                 "nbd-tls needs a certificate (nbd-tls-certificate and nbd-tls-key) or pre-shared keys (nbd-tls-psk)");
  if (options.nbd_tls == NbdTls::off && any)
    return warning(Section::options, pair ? "nbd-tls-certificate" : "nbd-tls-psk",
                   "files for TLS are given, and nbd-tls is off: NBD clients are served in the clear");
  return {};
}

TlsObjection link_tls_objection(const Net& net) {
  const struct {
    std::string_view option;
    const std::string& file;
  } needed[] = {{"tls-certificate", net.tls_files.certificate}, {"tls-key", net.tls_files.key}, {"tls-ca", net.tls_files.ca}};
  for (const auto& [option, file] : needed) {
    if (net.tls && file.empty())
      return error(Section::net, "tls",
                   "tls yes needs tls-certificate, tls-key and tls-ca: " + std::string(option) + " is missing");
    if (!net.tls && !file.empty())
      return warning(Section::net, option, "files for TLS are given, and tls is no: what is replicated travels in the clear");
  }
  return {};
}

}  // namespace lockstep::config
