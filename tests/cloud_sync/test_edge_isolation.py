"""Three uplinks on one log: one hangs, one is slow, one is fine; none of them slows another."""

import asyncio
from pathlib import Path

from cloud_sync.edge.delivery import Delivery
from cloud_sync.edge.places import cursors_of
from gateway.core.ports import Batch, SendResult
from gateway.store import LogSettings, RecordLog
from gateway.wire.clock import SystemClock
from tests.cloud_sync.edge_doubles import FAST, MemoryDeadLetters, ScriptedUplink, until
from tests.gateway.store_cases import GATEWAY, TAGS, frame_draft

SETTINGS = FAST.model_copy(update={"batch_records_max": 20, "live_lag_s": 0.3})
QUICK = LogSettings(group_commit_s=0.01, ballast_bytes=0)


class TimedUplink(ScriptedUplink):
    """Answers after a while; notes when each record came."""

    def __init__(self, name: str, answer_s: float | None) -> None:
        super().__init__(name=name)
        self.answer_s = answer_s
        self.came_s: dict[int, float] = {}

    async def send(self, batch: Batch) -> SendResult:
        if self.answer_s is None:
            await asyncio.Event().wait()
        else:
            await asyncio.sleep(self.answer_s)
        now_s = asyncio.get_running_loop().time()
        self.came_s |= {record.seq: now_s for record in batch.records}
        return await super().send(batch)


async def test_neither_a_hanging_nor_a_slow_uplink_slows_another_or_the_polling(
    tmp_path: Path,
) -> None:
    uplinks = [TimedUplink("dead", None), TimedUplink("slow", 0.2), TimedUplink("fine", 0.0)]
    log = RecordLog.open(
        tmp_path / "log.db",
        QUICK,
        gateway=GATEWAY,
        clock=SystemClock(),
        cursors={name: scope for x in uplinks for name, scope in cursors_of(x.name).items()},
    )
    table = log.intern(TAGS)
    deliveries = [
        Delivery(
            uplink,
            gateway=GATEWAY,
            reader=log,
            settings=SETTINGS,
            dead_letters=MemoryDeadLetters(),
            clock=SystemClock(),
            note=lambda _: None,
        )
        for uplink in uplinks
    ]
    running = [asyncio.create_task(each.run()) for each in deliveries]
    loop = asyncio.get_running_loop()
    commits_s, stored_s = [], {}
    for number in range(150):
        begun_s = loop.time()
        await log.durable(log.append([frame_draft(number, table)]))
        stored_s[log.end] = loop.time()
        commits_s.append(stored_s[log.end] - begun_s)
        await asyncio.sleep(0.005)
    dead, slow, fine = uplinks
    await until(lambda: set(stored_s) <= set(fine.came_s))
    ages_s = sorted(fine.came_s[seq] - stored_s[seq] for seq in stored_s)
    assert ages_s[int(0.99 * len(ages_s))] < 1.0
    assert sorted(commits_s)[int(0.9 * len(commits_s))] < 0.5
    assert dead.came_s == {}
    await until(lambda: set(stored_s) <= set(slow.came_s))
    assert [each.status().lag_records > 0 for each in deliveries] == [True, False, False]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    begun_s = loop.time()
    left = await asyncio.gather(*(each.finish(deadline_s=0.3) for each in deliveries))
    assert loop.time() - begun_s < 5.0
    assert [count > 0 for count in left] == [True, False, False]
    await log.close()
