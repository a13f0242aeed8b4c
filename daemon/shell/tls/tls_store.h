// Credentials that follow their files: a certificate that was renewed, or a name that was struck out, counts for the next connection, without a
// restart. Files that are changed to what cannot be used leave in force what was there, and a line in the log says so.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "shell/tls/tls_credentials.h"

namespace lockstep {

class TlsStore {
 public:
  using Tell = std::function<void(const std::string& text)>;
  // Null, and why in `wrong`.
  static std::unique_ptr<TlsStore> open(const TlsFiles& files, Tell tell, std::string& wrong);
  // Looks whether a file has changed.
  std::shared_ptr<const TlsCredentials> current();

 private:
  struct Stamp {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = -1;
    timespec changed{};
    friend bool operator==(const Stamp& a, const Stamp& b) {
      return a.device == b.device && a.inode == b.inode && a.size == b.size && a.changed.tv_sec == b.changed.tv_sec &&
             a.changed.tv_nsec == b.changed.tv_nsec;
    }
  };
  TlsStore(const TlsFiles& files, Tell tell) : files_(files), tell_(std::move(tell)) {}
  std::vector<Stamp> look() const;

  TlsFiles files_;
  Tell tell_;
  std::vector<Stamp> stamps_;  // when they were loaded, or could not be
  std::shared_ptr<const TlsCredentials> current_;
};

}  // namespace lockstep
