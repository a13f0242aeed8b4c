// The secret of a resource, and whether it is one.
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <fstream>
#include <set>

#include "control/config/model.h"

namespace lockstep::config {

namespace {

constexpr size_t kShortest = 16;   // bytes: 128 bits at best
constexpr size_t kFewSymbols = 5;  // 16 random hexadecimal digits have fewer once in 100 million

std::string weakness_of(const std::string& secret) {
  if (secret.size() < kShortest)
    return fmt::format("has {} byte{}, fewer than {}", secret.size(), secret.size() == 1 ? "" : "s", kShortest);
  if (std::set<char>(secret.begin(), secret.end()).size() < kFewSymbols) return "repeats a few bytes";
  return "";
}

}  // namespace

Result<std::string> read_secret(const Net& net) {
  constexpr size_t kLongest = 1024;
  if (net.shared_secret_file.empty()) return net.shared_secret;
  errno = 0;
  std::ifstream in(net.shared_secret_file, std::ios::binary);
  if (!in) return Error{errno != 0 ? errno : EIO, "open shared-secret-file"};
  std::string text(kLongest + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  text = text.substr(0, text.find('\n'));
  if (!text.empty() && text.back() == '\r') text.pop_back();
  if (text.size() > kLongest) return Error{EFBIG, "read shared-secret-file"};
  if (text.empty()) return Error{EINVAL, "find a secret in shared-secret-file"};
  return text;
}

std::string secret_warnings(const std::string& resource, const Net& net) {
  std::string out;
  const std::string& file = net.shared_secret_file;
  const std::string name = file.empty() ? "shared-secret" : file;
  struct stat status {};
  if (!file.empty() && ::stat(file.c_str(), &status) == 0 && (status.st_mode & (S_IROTH | S_IWOTH)) != 0) {
    out += fmt::format("warning: {}: everybody on this machine may use {} (mode {:04o})\n  chmod 600 {}\n", resource, file,
                       status.st_mode & 07777, file);
  }
  const auto secret = read_secret(net);
  const std::string weakness = secret && !secret.value().empty() ? weakness_of(secret.value()) : "";
  if (weakness.empty()) return out;
  return out + fmt::format(
                   "warning: {}: the secret in {} {}: it can be guessed\n"
                   "  Make a random one (openssl rand -hex 32), put it on all nodes, and remove the resource's .pub file on the "
                   "witness.\n",
                   resource, name, weakness);
}

}  // namespace lockstep::config
