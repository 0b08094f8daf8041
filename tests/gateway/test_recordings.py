"""Recordings in files: as people have them, and with the mistakes they make."""

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.errors import ConfigError
from gateway.recordings import read_recording, usual_period_s

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
        ("", "must hold the names"),
        ("time\n1\n", "no column beside the time holds numbers"),
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
        ("time,a\n1,2\n2,off\n", "data.csv:3: 'off' under 'a' is no number"),
        ("time,state\n1,on\n", "no column beside the time holds numbers"),
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


def test_columns_of_words_are_left_out_and_named(tmp_path: Path) -> None:
    """A column that nobody asked for may be of words; a word among numbers is a mistake."""
    path = write(tmp_path, "time,a,state,mode\n1,2,running,\n2,3,running,auto\n")
    recording = read_recording(path)
    assert recording.columns == ("a",)
    assert recording.left_out == ("state", "mode")
    with pytest.raises(ConfigError, match="'running' under 'state' is no number"):
        read_recording(path, columns=["a", "state"])


def test_what_is_missing_has_many_names(tmp_path: Path) -> None:
    cells = ["", "NaN", "n/a", "NULL", "-", "Bad", "inf", "#N/A"]
    lines = [f"{k},{cell},1" for k, cell in enumerate(cells)]
    recording = read_recording(write(tmp_path, "\n".join(["t,a,b", *lines])))
    assert np.isnan(recording.value[:, 0]).all()
    assert (recording.value[:, 1] == 1.0).all()


def test_truth_values_are_numbers(tmp_path: Path) -> None:
    recording = read_recording(write(tmp_path, "t,on\n1,True\n2,false\n"))
    assert recording.value[:, 0].tolist() == [1.0, 0.0]


def test_times_are_found_by_what_they_are(tmp_path: Path) -> None:
    path = write(tmp_path, "a;Zeitstempel\n1,5;09.03.2020 10:14:33\n2;09.03.2020 10:14:34\n")
    recording = read_recording(path)
    assert recording.time_ns.tolist() == [T0, T0 + 10**9]
    assert recording.columns == ("a",)


def test_a_file_without_times_needs_a_period(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b\n1,2\n3,4\n5,6\n")
    recording = read_recording(path, period_s=0.5)
    assert recording.time_ns.tolist() == [0, 500_000_000, 10**9]
    assert recording.columns == ("a", "b")
    with pytest.raises(ConfigError, match="--time COLUMN"):
        read_recording(path)


def test_one_column_is_enough_where_the_period_is_known(tmp_path: Path) -> None:
    recording = read_recording(write(tmp_path, "x\n0.25\n0.5\n"), period_s=1.0)
    assert recording.value.tolist() == [[0.25], [0.5]]


def test_a_column_can_be_asked_for_as_text(tmp_path: Path) -> None:
    path = write(tmp_path, "unit,cycle,a\nengine 1,1,5\n2,2,6\n")
    recording = read_recording(path, time_column="cycle", text=["unit"])
    assert recording.text == {"unit": ("engine 1", "2")}
    assert recording.columns == ("a",)


def parquet(folder: Path, columns: dict[str, object]) -> Path:
    path = folder / "data.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def test_parquet_reads_as_the_same_csv(tmp_path: Path) -> None:
    """Typed columns, dictionaries, whole numbers, decimals of text: as in a file of text."""
    path = parquet(
        tmp_path,
        {
            "when": pa.array([T0, T0 + 1, T0 + 2], pa.timestamp("ns", tz="Europe/Berlin")),
            "a": [1.5, None, float("inf")],
            "b": pa.array([1, 2, None], pa.int16()),
            "on": [True, False, None],
            "state": pa.array(["x", "y", "x"]).dictionary_encode(),
            "text": ["1", "2.5", ""],
        },
    )
    recording = read_recording(path)
    assert recording.time_ns.tolist() == [T0, T0 + 1, T0 + 2]
    assert recording.columns == ("a", "b", "on", "text")
    assert recording.left_out == ("state",)
    nan = np.nan
    expected = [[1.5, 1, 1, 1], [nan, 2, 0, 2.5], [nan, nan, nan, nan]]
    np.testing.assert_array_equal(recording.value, expected)


def test_parquet_times_may_be_numbers_or_text(tmp_path: Path) -> None:
    for times in ([1_583_748_873, 1_583_748_874], ["2020-03-09T10:14:33Z", "2020-03-09T10:14:34"]):
        recording = read_recording(parquet(tmp_path, {"time": times, "a": [1, 2]}))
        assert recording.time_ns.tolist() == [T0, T0 + 10**9]


def test_parquet_mistakes_are_told(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"time": [1, 2], "a": ["1", "x"]})
    with pytest.raises(ConfigError, match=r"data.parquet:2: 'x' under 'a' is no number"):
        read_recording(path, columns=["a"])
    times = pa.array([T0, None], pa.timestamp("ns"))
    with pytest.raises(ConfigError, match="1 times under 'time' are missing"):
        read_recording(parquet(tmp_path, {"time": times, "a": [1, 2]}))
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_recording(damaged)
