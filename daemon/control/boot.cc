#include "control/boot.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "shell/loop/unique_fd.h"

namespace lockstep {

namespace {

using Token = std::array<unsigned char, 16>;

Result<Token> boot_token(const std::string& path) {
  Token token{};
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.ok() && ::read(fd.get(), token.data(), token.size()) == static_cast<ssize_t>(token.size())) return token;
  if (::getrandom(token.data(), token.size(), 0) != static_cast<ssize_t>(token.size())) return Error{errno, "getrandom"};
  const std::string fresh = path + ".new";
  fd = UniqueFd(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd.ok()) return Error{errno, "open"};
  if (::write(fd.get(), token.data(), token.size()) != static_cast<ssize_t>(token.size())) return Error{errno, "write"};
  if (::rename(fresh.c_str(), path.c_str()) != 0) return Error{errno, "rename"};
  return token;
}

}  // namespace

Result<void> prepare_run_dir(const std::string& run_dir) {
  if (::mkdir(run_dir.c_str(), 0755) != 0 && errno != EEXIST) return Error{errno, "mkdir"};
  return {};
}

Result<Boot> this_boot(const std::string& run_dir) {
  auto token = boot_token(run_dir + "/boot-token");
  if (!token) return token.error();
  std::array<char, 64> kernel{};
  UniqueFd fd(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  const ssize_t length = fd.ok() ? ::read(fd.get(), kernel.data(), kernel.size()) : -1;
  if (length <= 0) return Error{errno, "read boot_id"};
  Boot boot;
  const int failed = crypto_generichash(boot.bytes.data(), boot.bytes.size(), reinterpret_cast<unsigned char*>(kernel.data()),
                                        static_cast<unsigned long long>(length), token.value().data(), token.value().size());
  CHECK(failed == 0);
  return boot;
}

}  // namespace lockstep
