"""Trends and single values against a plain look through everything that was logged."""

import asyncio
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.frame import Frame
from gateway.core.records import RecordKind
from gateway.core.tags import TagId
from gateway.store import EncryptionSettings, LogReader, LogSettings
from gateway.store.encryption import bodies_of
from gateway.wire.documents import draft_event
from gateway.wire.frames import draft_frame
from tests.gateway.store_cases import SEALING, START_NS, TAGS, append_all, make_event, open_log

Sample = tuple[int, int, float]
"""Tag, time after `START_NS` in ns, value."""
SAMPLES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 60), st.integers(0, 9).map(float)),
    min_size=1,
    max_size=5,
)


def frame_of(samples: list[Sample]) -> Frame:
    tags, times, values = zip(*samples, strict=True)
    return Frame(
        tag_index=np.array(tags, dtype=np.int32),
        time_ns=START_NS + np.array(times, dtype=np.int64),
        value=np.array(values),
        status=np.zeros(len(tags), dtype=np.uint32),
        received_ns=START_NS,
    )


async def fill(
    path: Path, log_settings: LogSettings, written: list[list[Sample]], sealed: int, cuts: set[int]
) -> None:
    """Log frames, the first of them sealed, with events in between that cut blocks short."""
    log = open_log(path, log_settings)
    table = log.intern(TAGS)
    for number, samples in enumerate(written):
        draft = draft_frame(frame_of(samples), epoch=table.epoch, kind=RecordKind.FRAME)
        events = [draft_event(make_event(number))] if number in cuts else []
        await append_all(log, [*events, draft])
        if number + 1 == sealed:
            await log.tidy()
    await log.close()


def naive_at(written: list[list[Sample]], tag: int, time: int, within: int) -> Sample | None:
    """Return the latest sample of a tag, of several at one time the last that was logged."""
    latest: Sample | None = None
    for sample in (sample for samples in written for sample in samples):
        is_of_span = sample[0] == tag and time - within <= sample[1] <= time
        if is_of_span and (latest is None or sample[1] >= latest[1]):
            latest = sample
    return latest


@settings(max_examples=30, deadline=None)
@given(
    written=st.lists(SAMPLES, min_size=1, max_size=8),
    sealed=st.integers(0, 8),
    cuts=st.sets(st.integers(0, 8)),
    asked=st.lists(st.tuples(st.integers(-1, 62), st.integers(0, 70)), min_size=3, max_size=3),
    is_encrypted=st.booleans(),
)
def test_the_latest_value_is_that_of_a_plain_look(
    written: list[list[Sample]],
    sealed: int,
    cuts: set[int],
    asked: list[tuple[int, int]],
    is_encrypted: bool,
) -> None:
    """Whether it is in a block or stands alone, in whatever order times came; and so are trends.

    Within one sealed block and one time the order of logging is kept; across blocks that overlap in
    time either may be taken, so times of one tag are made different there.
    """
    written = [[(tag, 64 * time + k, x) for tag, time, x in row] for k, row in enumerate(written)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        encryption = EncryptionSettings(key_file=folder / "log.key") if is_encrypted else None
        (folder / "log.key").write_text("5e" * 32)
        log_settings = SEALING.model_copy(update={"encryption": encryption})
        asyncio.run(fill(folder / "log.db", log_settings, written, sealed, cuts))
        reader = LogReader(folder / "log.db", bodies=bodies_of(encryption))
        ids = [TAGS[place].id for place in range(5)]
        for time, within in ((64 * one, 64 * other) for one, other in asked):
            found = reader.at(ids, time_ns=START_NS + time, within_ns=within)
            for tag, one in enumerate(found):
                latest = naive_at(written, tag, time, within)
                if latest is None:
                    assert one is None
                    continue
                assert one is not None
                assert (one.time_ns - START_NS, one.value) == latest[1:]
                assert one.age_ns == time - latest[1]
            trends = reader.frames(ids, from_ns=START_NS + time - within, to_ns=START_NS + time)
            for tag, trend in enumerate(trends):
                expected = sorted(
                    (sample[1], sample[2])
                    for samples in written
                    for sample in samples
                    if sample[0] == tag and time - within <= sample[1] < time
                )
                times = (trend.time_ns - START_NS).tolist()
                assert sorted(zip(times, trend.value.tolist(), strict=True)) == expected
                assert times == sorted(times)


async def test_a_tag_that_is_not_known_has_no_value(tmp_path: Path) -> None:
    await fill(tmp_path / "log.db", SEALING, [[(0, 1, 1.0)]], 1, set())
    found = LogReader(tmp_path / "log.db").at([TagId("nowhere"), TAGS[0].id], time_ns=START_NS + 10)
    assert found[0] is None
    assert found[1] is not None
    assert found[1].age_ns == 9


@pytest.mark.parametrize("age_ns", [8, 9])
async def test_a_value_is_not_older_than_asked_for(tmp_path: Path, age_ns: int) -> None:
    await fill(tmp_path / "log.db", SEALING, [[(0, 1, 1.0)]], 1, set())
    (found,) = LogReader(tmp_path / "log.db").at(
        [TAGS[0].id], time_ns=START_NS + 10, within_ns=age_ns
    )
    assert (found is None) == (age_ns < 9)
