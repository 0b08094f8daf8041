"""Sealed blocks are small on what machines really say."""

from pathlib import Path

import numpy as np
import pytest

from gateway.bench.material import recorded
from gateway.bench.recordings import ROWS_MAX, Recording, find_recordings
from gateway.bench.storing import as_arrow_bytes
from gateway.core.arrays import FloatArray
from gateway.core.records import Boot, RecordKind, Seq
from gateway.core.tags import ConfigEpoch, TagTable
from gateway.wire.frames import StoredFrame, encode_block

DATA = Path(__file__).parents[3] / "shared" / "data"
EPOCH = ConfigEpoch(1)
ARROW_PART_MAX = 0.75

TEXTS = {"skab": 8, "ai4i2020": 8, "hydraulic": 60, "cmapss": 26}
"""Data sets that are text, with the least number of columns of a signal's file."""
ARRAYS = {
    "tep normal": ("tep/tep_dev.npz", "d00_te", 1.0),
    "tep fault": ("tep/tep_dev.npz", "d01", 1.0),
    "smd": ("smd/machine-1-6.npz", "train_u6", 1e6),
    "smap": ("smap/P-1.npz", "test", 1.0),
    "femto waveform": ("femto/Bearing1_1.npz", "raw_milli_g", 1e3),
    "femto features": ("femto/Bearing1_1.npz", "features", 1.0),
}
"""File, array, and by how much its integers are larger than what was measured."""

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(not DATA.is_dir(), reason="the recordings are not part of the project"),
]


def part_of_arrow(value: FloatArray) -> float:
    """Return our bytes for a recording as a part of Arrow's, IPC with zstd, sorted by tag too.

    A row is a scan, a second apart; both get blocks of the same 65,000 samples or so.
    """
    recording = Recording(name="recording", value=np.ascontiguousarray(value))
    (material,) = recorded([recording], start_ns=1_760_000_000_000_000_000)
    frames = list(material.frames(TagTable.build(material.tags, epoch=EPOCH)))
    ours = arrow = 0
    for begin in range(0, len(frames), 65):
        block = frames[begin : begin + 65]
        stored = [
            StoredFrame(boot=Boot(1), seq=Seq(seq), kind=RecordKind.FRAME, frame=frame)
            for seq, frame in enumerate(block, 1)
        ]
        ours += len(encode_block(stored, epoch=EPOCH))
        arrow += as_arrow_bytes(block)
    return ours / arrow


@pytest.mark.parametrize("name", TEXTS)
def test_text_recordings_take_three_quarters_of_arrow(name: str) -> None:
    found = find_recordings(DATA / name)
    signals = [each for each in found.recordings if each.value.shape[1] >= TEXTS[name]]
    assert signals
    parts = {each.name: part_of_arrow(each.value) for each in signals}
    assert max(parts.values()) <= ARROW_PART_MAX, parts


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_take_three_quarters_of_arrow(name: str) -> None:
    path, key, factor = ARRAYS[name]
    with np.load(DATA / path) as loaded:
        raw = loaded[key].astype(np.float64)
    assert part_of_arrow(raw.reshape(-1, raw.shape[-1])[:ROWS_MAX] / factor) <= ARROW_PART_MAX


def test_counts_of_a_converter_take_three_quarters_of_arrow() -> None:
    """CWRU's waveforms: 16-bit counts times a step that no decimal number is."""
    for path in sorted((DATA / "cwru").glob("*.npz"))[:8]:
        with np.load(path) as loaded:
            value = loaded["DE"][:ROWS_MAX, np.newaxis] * float(loaded["DE_lsb"])
        assert part_of_arrow(value) <= ARROW_PART_MAX
