"""`edgewright bench log` measures the same for the log and its rivals, on any recordings.

How fast anything is stands in no assertion: that is what the command is for.
"""

import gzip
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from gateway.bench import arrow, drain, recordings, storing
from gateway.bench.log import Load, measure_log, recordings_table
from gateway.bench.material import recorded, slow_signals
from gateway.bench.recordings import Recording, find_recordings
from gateway.cli.bench import command
from gateway.core.quality import Status
from gateway.core.tags import ConfigEpoch, TagTable
from gateway.store import LogReader
from gateway.wire.clock import SystemClock

START_NS = 1_760_000_000_000_000_000
SMALL = Load(day_s=600, recovery_bytes=200_000, outage_s=20)
FIGURES = {
    "append_samples_per_s",
    "read_samples_per_s",
    "recovery_s",
    "bytes_per_sample",
    "bytes_ratio_to_arrow",
    "append_ratio_to_sqlite_rows",
    "drain_ratio_to_live",
}


@pytest.mark.slow
@pytest.mark.parametrize("has_recordings", [False, True])
async def test_every_figure_of_the_log_is_measured(tmp_path: Path, has_recordings: bool) -> None:
    found = None
    if has_recordings:
        np.save(tmp_path / "pump.npy", np.arange(4_000).reshape(-1, 2) % 77 / 10)
        found = find_recordings(tmp_path)
    report = await measure_log(tmp_path, SystemClock(), found=found, load=SMALL)
    document = report.as_document()
    assert document.keys() >= FIGURES
    for name in FIGURES:
        value = document[name]
        assert isinstance(value, float)
        assert math.isfinite(value)
        assert value > 0
    assert document["sample_count"] == (4_000 if has_recordings else 600 * 20)
    assert report.drain.backlog_samples == 20 * drain.LIVE_PER_S
    assert all(figure.value > 0 for figure in report.figures())
    names = [each.name for each in report.sealed.sizes]
    assert names == (["pump.npy"] if has_recordings else ["slow signals"])


async def test_what_is_sealed_is_what_was_recorded(tmp_path: Path) -> None:
    """Values, times and missing ones of every recording, and the sizes of each on its own."""
    rng = np.random.default_rng(2)
    value = np.round(rng.normal(20, 3, (500, 3)), 2)
    value[7, 1] = np.nan
    materials = recorded(
        [Recording(name="a", value=value), Recording(name="b", value=value[:40, :1])],
        start_ns=START_NS,
    )
    sealed = await storing.seal(materials, tmp_path, SystemClock())
    assert [(each.name, each.sample_count) for each in sealed.sizes] == [("a", 1500), ("b", 40)]
    assert all(each.ratio_to_arrow is not None for each in sealed.sizes)
    reader = LogReader(tmp_path / storing.SEALED)
    trend, other = reader.frames(
        [materials[0].tags[1].id, materials[1].tags[0].id], from_ns=0, to_ns=2**62
    )
    assert trend.value.tobytes() == value[:, 1].tobytes()
    assert other.value.tobytes() == value[:40, 0].tobytes()
    assert trend.status.tolist().count(Status.BAD) == 1
    assert (np.diff(trend.time_ns) == 10**9).all()


def test_rows_and_log_get_the_same_frames() -> None:
    material = slow_signals(start_ns=START_NS, duration_s=130)
    table = TagTable.build(material.tags, epoch=ConfigEpoch(1))
    frames = list(material.frames(table))
    assert [len(frame) for frame in frames] == [1000, 1000, 600]
    assert (
        np.concatenate([frame.value for frame in frames]).tolist()
        == material.value.ravel().tolist()
    )
    assert frames[-1].time_ns[-1] == material.span_ns[1] - 10**9


def write_csv(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        with gzip.open(path, "wt", encoding="utf-8") as file:
            file.write(text)
    else:
        path.write_text(text, encoding="utf-8")


def test_recordings_are_found_as_people_have_them(tmp_path: Path) -> None:
    """Separators, decimal commas, headings or none, times, empty cells, text, other formats."""
    times = [f"2024-01-01 00:00:{second:02}" for second in range(20)]
    write_csv(
        tmp_path / "a.csv",
        "time,flow,state,level\n" + "\n".join(f"{t},1.5,on,{i}" for i, t in enumerate(times)),
    )
    write_csv(
        tmp_path / "deep" / "b.csv.gz",
        "Zeit;Druck\n" + "\n".join(f"{t};3,25" for t in times[:19]) + f"\n{times[19]};\n",
    )
    write_csv(tmp_path / "c.txt", "\n".join("1 2.5 3" for _ in range(20)))
    write_csv(tmp_path / "short.csv", "a,b\n1,2\n")
    write_csv(tmp_path / "words.csv", "\n".join("some words, and more" for _ in range(20)))
    (tmp_path / "broken.csv.gz").write_bytes(b"no gzip at all")
    (tmp_path / "notes.md").write_text("1,2,3\n" * 20, encoding="utf-8")
    np.savez(tmp_path / "d.npz", wide=np.ones((20, 3), np.float32), name=np.array(["x"]))
    pq.write_table(
        pa.table({"time": list(range(20)), "text": ["x"] * 20, "value": [0.5, None] * 10}),
        tmp_path / "e.parquet",
    )
    found = find_recordings(tmp_path)
    shapes = {each.name: each.value.shape for each in found.recordings}
    assert shapes == {
        "a.csv": (20, 2),
        "c.txt": (20, 3),
        "d.npz wide": (20, 3),
        "deep/b.csv.gz": (20, 1),
        "e.parquet": (20, 1),
    }
    values = {each.name: each.value for each in found.recordings}
    assert values["a.csv"][3].tolist() == [1.5, 3.0]
    assert values["deep/b.csv.gz"][:2].tolist() == [[3.25], [3.25]]
    assert np.isnan(values["deep/b.csv.gz"][19, 0])
    assert np.isnan(values["e.parquet"][1::2]).all()
    assert (found.used_files, found.skipped_files) == (5, 3)


def test_every_file_has_an_equal_share_of_the_bound(tmp_path: Path) -> None:
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", np.ones((1_000, 2)))
    found = find_recordings(tmp_path, samples_max=400)
    assert [each.value.shape for each in found.recordings] == [(100, 2), (100, 2)]


def test_a_folder_without_recordings_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "words.csv").write_text("a,b\n", encoding="utf-8")
    ran = CliRunner().invoke(command, ["log", "--data", str(tmp_path)])
    assert ran.exit_code != 0
    assert "1 without columns of numbers" in ran.output


async def test_without_pyarrow_nothing_is_compared_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is measured; a Parquet file is none that is looked at."""
    for module in (storing, recordings):
        monkeypatch.setattr(module, "has_arrow", lambda: False)
    (tmp_path / "a.parquet").write_bytes(b"")
    assert find_recordings(tmp_path).skipped_files == 0
    day = slow_signals(start_ns=START_NS, duration_s=100)
    sealed = await storing.seal([day], tmp_path, SystemClock())
    assert sealed.sizes[0].ratio_to_arrow is None
    assert "slow signals" in recordings_table(sealed.sizes)
    assert "pyarrow" in arrow.MISSING


async def test_without_the_cloud_a_far_end_takes_the_backlog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cloud needs pyarrow; what took its place is said."""
    monkeypatch.setattr(drain, "has_arrow", lambda: False)
    drained = await drain.measure_drain(tmp_path, SystemClock(), outage_s=20)
    assert drained.far_end == "a far end that keeps nothing"
    assert drained.samples_per_s > 0
