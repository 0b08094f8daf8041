"""A folder as a camera: the newest picture wins, and no half picture is ever seen."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

from structlog.testing import capture_logs

from connectors.camera import FolderCamera, FolderCameraSettings
from gateway.core.pictures import Picture

DEADLINE_S = 20.0


def camera_of(folder: Path) -> FolderCamera:
    return FolderCamera("gate", FolderCameraSettings(type="folder", folder=folder, period_s=0.05))


def put(folder: Path, name: str, content: bytes, *, time_s: int) -> None:
    """Write a file with a time of its own, so that the order does not hang on the disk's clock."""
    path = folder / name
    path.write_bytes(content)
    os.utime(path, (time_s, time_s))


async def following(pictures: AsyncIterator[Picture]) -> Picture:
    async with asyncio.timeout(DEADLINE_S):
        return await anext(pictures)


async def test_the_newest_picture_wins_and_the_others_are_counted(tmp_path: Path) -> None:
    camera = camera_of(tmp_path)
    put(tmp_path, "first.png", b"first", time_s=1000)
    async with aclosing(camera.pictures()) as pictures:
        first = await following(pictures)
        assert (first.name, first.encoded, first.time_ns) == ("first.png", b"first", 1000 * 10**9)
        # These come while somebody is busy with the first one.
        for number in range(5):
            put(tmp_path, f"{number}.jpg", b"%d" % number, time_s=1001 + number)
        assert (await following(pictures)).name == "4.jpg"
    assert camera.skipped_count == 4


async def test_a_file_is_read_only_when_it_has_stopped_growing(tmp_path: Path) -> None:
    """A writer adds a piece more often than the camera looks; the whole file is what is seen."""
    camera = camera_of(tmp_path)
    path = tmp_path / "growing.png"

    async def write() -> None:
        with path.open("wb", buffering=0) as file:
            for _ in range(40):
                file.write(b"piece")
                await asyncio.sleep(0.01)

    async with aclosing(camera.pictures()) as pictures, asyncio.TaskGroup() as group:
        group.create_task(write())
        assert (await following(pictures)).encoded == b"piece" * 40


async def test_what_is_no_picture_by_its_name_is_ignored(tmp_path: Path) -> None:
    camera = camera_of(tmp_path)
    put(tmp_path, "newer.txt", b"text", time_s=2000)
    put(tmp_path, "older.PNG", b"picture", time_s=1000)
    async with aclosing(camera.pictures()) as pictures:
        assert (await following(pictures)).name == "older.PNG"


async def test_a_folder_that_comes_late_is_watched_and_told_of_once(tmp_path: Path) -> None:
    camera = camera_of(tmp_path / "later")
    with capture_logs() as logs:
        async with aclosing(camera.pictures()) as pictures:
            task = asyncio.create_task(following(pictures))
            async with asyncio.timeout(DEADLINE_S):
                while not logs:
                    await asyncio.sleep(0.01)
            (tmp_path / "later").mkdir()
            put(tmp_path / "later", "one.png", b"one", time_s=1000)
            assert (await task).name == "one.png"
    expected = ["camera_folder_unreadable", "camera_folder_readable"]
    assert expected == [entry["event"] for entry in logs]
