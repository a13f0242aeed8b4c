"""Which blocks of the device the clients use: few, so that they meet, in groups that lie in many extents.

An extent is 4 MiB (docs/ondisk.md); a group of neighbours lies across the border of two, so that longer requests touch both.
"""

from history import BLOCK

GROUP = 8
GROUPS = 24
BLOCKS = GROUP * GROUPS
EXTENT = 4 << 20


def offset_of(block):
    group, place = divmod(block, GROUP)
    extent, side = divmod(group, 2)
    # Of each pair of groups one lies in the middle of an extent, the other across its end.
    start = extent * EXTENT + (EXTENT // 2 if side == 0 else EXTENT - GROUP // 2 * BLOCK)
    return start + place * BLOCK


def device_size():
    """What the disks have to hold, with room for the metadata."""
    return offset_of(BLOCKS - 1) + BLOCK + 2 * EXTENT
