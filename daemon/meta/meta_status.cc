#include "meta/meta_status.h"

#include "base/check.h"

namespace lockstep {

namespace {

struct Words {
  std::string_view code;
  std::string_view text;
  std::string_view remedy;
};

Words words_of(MetaStatus status) {
  switch (status) {
    case MetaStatus::ok:
      return {"ok", "the metadata is intact", ""};
    case MetaStatus::no_metadata:
      return {"no-metadata", "no Lockstep metadata was found",
              "If the device has grown: move-md; if it was made smaller: give it back its former size; if it is new: create-md."};
    case MetaStatus::damaged:
      return {
          "damaged", "there is Lockstep metadata, but no superblock copy passes its checksum",
          "If the device has grown a little: move-md. Otherwise look for a failing disk; then create-md --force and a full resync from a peer."};
    case MetaStatus::unsupported_version:
      return {"unsupported-version", "the metadata was written by a later version of Lockstep",
              "Install that version or a later one."};
    case MetaStatus::unsupported_feature:
      return {"unsupported-feature", "the metadata uses a feature that this version does not know",
              "Install the version that wrote it or a later one."};
    case MetaStatus::malformed:
      return {"malformed", "a superblock passes its checksum but makes no sense",
              "Please report this with the output of dump-md; then create-md --force and a full resync."};
    case MetaStatus::no_quorum:
      return {"no-quorum-of-copies", "only one superblock copy is readable, and nothing vouches for it",
              "Look for a failing disk; then create-md --force and a full resync from a peer."};
    case MetaStatus::fork:
      return {"fork", "the superblock copies contradict each other: two writers had this device",
              "Find the other user of this device; then create-md --force and a full resync from a peer."};
    case MetaStatus::layout_mismatch:
      return {"layout-mismatch", "the metadata was made for a device of another size",
              "Check that the configured disk and meta-disk are the ones that belong together."};
    case MetaStatus::other_resource:
      return {
          "other-resource", "the metadata belongs to another resource",
          "Check the configured disk; its resource id is shown by dump-md. If nodes were added, replaced or renamed since, write that id into "
          "the configuration of every node: options { resource-uuid ID; }."};
    case MetaStatus::other_node:
      return {"other-node", "the metadata belongs to another node",
              "Check node-id and disk; a copied disk needs create-md --force."};
    case MetaStatus::other_volume:
      return {"other-volume", "the metadata belongs to another volume of this resource",
              "Check which disk is configured for which volume."};
    case MetaStatus::device_too_small:
      return {"device-too-small", "the device is too small", "Use a larger device."};
    case MetaStatus::device_too_large:
      return {"device-too-large", "the device is larger than one volume can be",
              "Use a smaller one: at most 1000 GiB. More data needs several resources."};
    case MetaStatus::io_error:
      return {"io-error", "the device returned an I/O error", "Look into the kernel log."};
  }
  UNREACHABLE("MetaStatus");
}

}  // namespace

std::string_view text_of(MetaStatus status) { return words_of(status).text; }
std::string_view remedy_of(MetaStatus status) { return words_of(status).remedy; }
std::string_view code_of(MetaStatus status) { return words_of(status).code; }

}  // namespace lockstep
