#include "shell/tls/tls_store.h"

#include <fmt/format.h>

namespace lockstep {

std::unique_ptr<TlsStore> TlsStore::open(const TlsFiles& files, Tell tell, std::string& wrong) {
  std::unique_ptr<TlsStore> store(new TlsStore(files, std::move(tell)));
  store->stamps_ = store->look();
  store->current_ = TlsCredentials::load(files, wrong);
  return store->current_ ? std::move(store) : nullptr;
}

// By more than the time of the last change: a file that is put in another's place may be older than it.
std::vector<TlsStore::Stamp> TlsStore::look() const {
  std::vector<Stamp> stamps;
  for (const std::string* path : {&files_.certificate, &files_.key, &files_.ca, &files_.psk, &files_.allow}) {
    struct stat is {};
    const bool there = !path->empty() && ::stat(path->c_str(), &is) == 0;
    stamps.push_back(there ? Stamp{is.st_dev, is.st_ino, is.st_size, is.st_ctim} : Stamp{});
  }
  return stamps;
}

std::shared_ptr<const TlsCredentials> TlsStore::current() {
  std::vector<Stamp> now = look();
  if (now == stamps_) return current_;
  stamps_ = std::move(now);
  std::string wrong;
  auto loaded = TlsCredentials::load(files_, wrong);
  tell_(loaded ? "TLS: keys and certificates were loaded again"
               : fmt::format("TLS: what was loaded before stays in force: {}", wrong));
  if (loaded) current_ = std::move(loaded);
  return current_;
}

}  // namespace lockstep
