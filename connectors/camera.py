"""A folder of pictures as a camera: whatever writes files there is the camera.

The newest picture wins. Whoever is slow sees fewer pictures, never older ones; those passed over
are counted. A file is read once it has stopped growing, so that half a picture is never seen.
"""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated, Literal

import structlog
from pydantic import Field

from gateway.core.pictures import Picture
from gateway.core.settings import Settings

log = structlog.get_logger()

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
PICTURE_SIZE_BYTES_MAX = 32 * 1024 * 1024


class FolderCameraSettings(Settings):
    """A camera that leaves its pictures in a folder."""

    type: Literal["folder"]
    """Kind of camera."""
    folder: Path
    """Where the pictures appear, as JPEG or PNG files."""
    period_s: Annotated[float, Field(ge=0.05, le=3600)] = 0.5
    """Time between two looks into the folder."""


class FolderCamera:
    """Implements `PictureSource`."""

    def __init__(self, name: str, settings: FolderCameraSettings) -> None:
        """Watch a folder from now on; pictures that are there already count as seen but the last.

        Args:
            name: Name of the camera in the configuration.
            settings: Where and how often to look.
        """
        self._name = name
        self._settings = settings
        self._seen_ns = 0
        self._is_readable = True
        self.skipped_count = 0
        """Pictures passed over for a newer one."""

    @property
    def name(self) -> str:
        """Name of the camera in the configuration."""
        return self._name

    async def pictures(self) -> AsyncGenerator[Picture, None]:
        """Yield the newest picture whenever there is a new one."""
        waiting: tuple[Path, int, int] | None = None
        while True:
            newest = await asyncio.to_thread(self._newest)
            # Unchanged over a whole period: the writer has finished.
            if newest is not None and newest == waiting:
                picture = await asyncio.to_thread(self._read, newest[0], newest[1])
                waiting = None
                if picture is not None:
                    yield picture
            else:
                waiting = newest
            await asyncio.sleep(self._settings.period_s)

    def _newest(self) -> tuple[Path, int, int] | None:
        """Return path, time and size of the newest unseen picture."""
        found: list[tuple[int, Path, int]] = []
        try:
            for path in self._settings.folder.iterdir():
                if path.suffix.lower() in SUFFIXES:
                    status = path.stat()
                    found.append((status.st_mtime_ns, path, status.st_size))
        except OSError as error:
            if self._is_readable:
                log.warning("camera_folder_unreadable", camera=self._name, reason=str(error))
            self._is_readable = False
            return None
        if not self._is_readable:
            log.info("camera_folder_readable", camera=self._name)
        self._is_readable = True
        fresh = [each for each in found if each[0] > self._seen_ns]
        if not fresh:
            return None
        time_ns, path, size = max(fresh)
        return path, time_ns, size

    def _read(self, path: Path, time_ns: int) -> Picture | None:
        try:
            if path.stat().st_size > PICTURE_SIZE_BYTES_MAX:
                log.warning("picture_too_large", camera=self._name, picture=path.name)
                encoded = None
            else:
                encoded = path.read_bytes()
            passed_over = [
                each
                for each in self._settings.folder.iterdir()
                if each.suffix.lower() in SUFFIXES
                and self._seen_ns < each.stat().st_mtime_ns < time_ns
            ]
        except OSError as error:
            log.warning("picture_unreadable", camera=self._name, reason=str(error))
            return None
        self.skipped_count += len(passed_over)
        self._seen_ns = time_ns
        if encoded is None:
            return None
        return Picture(source=self._name, name=path.name, time_ns=time_ns, encoded=encoded)
