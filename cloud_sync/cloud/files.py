"""Files that are whole or not there: temporary name, sync, rename, sync of the folder."""

import os
from pathlib import Path

TEMPORARY_SUFFIX = ".part"
"""Files that end so were not finished; whoever owns the folder removes them at start."""


def write_durably(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file so that after a power cut it holds the old content or the new one.

    Raises:
        OSError: the disk refuses; the old content stands.
    """
    part = path.with_name(path.name + TEMPORARY_SUFFIX)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


def finish_durably(part: Path, path: Path) -> None:
    """Give a file that was written under a temporary name its own name, once it is on disk.

    Raises:
        OSError: the disk refuses; `path` is unchanged.
    """
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable.

    Raises:
        OSError: the disk refuses.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
