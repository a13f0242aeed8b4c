"""What guest-load's files have to hold, given what it said. See load.cc for their form."""

import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))

from lab import LabError, expect  # noqa: E402

RECORD = 4096
RECORDS_OF_A_FILE = 64


def record(worker, number):
    line = f"record {number} of {worker}\n".encode()
    return (line * (RECORD // len(line) + 1))[:RECORD]


def acknowledged(path):
    """How many records of each worker were acknowledged. An error that guest-load met is raised."""
    counts = {}
    text = path.read_text(encoding="ascii") if path.exists() else ""
    for line in text.splitlines(keepends=True):
        if not line.endswith("\n"):
            break  # still on its way
        kind, worker, number = line.split(maxsplit=3)[:3]
        expect(kind == "a", f"guest-load met an error: {line}")
        expect(int(number) == counts.get(worker, 0), f"record {number} of {worker} comes after {counts.get(worker, 0) - 1}")
        counts[worker] = int(number) + 1
    return counts


def files(counts):
    """Path and contents of each file, once the workers have ended and nothing is under way."""
    for worker, count in counts.items():
        for first in range(0, count, RECORDS_OF_A_FILE):
            numbers = range(first, min(first + RECORDS_OF_A_FILE, count))
            yield f"{worker}/{first // RECORDS_OF_A_FILE}", b"".join(record(worker, number) for number in numbers)
        yield f"{worker}/last", record(worker, count - 1)


def digests(counts):
    """The same as sha256sum prints it."""
    return {path: hashlib.sha256(contents).hexdigest() for path, contents in files(counts)}


def check(directory, counts):
    """The files below the directory have to be those, byte by byte, and no others."""
    wanted = dict(files(counts))
    found = {str(path.relative_to(directory)) for worker in counts for path in (directory / worker).rglob("*")}
    if found != set(wanted):
        raise LabError(f"missing: {sorted(set(wanted) - found)}; too many: {sorted(found - set(wanted))}")
    for name, contents in wanted.items():
        got = (directory / name).read_bytes()
        if got != contents:
            place = next((i for i in range(min(len(got), len(contents))) if got[i] != contents[i]), min(len(got), len(contents)))
            around = got[place - place % RECORD:][:40]
            raise LabError(f"{name}: {len(got)} bytes instead of {len(contents)}; differs at {place}, where it has {around!r}")
