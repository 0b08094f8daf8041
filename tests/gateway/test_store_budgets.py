"""What the log costs: bytes and time a sample, and the time of a trend.

Times are processor time, the best of several runs, against twice the budget, as a busy machine
slows its threads down too. `edgewright bench` measures them properly.
"""

import time
from pathlib import Path

import numpy as np
import pytest

from gateway.core.frame import Frame
from gateway.core.records import RecordKind
from gateway.core.tags import Tag, TagId
from gateway.store import LogReader, RecordLog
from gateway.wire.frames import draft_frame
from tests.gateway.store_cases import SEALING, SECOND_NS, START_NS, open_log

DAY_S = 86_400
TAG_COUNT = 30
SCANS_PER_FRAME = 60
BLOCK_S = 300


def slow_signals(scans: int, tags: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return random walks with a resolution of 0.1, as slow instruments give them."""
    rng = np.random.default_rng(11)
    walk: np.ndarray[tuple[int, int], np.dtype[np.float64]] = np.round(
        200 + np.cumsum(rng.normal(0, 0.3, (scans, tags)), axis=0), 1
    )
    return walk


async def day_of_slow_signals(path: Path) -> RecordLog:
    """Return a log with a day of 30 tags at 1 Hz, sealed into blocks of five minutes."""
    settings = SEALING.model_copy(update={"block_samples_max": TAG_COUNT * BLOCK_S})
    log = open_log(path, settings)
    table = log.intern([Tag(id=TagId(f"mill.T{number}")) for number in range(TAG_COUNT)])
    values = slow_signals(DAY_S, TAG_COUNT)
    count = SCANS_PER_FRAME * TAG_COUNT
    ticket = log.append([])
    for begin in range(0, DAY_S, SCANS_PER_FRAME):
        seconds = np.arange(begin, begin + SCANS_PER_FRAME)
        frame = Frame(
            tag_index=np.tile(np.arange(TAG_COUNT, dtype=np.int32), SCANS_PER_FRAME),
            time_ns=START_NS + np.repeat(seconds, TAG_COUNT) * SECOND_NS,
            value=values[begin : begin + SCANS_PER_FRAME].ravel(),
            status=np.zeros(count, dtype=np.uint32),
            received_ns=START_NS + begin * SECOND_NS,
        )
        ticket = log.append([draft_frame(frame, epoch=table.epoch, kind=RecordKind.FRAME)])
    await log.durable(ticket)
    await log.tidy()
    return log


async def test_a_day_of_one_tag_is_read_in_a_tenth_of_a_second(tmp_path: Path) -> None:
    """And a sample of a slow signal takes less than 2.5 bytes of the file."""
    log = await day_of_slow_signals(tmp_path / "log.db")
    stats = await log.stats()
    await log.close()
    blocks = sum(record.kind is RecordKind.BLOCK for record in LogReader(log.path).records())
    assert blocks == DAY_S // BLOCK_S
    assert stats.used_bytes / stats.stored_samples < 2.5
    reader = LogReader(log.path)
    best_s = np.inf
    for _ in range(5):
        begun = time.process_time()
        (trend,) = reader.frames(
            [TagId("mill.T7")], from_ns=START_NS, to_ns=START_NS + DAY_S * SECOND_NS
        )
        best_s = min(best_s, time.process_time() - begun)
    assert trend.value.tolist() == slow_signals(DAY_S, TAG_COUNT)[:, 7].tolist()
    assert best_s < 1.0


@pytest.mark.parametrize("resolution", [0.1, None], ids=["decimals", "noise"])
async def test_a_wide_frame_costs_a_fraction_of_a_microsecond_a_sample(
    tmp_path: Path, resolution: float | None
) -> None:
    """Encoding and appending; the budget is 0.2 µs."""
    log = open_log(tmp_path / "log.db")
    table = log.intern([Tag(id=TagId(f"mill.T{number}")) for number in range(1000)])
    noise = np.random.default_rng(3).normal(50, 5, 1000)
    frame = Frame(
        tag_index=np.arange(1000, dtype=np.int32),
        time_ns=np.full(1000, START_NS),
        value=np.round(noise, 1) if resolution else noise,
        status=np.zeros(1000, dtype=np.uint32),
        received_ns=START_NS,
    )
    best_s = np.inf
    for _ in range(20):
        begun = time.thread_time()
        for _ in range(10):
            log.append([draft_frame(frame, epoch=table.epoch, kind=RecordKind.FRAME)])
        best_s = min(best_s, (time.thread_time() - begun) / 10)
    assert best_s / 1000 < 2e-6
    await log.close()
