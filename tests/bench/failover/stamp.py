"""What the client writes and logs, as the checker reads it."""

import struct

BLOCK = 4096
WRITERS, BLOCKS_EACH = 4, 64
BLOCKS = WRITERS * BLOCKS_EACH
STAMP = struct.Struct("<QQ")
RECORD = struct.Struct("<IQqqB")  # block, version, called, answered, which node


def content(block, version):
    return STAMP.pack(block, version) * (BLOCK // STAMP.size)


def versions_in(data):
    """Of BLOCKS blocks read at once: the version that each carries, or None if it is torn or another block's."""
    versions = []
    for block in range(BLOCKS):
        here = data[block * BLOCK: (block + 1) * BLOCK]
        number, version = STAMP.unpack_from(here)
        fine = here == content(block, version) and (number == block or version == 0)
        versions.append(version if fine else None)
    return versions
