"""A question to the log that nobody waits for any more must not stop the writer."""

import asyncio
from pathlib import Path

import pytest

from gateway.core.records import GatewayId
from gateway.store import LogSettings, RecordLog
from gateway.wire.clock import SystemClock


async def test_cancelled_questions_leave_the_writer_alive(tmp_path: Path) -> None:
    log = await asyncio.to_thread(
        RecordLog.open,
        tmp_path / "log.db",
        LogSettings(ballast_bytes=0),
        gateway=GatewayId("g"),
        clock=SystemClock(),
    )
    try:
        for _ in range(50):
            question = asyncio.create_task(log.stats())
            await asyncio.sleep(0)
            question.cancel()
            with pytest.raises(asyncio.CancelledError):
                await question
        assert (await asyncio.wait_for(log.stats(), 5)).boot == 1
    finally:
        await log.close()
