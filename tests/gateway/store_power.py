"""Power cuts, played from a trace: `python -m tests.gateway.store_power`.

    python -m tests.gateway.store_power [--images 2000] [--seed N]

Victims write to a log under a library that writes down every change to its files
(`store_trace.c`). The trace is then cut at many places, and from each cut come the disks that the
power may leave behind:

- what was synced is there: of a file what was written before its sync, of a name (made, renamed,
  unlinked) what was done before the folder's sync;
- of the rest there is nothing, all, a prefix, or any part, since a disk writes in an order of its
  own; and one write may be torn, at 512 or 4096 bytes, the rest old or zero.

Every such disk is opened as a log, and its books are balanced with what was said up to the cut.
"""

import argparse
import asyncio
import random
import secrets
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from pathlib import Path

import structlog

from tests.gateway.store_books import Books
from tests.gateway.store_lives import nursery

HERE = Path(__file__).parent
MEMORY = Path("/dev/shm")
SECTORS = (512, 4096)
_HEAD = struct.Struct("=cIQQ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the trace."""

    what: str
    path: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change to a file's content that is not synced."""

    what: str
    """W, T or F, as in the trace."""
    offset: int
    data: bytes = b""

    def apply(self, content: bytearray) -> None:
        end = self.offset + len(self.data)
        if self.what == "T":
            del content[self.offset :]
        content.extend(bytes(max(0, end - len(content))))
        content[self.offset : end] = self.data


@dataclass(eq=False, slots=True)
class File:
    """Content on the disk, and what was done to it since."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[Change] = field(default_factory=list)

    def sync(self) -> None:
        for change in self.pending:
            change.apply(self.synced)
        self.pending.clear()


Names = dict[str, File]


class Kept(StrEnum):
    """What is on the disk of the changes that were not synced."""

    NOTHING = "nothing"
    ALL = "all"
    PREFIX = "prefix"
    PART = "part"
    TORN = "torn"


class Disk:
    """The files of one folder, played from the trace."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._synced: Names = {}
        self._names: Names = {}
        self._history: list[Names] = []
        """The names after each change that is not synced."""

    def play(self, entry: Entry) -> None:
        """Take one entry of the trace."""
        if entry.path == self._folder:
            self._synced = dict(self._names)
            self._history.clear()
        elif entry.what == "O":
            self._open(entry)
        elif entry.what == "U":
            if self._names.pop(entry.path, None) is not None:
                self._history.append(dict(self._names))
        elif entry.what == "R":
            self._names[entry.data.decode()] = self._names.pop(entry.path)
            self._history.append(dict(self._names))
        elif entry.what == "S":
            self._names[entry.path].sync()
        else:
            change = Change(what=entry.what, offset=entry.offset, data=entry.data)
            self._names[entry.path].pending.append(change)

    def image(self, kept: Kept, dice: random.Random) -> dict[str, bytes]:
        """Return the files that a power cut may leave at this moment, by name."""
        versions = [self._synced, *self._history]
        names = {
            Kept.NOTHING: versions[0],
            Kept.ALL: versions[-1],
        }.get(kept, dice.choice(versions))
        return {path: _content(file, kept, dice) for path, file in names.items()}

    def _open(self, entry: Entry) -> None:
        if entry.path not in self._names:
            self._names[entry.path] = File()
            self._history.append(dict(self._names))
        elif entry.offset:
            self._names[entry.path].pending.append(Change(what="T", offset=0))


def _content(file: File, kept: Kept, dice: random.Random) -> bytes:
    content = bytearray(file.synced)
    pending = file.pending
    match kept:
        case Kept.NOTHING:
            chosen: Sequence[Change] = ()
        case Kept.ALL:
            chosen = pending
        case Kept.PREFIX:
            chosen = pending[: dice.randint(0, len(pending))]
        case Kept.PART:
            chosen = [change for change in pending if dice.random() < 0.5]
        case Kept.TORN:
            whole = pending[: dice.randint(0, len(pending))]
            chosen = [*whole[:-1], *(_torn(content, whole[-1], dice) if whole else ())]
    for change in chosen:
        change.apply(content)
    return bytes(content)


def _torn(content: bytearray, change: Change, dice: random.Random) -> Iterator[Change]:
    """Yield what a write left that the power cut hit."""
    sector = dice.choice(SECTORS)
    is_zeroed = dice.random() < 0.3
    is_ordered = dice.random() < 0.5
    end = change.offset + len(change.data)
    inner = range(change.offset - change.offset % sector + sector, end, sector)
    places = [change.offset, *inner, end]
    cut = dice.randint(0, len(places))
    for number, (first, last) in enumerate(pairwise(places)):
        is_new = number < cut if is_ordered else dice.random() < 0.5
        part = change.data[first - change.offset : last - change.offset]
        if is_new:
            yield Change(what=change.what, offset=first, data=part)
        elif is_zeroed:
            yield Change(what=change.what, offset=first, data=bytes(len(part)))


def compiled_tracer(folder: Path) -> Path:
    """Compile the library that writes the trace; returns its path."""
    library = folder / "store_trace.so"
    source = str(HERE / "store_trace.c")
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, "-o", str(library), source, "-ldl", "-lpthread"], check=True)
    return library


def record(
    folder: Path,
    library: Path,
    *,
    seed: int,
    environment: Mapping[str, str],
    steps: Sequence[int] = (60, 0, 90, 0, 0, 250),
) -> list[Entry]:
    """Let victims live on a log in a folder, closed or killed, and return the trace.

    Args:
        folder: Empty.
        library: The compiled tracer.
        seed: Of the victims.
        environment: What else the victims are told.
        steps: Of each life; 0 is until killed.
    """
    watched = folder / "disk"
    watched.mkdir()
    trace = folder / "trace"
    traced = {
        "LD_PRELOAD": str(library),
        "STORE_TRACE": str(trace),
        "STORE_TRACE_FOLDER": str(watched),
    }
    with nursery({**traced, **environment}) as children:
        for life, count in enumerate(steps):
            if count:
                children.live(watched / "log.db", seed + life, steps=count)
            else:
                children.live_and_die(watched / "log.db", seed + life)
    return list(_entries(trace.read_bytes()))


def _entries(trace: bytes) -> Iterator[Entry]:
    place = 0
    while place < len(trace):
        what, name_size, offset, size = _HEAD.unpack_from(trace, place)
        place += _HEAD.size
        path = trace[place : place + name_size].decode()
        place += name_size
        yield Entry(what=what.decode(), path=path, offset=offset, data=trace[place : place + size])
        place += size


def cuts(entries: Sequence[Entry], count: int, dice: random.Random) -> list[int]:
    """Return places to cut at: a third anywhere, a third in checkpoints, a third at names."""
    anywhere = range(1, len(entries) + 1)
    groups = [
        [
            place
            for place in anywhere
            if entries[place - 1].what == "W" and entries[place - 1].path.endswith("log.db")
        ],
        [place for place in anywhere if entries[place - 1].what in "OUR"],
        list(anywhere),
    ]
    return sorted(dice.choice(groups[number % len(groups)]) for number in range(count))


async def play(
    folder: Path, entries: Sequence[Entry], *, images: int, seed: int
) -> tuple[list[str], Counter[str]]:
    """Cut the power many times; returns what was not as promised, and what was tried.

    Args:
        folder: Where the victims wrote.
        entries: The trace.
        images: Number of disks to look at, about.
        seed: Of the cuts.
    """
    dice = random.Random(seed)
    problems: list[str] = []
    counts: Counter[str] = Counter()
    places = cuts(entries, -(-images // len(Kept)), dice)
    disk = Disk(folder / "disk")
    said: list[str] = []
    done = 0
    for place in places:
        for entry in entries[done:place]:
            if entry.what == "N":
                said += entry.data.decode().splitlines()
            else:
                disk.play(entry)
        done = place
        for kept in Kept:
            found = await _balanced(disk.image(kept, dice), said, counts)
            problems += [f"cut {place}, {kept} kept: {problem}" for problem in found]
    return problems, counts


@contextmanager
def laid_out(image: Mapping[str, bytes]) -> Iterator[Path]:
    """Give a folder with these files, in memory where there is one: many of them are synced."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        for path, content in image.items():
            (Path(folder) / Path(path).name).write_bytes(content)
        yield Path(folder)


async def _balanced(
    image: Mapping[str, bytes], said: Sequence[str], counts: Counter[str]
) -> tuple[str, ...]:
    """Balance the books of a disk that the power left."""
    with laid_out(image) as folder:
        books = Books()
        books.hear(said)
        balance = await books.balance(folder / "log.db")
    counts["images"] += 1
    counts["with a promise"] += balance.counts["durable"] > 0
    counts["with losses"] += balance.counts["losses"] > 0
    counts["with blocks"] += balance.counts["blocks"] > 0
    return balance.problems


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print; 1 when something was not as promised."""
    parser = argparse.ArgumentParser(description="Power cuts of the record log.")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    options = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library = compiled_tracer(folder)
        entries = record(folder, library, seed=options.seed, environment={})
        problems, counts = asyncio.run(
            play(folder, entries, images=options.images, seed=options.seed)
        )
    print(f"seed {options.seed}, {len(entries)} entries in the trace")
    for what, count in sorted(counts.items()):
        print(f"{count:>12,}  {what}")
    for problem in problems:
        print(problem)
    print("promises were broken" if problems else "every promise was kept")
    return 1 if problems or not counts["with a promise"] else 0


if __name__ == "__main__":
    sys.exit(main())
