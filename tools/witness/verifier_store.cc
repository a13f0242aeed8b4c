#include "verifier_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "shell/loop/unique_fd.h"

namespace lockstep {

namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string verifier_text(const Verifier& verifier) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::byte b : verifier) {
    text.push_back(kDigits[std::to_integer<unsigned>(b) >> 4]);
    text.push_back(kDigits[std::to_integer<unsigned>(b) & 15]);
  }
  return text + "\n";
}

std::optional<Verifier> parse_verifier(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
  Verifier verifier{};
  if (text.size() != 2 * verifier.size()) return std::nullopt;
  for (size_t i = 0; i < verifier.size(); ++i) {
    const int high = hex_value(text[2 * i]);
    const int low = hex_value(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    verifier[i] = static_cast<std::byte>(high * 16 + low);
  }
  return verifier;
}

std::string VerifierStore::path_of(const ResourceId& resource) const {
  if (preloaded_.empty()) return dir_.file_of(resource, ".pub");
  return preloaded_ + "/" + resource.to_string() + ".pub";
}

Result<std::optional<Verifier>> VerifierStore::load(const ResourceId& resource) const {
  const UniqueFd fd(::open(path_of(resource).c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.ok() && errno == ENOENT) return std::optional<Verifier>();
  if (!fd.ok()) return Error{errno, "open a verifier"};
  char text[256];
  const ssize_t got = ::read(fd.get(), text, sizeof(text));
  if (got < 0) return Error{errno, "read a verifier"};
  const auto verifier = parse_verifier({text, static_cast<size_t>(got)});
  if (!verifier) return Error{EBADMSG, "the verifier is damaged"};
  return std::optional<Verifier>(*verifier);
}

bool VerifierStore::knows_or_learns(const ResourceId& resource) const {
  if (preloaded_.empty()) return true;
  return ::access(path_of(resource).c_str(), F_OK) == 0;
}

Result<bool> VerifierStore::accept(const ResourceId& resource, const Verifier& verifier) {
  const auto known = load(resource);
  if (!known.ok()) return known.error();
  if (known.value()) return *known.value() == verifier;
  if (!preloaded_.empty()) return false;
  if (dir_.count(".pub") >= max_learned_) return Error{0, "this witness serves as many resources as it may"};
  if (auto stored = dir_.replace(path_of(resource), verifier_text(verifier)); !stored.ok()) return stored.error();
  return true;
}

}  // namespace lockstep
