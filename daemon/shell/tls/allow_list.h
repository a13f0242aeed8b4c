// Who may come in, by the names that a certificate or a pre-shared key proves.
//
// A file with one name a line; empty lines and what follows a '#' at a line's beginning are skipped:
//   dn:CN=client1,O=Example     the whole subject, as RFC 4514 writes it
//   dns:client1.example         a name, address, mail address or URI of the certificate (subjectAltName)
//   psk:alice                   the name of a pre-shared key
// Compared as a whole, byte by byte: no patterns, no prefixes, no letter case.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

class AllowList {
 public:
  // Nothing, and why not in `wrong`, where a line is no such name.
  static std::optional<AllowList> parse(std::string_view text, std::string& wrong);
  bool has_any_of(const std::vector<std::string>& names) const;

 private:
  std::set<std::string, std::less<>> names_;
};

}  // namespace lockstep
