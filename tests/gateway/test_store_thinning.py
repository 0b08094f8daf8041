"""Blocks with fewer samples: what may be missed by how much, and what stays whole."""

import numpy as np
import pytest

from gateway.core.arrays import FloatArray
from gateway.core.cursors import Cursor, Scope
from gateway.core.frame import Frame
from gateway.core.records import Boot, RecordKind, Seq
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from gateway.store import LogSettings
from gateway.store.thinning import allowed_errors, error_stages, thin_frames
from gateway.wire.frames import StoredFrame
from tests.gateway.store_cases import SECOND_NS, START_NS

TABLE = TagTable.build(
    [Tag(id=TagId("plant.ranged"), low=-100.0, high=100.0), Tag(id=TagId("plant.free"))],
    epoch=ConfigEpoch(1),
)
NOBODY = [Cursor(seq=Seq(0))]


def frames_with(
    values: FloatArray, *, kind: RecordKind = RecordKind.FRAME, tag: int = 0
) -> list[StoredFrame]:
    """Return a frame for each value, one a second, from position 1 on."""
    return [
        StoredFrame(
            boot=Boot(1),
            seq=Seq(number),
            kind=kind,
            frame=Frame(
                tag_index=np.array([tag], dtype=np.int32),
                time_ns=np.array([START_NS + number * SECOND_NS]),
                value=np.array([value]),
                status=np.zeros(1, dtype=np.uint32),
                received_ns=START_NS,
            ),
        )
        for number, value in enumerate(values.tolist(), 1)
    ]


def allowed(values: list[float], *, tag: int) -> float:
    series = np.full(len(values), tag, dtype=np.int32)
    errors = allowed_errors(series, np.array(values), TABLE, error_percent=1.0)
    (one,) = set(errors.tolist())
    return float(one)


def test_the_error_is_of_the_range_or_else_of_what_the_values_span() -> None:
    values = [20.5, 30.5, 25.0]
    assert allowed(values, tag=0) == pytest.approx(2.0)
    assert allowed(values, tag=1) == pytest.approx(0.1)
    assert allowed([*values, np.nan, np.inf], tag=1) == pytest.approx(0.1)
    assert allowed([np.nan], tag=1) == 0.0
    assert allowed([-1.7e308, 1.7e308], tag=1) == 0.0, "a span beyond float64 allows nothing"


def test_states_and_switches_keep_every_change_whatever_the_range() -> None:
    """Few small whole numbers; a level in percent, or raw counts of a converter, are not."""
    assert allowed([0.0, 1.0, 0.0], tag=0) == 0.0
    assert allowed([0.0, 7.0, np.nan], tag=0) == 0.0
    assert allowed([float(each) for each in range(9)], tag=0) > 0
    assert allowed([0.0, 0.5], tag=0) > 0
    assert allowed([27_000.0, 27_001.0], tag=0) > 0
    assert allowed([-1.0, 0.0], tag=0) > 0


def test_each_tag_has_its_own_error() -> None:
    series = np.array([0, 0, 1, 1, 1], dtype=np.int32)
    errors = allowed_errors(series, np.array([0.5, 1.5, 0.0, 1.0, 0.5]), TABLE, error_percent=10.0)
    assert errors.tolist() == pytest.approx([20.0, 20.0, 0.1, 0.1, 0.1])


def test_frames_that_lie_on_a_line_go_and_are_told() -> None:
    values = np.linspace(0.0, 50.5, 20)
    thinned = thin_frames(frames_with(values), TABLE, readers=NOBODY, error_percent=0.5)
    assert [each.seq for each in thinned.frames] == [1, 20]
    assert set(thinned.tag_index.tolist()) == {0}
    assert thinned.time_ns.tolist() == [START_NS + n * SECOND_NS for n in range(2, 20)]


@pytest.mark.parametrize("kind", [RecordKind.DERIVED, RecordKind.STATED])
def test_what_the_gateway_states_and_computes_stays_whole(kind: RecordKind) -> None:
    frames = frames_with(np.linspace(0.0, 50.5, 20), kind=kind)
    thinned = thin_frames(frames, TABLE, readers=NOBODY, error_percent=0.5)
    assert list(thinned.frames) == frames
    assert len(thinned.time_ns) == 0


def test_what_every_reader_of_samples_has_stays_and_is_no_loss() -> None:
    """One has up to 12, another all but a hole from 5 to 9; a reader of notes does not count."""
    readers = [
        Cursor(seq=Seq(12)),
        Cursor(seq=Seq(4), scope=Scope.SAMPLES).skipped(Seq(9)).advanced(Seq(20)),
        Cursor(seq=Seq(0), scope=Scope.NOTES),
    ]
    frames = frames_with(np.linspace(0.0, 50.5, 20))
    thinned = thin_frames(frames, TABLE, readers=readers, error_percent=0.5)
    assert [each.seq for each in thinned.frames] == [1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 20]
    assert len(thinned.time_ns) == 9


def test_a_stated_edge_between_samples_is_never_drawn_over() -> None:
    frames = frames_with(np.full(9, 20.5))
    edge = StoredFrame(
        boot=Boot(1),
        seq=Seq(5),
        kind=RecordKind.STATED,
        frame=Frame(
            tag_index=np.zeros(1, dtype=np.int32),
            time_ns=frames[4].frame.time_ns,
            value=np.array([np.nan]),
            status=np.full(1, 0x8000_0000, dtype=np.uint32),
            received_ns=START_NS,
            is_received=False,
        ),
    )
    thinned = thin_frames(
        [*frames[:4], edge, *frames[5:]], TABLE, readers=NOBODY, error_percent=5.0
    )
    assert [each.seq for each in thinned.frames] == [1, 4, 5, 6, 9]


def test_a_frame_keeps_its_other_samples() -> None:
    frames = [
        StoredFrame(
            boot=Boot(1),
            seq=Seq(number),
            kind=RecordKind.FRAME,
            frame=Frame(
                tag_index=np.array([1, 0], dtype=np.int32),
                time_ns=np.full(2, START_NS + number * SECOND_NS),
                value=np.array([(-1.5) ** number, 20.5]),
                status=np.zeros(2, dtype=np.uint32),
                server_ns=np.array([7, 8]),
                received_ns=START_NS + number,
            ),
        )
        for number in range(1, 8)
    ]
    thinned = thin_frames(frames, TABLE, readers=NOBODY, error_percent=0.5)
    assert [len(each.frame) for each in thinned.frames] == [2, 1, 1, 1, 1, 1, 2]
    middle = thinned.frames[3].frame
    assert (middle.value.tolist(), middle.received_ns) == ([(-1.5) ** 4], START_NS + 4)
    assert middle.server_ns is not None
    assert middle.server_ns.tolist() == [7]


def test_the_error_grows_in_stages_up_to_the_maximum() -> None:
    assert error_stages(LogSettings()) == (0.5, 2.0, 5.0)
    assert error_stages(LogSettings(thin_error_percent=0.1)) == (0.1, 0.4, 1.6)
    assert error_stages(LogSettings(thin_error_percent=3.0)) == (3.0, 5.0)
    assert error_stages(LogSettings(thin_error_percent=0.0)) == ()
    assert error_stages(LogSettings(thin_error_percent_max=0.0)) == ()
