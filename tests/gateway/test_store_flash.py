"""What the log writes is counted as the kernel counts it, and only what the log writes."""

import os
from pathlib import Path

from gateway.core.records import Draft, RecordKind
from gateway.store.flash import written_bytes
from gateway.wire.body import close_body
from tests.gateway.store_cases import append_all, open_log

MIB = 1024 * 1024


async def test_written_bytes_are_at_least_what_was_logged(tmp_path: Path) -> None:
    """What other threads write meanwhile is not counted; reading is not writing."""
    log = open_log(tmp_path / "log.db")
    before = (await log.stats()).written_bytes
    assert before is not None
    other = (tmp_path / "other").open("wb")
    other.write(bytes(20 * MIB))
    other.close()
    body = close_body(os.urandom(MIB // 4), version=1)
    await append_all(log, [Draft(kind=RecordKind.EVENT, body=body) for _ in range(8)])
    between = (await log.stats()).written_bytes
    assert between is not None
    assert 2 * MIB <= between - before <= 6 * MIB
    assert (await log.stats()).written_bytes == between
    await log.close()


def test_a_thread_that_is_not_there_has_no_count() -> None:
    assert written_bytes(1 << 30) is None
