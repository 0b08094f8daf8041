"""Recordings in CSV files: as people have them, and with the mistakes they make."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.training.data import read_recording, usual_period_s
from gateway.core.errors import ConfigError

T0 = 1_583_748_873 * 10**9
"""2020-03-09T10:14:33Z."""


def write(folder: Path, text: str, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators(tmp_path: Path, separator: str) -> None:
    lines = ["time,a,b", "2020-03-09T10:14:33Z,1.5,2", "2020-03-09T10:14:34Z,,-3e2"]
    path = write(tmp_path, "\n".join(line.replace(",", separator) for line in lines))
    recording = read_recording(path)
    assert recording.columns == ("a", "b")
    assert recording.time_ns.tolist() == [T0, T0 + 10**9]
    np.testing.assert_array_equal(recording.value, [[1.5, 2.0], [np.nan, -300.0]])
    assert not recording.value.flags.writeable


@pytest.mark.parametrize(
    "text",
    [
        "2020-03-09 10:14:33",
        "2020-03-09T11:14:33+01:00",
        "2020-03-09T10:14:33.000Z",
        "1583748873",
        "1583748873.0",
        "1583748873000",
        "1583748873000000",
        "1583748873000000000",
        " 1583748873 ",
    ],
)
def test_times_of_any_kind(tmp_path: Path, text: str) -> None:
    assert read_recording(write(tmp_path, f"ts,x\n{text},1\n")).time_ns.tolist() == [T0]


def test_nanoseconds_are_kept_to_the_last(tmp_path: Path) -> None:
    path = write(tmp_path, f"time,x\n{T0 + 1},1\n{T0 + 2},1\n")
    assert read_recording(path).time_ns.tolist() == [T0 + 1, T0 + 2]


def test_seconds_from_the_start(tmp_path: Path) -> None:
    path = write(tmp_path, "t,x\n0,1\n0.5,2\n1,3\n")
    recording = read_recording(path)
    assert recording.time_ns.tolist() == [0, 500_000_000, 10**9]
    assert usual_period_s(recording.time_ns) == 0.5


def test_packed_files_marks_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "data.csv.gz"
    path.write_bytes(gzip.compress("\ufeffTime;Volume Flow\r\n1;2,5\r\n\r\n2;3\r\n".encode()))
    recording = read_recording(path)
    assert recording.columns == ("Volume Flow",)
    np.testing.assert_array_equal(recording.value, [[2.5], [3.0]])


def test_chosen_columns_come_in_the_order_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, "a,when,b,label\n1,1,2,x\n")
    recording = read_recording(path, time_column="when", columns=["b", "a"])
    np.testing.assert_array_equal(recording.value, [[2.0, 1.0]])


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "separator"),
        ("time\n1\n", "separator"),
        ("time,a\n", "no rows"),
        ("a,b\n1,2\n", "--time"),
        ("time,a,a\n1,2,3\n", "several columns"),
        ("time,a\n1,2\n2\n", "data.csv:3: 1 cells under 2 names"),
        ("time,a\nyesterday,2\n", "data.csv:2: 'yesterday' is no time"),
        ("time,a\ninf,2\n", "is no time"),
        ("time,a\nnan,2\n", "is no time"),
        ("time,a\n1e300,2\n", "is no time"),
        ("time,a\n99999999999999999999,2\n", "is no time"),
        ("time,a\n9999-01-01,2\n", "is no time of this age"),
        ("time,a,state\n1,2,running\n", "'running' under 'state' is no number"),
        ("time,a\n1,1,5\n", "3 cells"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_remedy(
    tmp_path: Path, text: str, mistake: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_recording(write(tmp_path, text))
    assert mistake in str(caught.value)


def test_a_missing_file_and_missing_columns_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_recording(tmp_path / "none.csv")
    path = write(tmp_path, "time,a\n1,2\n")
    with pytest.raises(ConfigError, match="no column 'b'; it has time, a"):
        read_recording(path, columns=["b"])
    with pytest.raises(ConfigError, match="no column 'when'"):
        read_recording(path, time_column="when")


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=200), is_packed=st.booleans())
def test_noise_gives_a_recording_or_a_mistake(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, *, is_packed: bool
) -> None:
    path = tmp_path_factory.mktemp("noise") / "data.csv"
    path.write_bytes(b"\x1f\x8b" + content if is_packed else b"time,a\n" + content)
    try:
        recording = read_recording(path)
    except ConfigError:
        return
    assert len(recording.time_ns) == len(recording.value) > 0


def test_the_usual_period_has_no_use_for_gaps() -> None:
    times = np.array([0, 1, 2, 1000, 1001], dtype=np.int64) * 10**9
    assert usual_period_s(times) == 1.0
    assert usual_period_s(times[:1]) == 1.0
