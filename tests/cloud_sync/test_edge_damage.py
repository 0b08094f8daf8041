"""Delivery meets damage in the log: it goes on, and what is lost is told to the far end."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from cloud_sync.edge.delivery import Delivery
from cloud_sync.edge.places import cursors_of
from gateway.core.records import GatewayId, LedgerReason, RecordKind
from gateway.store import RecordLog
from gateway.wire.clock import SystemClock
from gateway.wire.documents import decode_ledger_entry
from tests.cloud_sync.edge_doubles import FAST, MemoryDeadLetters, ScriptedUplink, until
from tests.gateway.store_books import SAMPLES, noisy_draft, words_of
from tests.gateway.store_cases import QUICK, TAGS, append_all

FRAMES = 120
PAGE = 4096


def opened(path: Path) -> RecordLog:
    return RecordLog.open(
        path, QUICK, gateway=GatewayId("g"), clock=SystemClock(), cursors=cursors_of("cloud")
    )


def overwrite_pages(path: Path) -> None:
    """Destroy two pages in the middle of the records."""
    with closing(sqlite3.connect(path)) as connection:
        (body,) = connection.execute("SELECT body FROM record WHERE seq = 60").fetchone()
    content = bytearray(path.read_bytes())
    first = content.find(body[:200]) // PAGE * PAGE
    content[first : first + 2 * PAGE] = b"\xa5" * 2 * PAGE
    path.write_bytes(content)


async def test_delivery_passes_damage_and_tells_what_is_lost(tmp_path: Path) -> None:
    """Damage found while running: every frame is delivered or in a ledger entry that is."""
    log = opened(tmp_path / "log.db")
    table = log.intern(TAGS)
    await append_all(log, [noisy_draft(number, table) for number in range(FRAMES)])
    await log.close()
    overwrite_pages(log.path)

    log = opened(log.path)
    assert log.opening.set_aside is None, "nothing was noticed at the start"
    uplink = ScriptedUplink()
    delivery = Delivery(
        uplink,
        gateway=GatewayId("g"),
        reader=log,
        settings=FAST,
        dead_letters=MemoryDeadLetters(),
        clock=SystemClock(),
        note=lambda _: None,
    )
    running = asyncio.create_task(delivery.run())

    def losses() -> int:
        entries = [
            decode_ledger_entry(record.body)
            for batch in uplink.batches
            for record in batch.records
            if record.kind is RecordKind.LEDGER
        ]
        return sum(x.count or 0 for x in entries if x.reason is LedgerReason.CORRUPT)

    def delivered() -> int:
        # Frames of an earlier start may be sealed by then, and come in blocks.
        records = (record for batch in uplink.batches for record in batch.records)
        words = {word for record in records for _, _, word in words_of(record)}
        return SAMPLES * sum(word[0] == "F" for word in words)

    await until(lambda: running.done() or losses() + delivered() >= FRAMES * SAMPLES)
    assert not running.done()
    assert losses() > 0
    assert losses() + delivered() == FRAMES * SAMPLES
    await until(lambda: delivery.status().lag_records == 0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await log.close()
