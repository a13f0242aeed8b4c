// Who may speak for a resource. At first contact with a resource id its verifier (a public key, wire/auth.h)
// is stored, and from then on only who holds the private key is answered. With a directory of preloaded
// verifiers unknown resources are refused. A file is named RESOURCE-UUID.pub and holds 64 hexadecimal digits
// and a newline.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "state_dir.h"
#include "wire/auth.h"

namespace lockstep {

std::string verifier_text(const Verifier& verifier);  // with the newline
std::optional<Verifier> parse_verifier(std::string_view text);

class VerifierStore {
 public:
  // `preloaded`: the directory of --verifiers, empty: none, learn at first contact. `dir` outlives it.
  // max_learned bounds the disk that strangers can make us use.
  VerifierStore(const StateDir& dir, std::string preloaded, size_t max_learned = 4096)
      : dir_(dir), preloaded_(std::move(preloaded)), max_learned_(max_learned) {}

  // May this resource be spoken for at all? False only with preloaded verifiers.
  bool knows_or_learns(const ResourceId& resource) const;
  // Is `verifier`, whose private key was proved, the resource's? Stores it at first contact, durably, before
  // saying yes. A file that cannot be read or parsed (EBADMSG) is an error: a damaged verifier must not let a
  // stranger take its place.
  Result<bool> accept(const ResourceId& resource, const Verifier& verifier);

  std::string path_of(const ResourceId& resource) const;

 private:
  // Nothing: there is no such file.
  Result<std::optional<Verifier>> load(const ResourceId& resource) const;

  const StateDir& dir_;
  std::string preloaded_;
  size_t max_learned_;
};

}  // namespace lockstep
