#include <glob.h>

#include <cerrno>
#include <fstream>
#include <iterator>

#include "control/config/tree.h"

namespace lockstep::config {

namespace {
constexpr size_t kMaxFileBytes = 1024 * 1024;
}

Result<std::string> FileReader::read(const std::string& path) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{errno != 0 ? errno : EIO, "open the configuration file"};
  std::string text(kMaxFileBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || (in.fail() && !in.eof())) return Error{errno != 0 ? errno : EIO, "read the configuration file"};
  text.resize(static_cast<size_t>(in.gcount()));
  if (text.empty() && errno == EISDIR) return Error{EISDIR, "read the configuration file"};
  if (text.size() > kMaxFileBytes) return Error{EFBIG, "read the configuration file"};
  return text;
}

std::vector<std::string> FileReader::expand(const std::string& pattern) {
  if (pattern.find_first_of("*?[") == std::string::npos) return {pattern};
  std::vector<std::string> paths;
  glob_t found{};
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
  }
  ::globfree(&found);
  return paths;
}

}  // namespace lockstep::config
