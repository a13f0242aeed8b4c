// Pre-shared keys by name, as psktool(1) writes them: NAME:KEY a line, the key in hexadecimal digits.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

class KeyList {
 public:
  // Nothing, and why in `wrong`, where a line is no such key, a name comes twice, or there is none at all. Names are of printable ASCII without a
  // colon, for they are shown and compared; GnuTLS's own other form, '#' and the name in hexadecimal digits, would hide behind what looks like
  // a remark, and is one here. A key has 16 bytes at least.
  static std::optional<KeyList> parse(std::string_view text, std::string& wrong);
  const std::vector<std::byte>* key_of(std::string_view name) const;  // null: unknown

 private:
  std::map<std::string, std::vector<std::byte>, std::less<>> keys_;
};

}  // namespace lockstep
