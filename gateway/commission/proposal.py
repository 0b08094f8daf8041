"""What a run wants to write, shown before it is done."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from connectors.sheet import decoded, encoding_of
from gateway.core.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One file, before and after."""

    path: Path
    before: str | None
    """None: it is not there yet."""
    after: str
    encoding: str = "utf-8"
    """A spreadsheet's own is kept."""

    @property
    def is_needed(self) -> bool:
        """Whether anything changes."""
        return self.before != self.after

    def diff(self) -> str:
        """Return a unified diff."""
        before = (self.before or "").splitlines(keepends=True)
        lines = difflib.unified_diff(
            before,
            self.after.splitlines(keepends=True),
            fromfile=self.path.name,
            tofile=f"{self.path.name} (new)",
            n=1,
        )
        return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)

    def write(self) -> None:
        """Write it: it is there as a whole or as it was.

        Raises:
            ConfigError: it cannot be written.
        """
        part = self.path.with_name(f"{self.path.name}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(self.after.encode(self.encoding, errors="replace"))
            part.replace(self.path)
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be written: {error.strerror}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """All that a run wants to write."""

    changes: tuple[FileChange, ...]
    """Shown to the person."""
    memory: FileChange
    """What the machine says now, for the next run."""
    summary: str
    """Of the tag list, in a few words."""
    notes: tuple[str, ...]
    """What the person should know."""

    @property
    def is_needed(self) -> bool:
        """Whether anything changes for the person."""
        return any(change.is_needed for change in self.changes)

    @property
    def overwrites(self) -> bool:
        """Whether a file that is there would change."""
        return any(change.is_needed and change.before is not None for change in self.changes)

    def diff(self) -> str:
        """Return the diffs of all files."""
        return "".join(change.diff() for change in self.changes if change.is_needed)

    def write(self) -> list[str]:
        """Write what changes, and return the names of the files."""
        needed = [change for change in self.changes if change.is_needed]
        for change in needed:
            change.write()
        self.memory.write()
        return [str(change.path) for change in needed]


def read_text(path: Path) -> tuple[str | None, str]:
    """Return text and encoding of a file; no text when it is not there.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None, "utf-8"
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    return decoded(data), encoding_of(data)


def examples(texts: Sequence[str], count: int = 5) -> str:
    """Return a few of many, for a note."""
    more = f" and {len(texts) - count} more" if len(texts) > count else ""
    return ", ".join(texts[:count]) + more
