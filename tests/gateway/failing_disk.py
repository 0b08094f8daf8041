"""A small disk whose file system fails, as that of a worn flash does.

The kernel makes it read-only under everybody who has it open, and only a repair brings it back.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

SIZE = "16M"


class FailingDisk:
    """An ext4 file system in a file, mounted on a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._image = folder.with_name(f"{folder.name}.image")
        self._repairs = 0

    def make(self) -> str:
        """Make and mount it; returns why it cannot be, or nothing."""
        self.folder.mkdir()
        for command in (
            ["truncate", "-s", SIZE, str(self._image)],
            ["mkfs.ext4", "-q", "-F", str(self._image)],
            self._mount(),
        ):
            if shutil.which(command[0]) is None:
                return f"there is no {command[0]}"
            made = subprocess.run(command, check=False, capture_output=True, text=True)
            if made.returncode != 0:
                return made.stderr.strip()
        return "" if self._trigger().exists() else "the kernel cannot be asked to fail a disk"

    def fail(self) -> None:
        """Have the kernel find an error: it makes the disk read-only at once."""
        self._trigger().write_text("1")

    def repair(self) -> None:
        """Check the disk and mount it again; whoever has files open keeps those of before."""
        repaired = self._image.with_suffix(f".repaired{self._repairs}")
        self._repairs += 1
        shutil.copy(self._image, repaired)
        checked = subprocess.run(["e2fsck", "-y", str(repaired)], check=False, capture_output=True)
        assert checked.returncode in (0, 1), checked.stdout
        self.remove()
        self._image = repaired
        subprocess.run(self._mount(), check=True)

    def remove(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=False, capture_output=True)

    def _mount(self) -> list[str]:
        return ["mount", "-o", "loop,errors=remount-ro", str(self._image), str(self.folder)]

    def _trigger(self) -> Path:
        source = subprocess.run(
            ["findmnt", "-n", "-o", "SOURCE", str(self.folder)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        return Path("/sys/fs/ext4") / Path(source).name / "trigger_fs_error"


@contextmanager
def failing_disk(folder: Path) -> Iterator[FailingDisk]:
    """Give such a disk until the block ends; skips the test where there can be none."""
    disk = FailingDisk(folder)
    try:
        reason = disk.make()
        if reason:
            pytest.skip(f"a disk that fails cannot be made here: {reason}")
        yield disk
    finally:
        disk.remove()
