"""What may be on a disk after power was lost (promises P1 and P4): a ledger of writes and flushes, sector by sector.

A sector must never show a version that a write replaced which counts: a write that was answered counts, unless the caches of all
copies were lost since; then only what had FUA, or a later FLUSH that was answered, counts. A write without an answer may or may
not have happened.
"""

import dataclasses

SECTORS = 8  # of a block


@dataclasses.dataclass(eq=False)
class Write:
    version: int
    issued: int
    fua: bool = False
    answered: int | None = None
    durable: bool = False


class Ledger:
    """Times are its own: they count calls."""

    def __init__(self, blocks):
        self.now = 0
        self.sectors = [[Write(0, 0, answered=0, durable=True)] for _ in range(blocks * SECTORS)]
        self.volatile = []  # answered, not durable

    def _tick(self):
        self.now += 1
        return self.now

    def write(self, block, version, fua):
        write = Write(version, self._tick(), fua)
        for sector in range(block * SECTORS, (block + 1) * SECTORS):
            self.sectors[sector].append(write)
        return write

    def answered(self, write):
        write.answered, write.durable = self._tick(), write.fua
        if not write.fua:
            self.volatile.append(write)

    def flush(self):
        return self._tick()

    def flushed(self, issued):
        for write in self.volatile:
            write.durable = write.durable or write.answered < issued
        self.volatile = [write for write in self.volatile if not write.durable]

    def allowed(self, sector, caches_lost):
        """The versions that a sector may show now."""
        writes = self.sectors[sector]
        last = max((write.issued for write in writes if (write.durable if caches_lost else write.answered is not None)), default=0)
        return {write.version for write in writes if write.answered is None or write.answered > last or write.issued == last}

    def told(self, sector):
        """The writes that the sector knows, for who has to find out what went wrong."""
        return ", ".join(f"{w.version} ({w.issued} to {w.answered}{', fua' if w.fua else ''}{', durable' if w.durable else ''})"
                         for w in self.sectors[sector])

    def seen(self, block, versions):
        """Everything is quiet and every copy shows these: the next loss of all caches may still bring older ones back."""
        again = {version: Write(version, self._tick(), answered=self._tick()) for version in dict.fromkeys(versions)}
        self.volatile += again.values()
        for sector, version in enumerate(versions, block * SECTORS):
            for write in self.sectors[sector]:
                if write.answered is None:  # whether it happened is decided
                    write.answered = write.issued + 1
            newest = max(write.issued for write in self.sectors[sector] if write.durable)
            self.sectors[sector] = [write for write in self.sectors[sector] if write.answered >= newest] + [again[version]]
