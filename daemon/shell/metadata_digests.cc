#include "shell/metadata_digests.h"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "meta/digest_page.h"
#include "shell/metadata_pages.h"

namespace lockstep {

namespace {

// Of the blocks behind the end of the smaller data area nothing is known: metadata may have lain there, or will.
void forget_from(uint64_t end, uint64_t page, DigestPage& digests) {
  const uint64_t first = first_block_of_digest_page(page);
  const uint64_t kept = end > first ? std::min(end - first, kDigestsPerPage) : 0;
  std::fill(digests.begin() + static_cast<std::ptrdiff_t>(kept), digests.end(), kNoDigest);
}

}  // namespace

int move_digests(MetadataIo& from, const Superblock& old, MetadataIo& to, const Layout& layout) {
  const uint64_t blocks = std::min(old.layout.blocks(), layout.blocks());
  const uint64_t shared = std::min(old.layout.digest_pages(), layout.digest_pages());
  PageWriter writer(to, layout.digest_offset);
  int error = 0;
  const auto write = [&](uint64_t page, std::optional<DigestPage> digests) {
    if (error != 0) return;
    const SectorSpan sector = writer.page();
    if (digests) {
      forget_from(blocks, page, *digests);
      encode_digest_page(page, old.record.disk, *digests, sector);
    } else {
      std::fill(sector.begin(), sector.end(), std::byte{0});
    }
    error = writer.add();
  };
  read_sectors(from, old.layout.digest_offset, shared, [&](uint64_t page, const std::byte* sector) {
    write(page, sector ? decode_digest_page(page, old.record.disk, SectorView(sector, kSectorBytes)) : std::nullopt);
  });
  for (uint64_t page = shared; page < layout.digest_pages() && error == 0; ++page) write(page, std::nullopt);
  return error != 0 ? error : writer.flush();
}

}  // namespace lockstep
