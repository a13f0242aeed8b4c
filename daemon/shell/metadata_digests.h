// The block digests of metadata that is moved.
#pragma once

#include "meta/superblock.h"
#include "shell/metadata_io.h"

namespace lockstep {

// Writes every page of the new digest area. The disk stays the same, so a page that an earlier stay left at the new place would be believed:
// what is not taken along is cleared, and that is whatever cannot be read, or belongs to blocks that only one of the two data areas has.
// 0 or an errno.
int move_digests(MetadataIo& from, const Superblock& old, MetadataIo& to, const Layout& layout);

}  // namespace lockstep
