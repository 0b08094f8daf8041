"""The soak itself: with three kinds of uplinks and no fault at all, its books balance."""

from pathlib import Path

import pytest

from tests.soak.__main__ import soak

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]


async def test_cloud_broker_and_database_all_have_everything_once(tmp_path: Path) -> None:
    await soak(tmp_path, seed=1, duration_s=0.0, at_once=1)
