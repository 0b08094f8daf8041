"""Recordings: read with clear mistakes, replayed in their own timing."""

import asyncio
import gzip
import math
import time
from pathlib import Path

import pytest
from asyncua.client.client import Client

from gateway.core.errors import ConfigError
from gateway.simulate.books import read_offered
from gateway.simulate.plant import KEYS, Plant
from gateway.simulate.recording import record
from gateway.simulate.replay import read_play
from gateway.simulate.replay_service import Replay
from gateway.wire.clock import SystemClock
from tests.gateway.simulate_peers import until

RIG_ROWS = """datetime;Current;Volume Flow RateRMS;anomaly
2020-03-09 10:34:33;0,871339;32.0;0.0
2020-03-09 10:34:34;1.30128;;0.0
2020-03-09 10:34:36;1.2845;32.9986;1.0
"""

SKAB = Path(__file__).parents[2].parent / "shared" / "data" / "skab"


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_separator_decimal_comma_and_time_column_are_found(tmp_path: Path) -> None:
    recording = read_play(written(tmp_path / "rig.csv", RIG_ROWS))
    assert recording.columns == ("Current", "Volume Flow RateRMS", "anomaly")
    assert recording.time_s == (0.0, 1.0, 3.0)
    assert recording.rows[0] == (0.871339, 32.0, 0.0)
    assert math.isnan(recording.rows[1][1])
    assert [node.tag for node in recording.nodes()] == [
        "replay.Current",
        "replay.Volume_Flow_RateRMS",
        "replay.anomaly",
    ]


@pytest.mark.parametrize(
    ("cells", "seconds"),
    [
        (("0", "0.5", "2"), (0.0, 0.5, 2.0)),
        (("1767229200", "1767229201", "1767229205"), (0.0, 1.0, 5.0)),
        (("1767229200000", "1767229200500", "1767229202000"), (0.0, 0.5, 2.0)),
        (("1767229200000000000", "1767229200500000000", "1767229202000000000"), (0.0, 0.5, 2.0)),
        (
            ("2026-01-01T01:00:00Z", "2026-01-01T01:00:00.500+00:00", "2026-01-01T02:00:02+01:00"),
            (0.0, 0.5, 2.0),
        ),
    ],
)
def test_times_come_in_many_shapes(
    tmp_path: Path, cells: tuple[str, ...], seconds: tuple[float, ...]
) -> None:
    text = "t,a\n" + "".join(f"{cell},1\n" for cell in cells)
    recording = read_play(written(tmp_path / "a.csv", text))
    assert recording.time_s == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "line", "remedy"),
    [
        ("", 1, "must hold the names"),
        ("a,b\n1,2\n", 1, "name it with --time COLUMN"),
        ("time\n1\n", 1, "no column beside the time"),
        ("time,a\n", 2, "export it again, with data"),
        ("time,a,a\n1,2,3\n", 1, "rename it"),
        ("time,a\n1,2\n2,3,4\n", 3, "complete the line"),
        ("time,a\n1,2\n2,off\n", 3, "correct it, leave it empty"),
        ("time,a\nyesterday,2\n", 2, "2026-03-09T10:14:33"),
        ("time,a\n5,2\n4,2\n", 3, "sort it by time"),
    ],
)
def test_a_bad_file_tells_line_and_remedy(
    tmp_path: Path, text: str, line: int, remedy: str
) -> None:
    path = written(tmp_path / "bad.csv", text)
    with pytest.raises(ConfigError) as caught:
        read_play(path)
    (mistake,) = caught.value.mistakes
    assert mistake.startswith(f"{path}:{line}: ")
    assert remedy in mistake


def test_files_that_are_no_csv_are_mistakes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "b.csv.gz").write_bytes(b"not compressed")
    for name in ("a.csv", "b.csv.gz", "missing.csv"):
        with pytest.raises(ConfigError, match=name):
            read_play(tmp_path / name)
    with pytest.raises(ConfigError, match="no column 'when': it has t, a"):
        read_play(written(tmp_path / "c.csv", "t,a\n1,2\n"), time_column="when")


def test_a_recording_of_the_plant_is_read_back(tmp_path: Path) -> None:
    """The healthy recording: same seed, same file; a compressed one reads alike."""
    path, zipped = tmp_path / "healthy.csv", tmp_path / "healthy.csv.gz"
    assert record(Plant(7), path, duration_s=120.0, period_s=2.0) == 60
    assert record(Plant(7), zipped, duration_s=120.0, period_s=2.0) == 60
    assert gzip.decompress(zipped.read_bytes()) == path.read_bytes()
    recording = read_play(zipped)
    assert recording.columns == KEYS
    assert recording.time_s[-1] == pytest.approx(118.0)
    plant = Plant(7)
    for _ in range(2):
        plant.step(1.0)
    assert recording.rows[0] == tuple(plant.shown())


async def test_a_replay_keeps_the_timing_divided_by_the_speed(tmp_path: Path) -> None:
    """Source times are spaced as in the file over the speed; every changed value is offered."""
    text = "time,a,b\n" + "".join(f"{second},{second},{-second}\n" for second in range(1, 8))
    recording = read_play(written(tmp_path / "a.csv", text))
    replay = Replay(
        recording, address=("127.0.0.1", 0), book=tmp_path / "a.book", clock=SystemClock()
    )
    received: list[float] = []
    ready = asyncio.Event()

    class Handler:
        def datachange_notification(self, node: object, value: float, data: object) -> None:
            received.append(value)

    async def watch() -> None:
        await ready.wait()
        async with Client(replay.server.endpoint) as client:
            subscription = await client.create_subscription(10, Handler())
            await subscription.subscribe_data_change([client.get_node("ns=2;s=a")])
            await until(lambda: received[-1:] == [7.0], what="the last row")

    started = time.monotonic()
    async with asyncio.timeout(30.0), asyncio.TaskGroup() as group:
        group.create_task(replay.run(speed=4.0, on_ready=lambda _: ready.set()))
        group.create_task(watch())
    assert time.monotonic() - started > 6.0 / 4.0
    assert received == sorted(set(received))
    book = read_offered(tmp_path / "a.book")
    assert book.tags == ("replay.a", "replay.b")
    spacing_s = [(b - a) / 1e9 for a, b in zip(book.time_ns[1:], book.time_ns[2:], strict=False)]
    assert spacing_s == pytest.approx([0.25] * len(spacing_s), abs=1e-5)
    assert len(book.time_ns) == len(received)


@pytest.mark.realdata
def test_a_recording_of_a_test_rig_is_read() -> None:
    """SKAB's runs (not part of the project): 8 sensors and two labels at 1 Hz."""
    if not SKAB.is_dir():
        pytest.skip("the SKAB recordings are not part of the project")
    paths = sorted(SKAB.rglob("*.csv.gz"))
    assert len(paths) == 35
    for path in paths:
        recording = read_play(path)
        assert len(recording.columns) in (8, 10)
        assert len(recording.rows) > 500
