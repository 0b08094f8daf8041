"""A power cut at any instant: what was promised is there, whatever the disk made of the rest."""

import random
import shutil
from pathlib import Path

import pytest

from tests.gateway.store_power import Disk, Kept, compiled_tracer, play, record
from tests.gateway.store_victim import CARELESS

IMAGES = 120

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc"),
]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that writes down what a victim does to its disk."""
    return compiled_tracer(tmp_path_factory.mktemp("tracer"))


async def test_every_promise_is_kept_after_a_power_cut(tmp_path: Path, library: Path) -> None:
    """Over many disks that the power may leave; see `store_power` for what they are.

    A database that was written with care is never set aside: that, too, is a broken promise.
    """
    entries = record(tmp_path, library, seed=5, environment={})
    problems, counts = await play(tmp_path, entries, images=IMAGES, seed=3)
    assert problems == []
    assert counts["images"] == IMAGES
    assert min(counts["with a promise"], counts["with blocks"], counts["with losses"]) > 20


def test_the_trace_has_seen_everything(tmp_path: Path, library: Path) -> None:
    """Played to the end, it gives the files that are there, to the byte."""
    disk = Disk(tmp_path / "disk")
    for entry in record(tmp_path, library, seed=9, environment={}, steps=(30, 20)):
        if entry.what != "N":
            disk.play(entry)
    played = disk.image(Kept.ALL, random.Random(0))
    assert {path: Path(path).read_bytes() for path in played} == played
    assert {str(path) for path in (tmp_path / "disk").iterdir()} == set(played)


async def test_a_disk_that_is_not_asked_to_sync_is_found_out(tmp_path: Path, library: Path) -> None:
    """The same with `synchronous = OFF`: were nothing found, the test above would show nothing."""
    entries = record(tmp_path, library, seed=5, environment={CARELESS: "1"}, steps=(40, 0, 80))
    problems, _ = await play(tmp_path, entries, images=40, seed=3)
    assert any("neither stored nor in the ledger" in problem for problem in problems)
