"""A question to the log that nobody waits for any more must not stop the writer."""

import asyncio
from pathlib import Path

import pytest

from gateway.core.errors import StoreError
from gateway.core.records import GatewayId
from gateway.store import LogSettings, RecordLog
from gateway.wire.clock import SystemClock
from tests.gateway.store_cases import open_log


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


async def test_a_question_that_fails_leaves_the_others_answered(tmp_path: Path) -> None:
    """An error of the database ends one question; nobody behind it waits for ever."""
    log = open_log(tmp_path / "log.db")
    await log.durable(log.append([]))
    writer = log._writer
    with writer._condition:
        failing = writer.call(lambda database: database.connection.execute("SELECT rubbish"))
        questions = [asyncio.create_task(log.stats()) for _ in range(3)]
        await asyncio.sleep(0)
    with pytest.raises(StoreError, match="rubbish"):
        await asyncio.wait_for(asyncio.wrap_future(failing), 20)
    assert [each.boot for each in await asyncio.wait_for(asyncio.gather(*questions), 20)] == [1] * 3
    await log.close()
