"""From the log into a real database, asked back: every sample is there, each once.

VictoriaMetrics keeps milliseconds and about 14 digits, and names a series after measurement and
field. It has no upsert: what is written twice is one sample only with `-dedup.minScrapeInterval`,
so tests without repetitions do without it and show that there are none.
"""

import asyncio
import random
import re
import ssl
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web

from cloud_sync.edge.influxdb_lines import SampleLines, Schema, escaped
from cloud_sync.edge.influxdb_session import Place, WriteSession, compressed
from gateway.core.arrays import frozen, index_column, status_column, time_column
from gateway.core.events import Event, Transition
from gateway.core.frame import Frame
from gateway.core.records import LedgerEntry, LedgerReason, RecordKind, Seq
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable
from tests.cloud_sync.edge_doubles import until
from tests.cloud_sync.edge_influxdb_gateway import GATEWAY, DatabaseGateway, Sample
from tests.cloud_sync.edge_relay import Relay
from tests.cloud_sync.edge_server import Server
from tests.interop.victoria import VictoriaMetrics
from tests.naive.line_protocol import parse

pytestmark = pytest.mark.slow

UPSERT = "-dedup.minScrapeInterval=1ms"


@asynccontextmanager
async def running(
    folder: Path, *options: str, database: VictoriaMetrics | None = None
) -> AsyncIterator[VictoriaMetrics]:
    database = database or VictoriaMetrics(folder, options=options)
    await database.start()
    try:
        yield database
    finally:
        await database.kill()


@asynccontextmanager
async def delivering(edge: DatabaseGateway) -> AsyncIterator[None]:
    """Deliver, and close as the service does."""
    task = asyncio.create_task(edge.delivery.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await edge.delivery.finish(deadline_s=10)
        await edge.log.close()


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    relay = Relay()
    await relay.start()
    yield relay
    await relay.stop()


def is_level(edge: DatabaseGateway) -> bool:
    return edge.delivery.status().lag_records == 0


async def stored(database: VictoriaMetrics) -> dict[str, list[Sample]]:
    """Return the samples of each tag, in the two decimals that were offered; None is no value."""
    qualities = await database.series("edgewright_quality")
    values = await database.series("edgewright_value")
    found: dict[str, list[Sample]] = {}
    for labels, samples in qualities.items():
        by_time: dict[int, list[float | None]] = {}
        for time_ms, value in values.get(labels, []):
            by_time.setdefault(time_ms, []).append(round(value, 2))
        assert dict(labels)["gateway"] == GATEWAY
        found[dict(labels)["tag"]] = [
            (time_ms, value, int(quality))
            for time_ms, quality in samples
            for value in by_time.get(time_ms, [None])
        ]
    return found


async def assert_stored(expected: Mapping[str, list[Sample]], database: VictoriaMetrics) -> None:
    """Check that the database has the same samples, each as often; it may need a moment."""
    found: Mapping[str, list[Sample]] = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(20):
            while found != expected:
                await asyncio.sleep(0.05)
                found = await stored(database)
    assert expected == found


async def test_everything_in_the_log_is_in_the_database_once(tmp_path: Path) -> None:
    async with running(tmp_path) as database:
        edge = DatabaseGateway(tmp_path, url=database.url)
        async with delivering(edge):
            await edge.offered_safely(450)
            alarm = Event(
                time_ns=1_700_000_000_500_000_000,
                source="P-101",
                condition="filter_clogged",
                severity=700,
                transition=Transition.RAISED,
                text="flow is low",
            )
            gap = LedgerEntry(
                reason=LedgerReason.DEVICE_LOST,
                source="pumps",
                from_ns=1_700_000_000_000_000_000,
                to_ns=1_700_000_001_000_000_000,
                count=17,
            )
            edge.note(alarm)
            edge.note(gap)
            await edge.log.durable(edge.log.append([]))
            await until(lambda: is_level(edge))
        await assert_stored(edge.offered, database)
        severities = await database.series("edgewright_events_severity")
        counts = await database.series("edgewright_ledger_count")
    tags = {"gateway": GATEWAY, "source": "P-101"}
    assert severities[
        frozenset((tags | {"condition": "filter_clogged", "transition": "raised"}).items())
    ] == [(1_700_000_000_500, 700)]
    tags = {"gateway": GATEWAY, "source": "pumps", "reason": "device_lost"}
    assert counts[frozenset(tags.items())] == [(1_700_000_000_000, 17)]
    status = edge.delivery.status()
    assert status.acknowledged_samples == 446 * 20
    assert status.bytes_today > 0
    assert status.dead_letters == 0


async def test_names_with_every_special_character_arrive_as_they_were_escaped(
    tmp_path: Path,
) -> None:
    """The database parses lines in its own way; no name tears a line, nor merges with another."""
    chance = random.Random(7)  # no secret
    alphabet = 'ab \\,="/\tπ€\n'
    drawn = ["".join(chance.choices(alphabet, k=chance.randint(1, 9))) for _ in range(300)]
    # Of names that differ in what no line can hold only, one.
    names = {re.sub(r"\\([ ,=])", r"\1", escaped(name)): name for name in drawn}
    tags = [Tag(id=TagId(name)) for name in names.values()]
    table = TagTable.build(tags, epoch=ConfigEpoch(1))
    count = len(tags)
    frame = Frame(
        tag_index=index_column(range(count)),
        time_ns=time_column([1_700_000_000_000_000_000] * count),
        value=frozen(np.arange(count, dtype=np.float64)),
        status=status_column([0] * count),
        received_ns=0,
    )
    async with running(tmp_path) as database:
        session = WriteSession(
            Place(
                url=database.url,
                org="",
                bucket="plant",
                precision="ns",
                tls=ssl.create_default_context(),
                connect_timeout_s=5.0,
                timeout_s=20.0,
            ),
            None,
        )
        lines = list(SampleLines(Schema(gateway=GATEWAY)).of(frame, table))
        answer = await asyncio.to_thread(session.write, compressed(lines))
        session.close()
        assert answer.status == 204
        found = await database.series("edgewright_value")
    values = {
        (dict(labels)["tag"], value) for labels, samples in found.items() for _, value in samples
    }
    assert values == {(plain, float(place)) for place, plain in enumerate(names)}


async def test_a_link_cut_again_and_again_loses_nothing(tmp_path: Path, relay: Relay) -> None:
    edge = DatabaseGateway(tmp_path, url=relay.url)
    async with running(tmp_path, UPSERT) as database, delivering(edge):
        for _ in range(8):
            relay.connect(database.url)
            await edge.offered_safely(150)
            await asyncio.sleep(0.03)  # somewhere in a batch
            await relay.cut()
        relay.connect(database.url)
        await until(lambda: is_level(edge))
        await assert_stored(edge.offered, database)
    assert edge.delivery.status().dead_letters == 0


async def test_a_killed_database_loses_at_most_what_it_had_not_written_down(
    tmp_path: Path,
) -> None:
    """What the database took and lost again is its own promise; everything else is there."""
    database = VictoriaMetrics(tmp_path, options=(UPSERT,))
    edge = DatabaseGateway(tmp_path, url=database.url)
    async with delivering(edge):
        async with running(tmp_path, database=database):
            await edge.offered_safely(300)
            await until(lambda: is_level(edge))
            await database.write_down()
            await edge.offered_safely(600)
            await until(lambda: edge.delivery.status().acknowledged_samples > 300 * 20)
        await edge.offered_safely(200)
        await until(lambda: edge.delivery.status().is_connected is False)
        taken_count = edge.delivery.status().acknowledged_samples
        async with running(tmp_path, database=database):
            await until(lambda: is_level(edge))
            found = await stored(database)
    lost_count = 0
    for tag, samples in edge.offered.items():
        lost = set(samples) - set(found[tag])
        assert lost <= set(samples[300:900])
        lost_count += sum(quality == 0 for _, _, quality in lost)
        assert len(found[tag]) == len({time_ms for time_ms, _, _ in found[tag]})
    assert lost_count <= taken_count - 297 * 20


async def test_a_gateway_killed_between_send_and_cursor_repeats_the_same_points(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, UPSERT) as database:
        unlucky = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.cloud_sync.edge_influxdb_gateway",
            str(tmp_path), database.url, stdout=PIPE,
        )  # fmt: skip
        assert unlucky.stdout is not None
        async with asyncio.timeout(30):
            line = b""
            while not line.startswith(b"confirmed"):
                line = await unlucky.stdout.readline()
                assert line, "the gateway ended before it had delivered"
        unlucky.kill()
        await unlucky.communicate()
        assert await stored(database) != {}
        edge = DatabaseGateway(tmp_path, url=database.url)
        edge.offer(0)
        async with delivering(edge):
            await until(lambda: is_level(edge))
        reference = DatabaseGateway(_folder(tmp_path / "reference"), url=database.url)
        reference.offer(250)
        await reference.log.close()
        await assert_stored(reference.offered, database)


async def test_what_was_sealed_meanwhile_is_the_same_points(tmp_path: Path, relay: Relay) -> None:
    """Frames went out one by one, then again within the block that was made of them."""
    edge = DatabaseGateway(tmp_path, url=relay.url, seal_after_s=0.0)
    async with running(tmp_path, UPSERT) as database, delivering(edge):
        relay.connect(database.url)
        await edge.offered_safely(100)
        await until(lambda: edge.delivery.status().acknowledged_samples > 0)
        await relay.cut()
        await edge.offered_safely(1000)
        await until(lambda: edge.delivery.status().is_connected is False)
        async with asyncio.timeout(40):
            kinds: set[RecordKind] = set()
            while RecordKind.BLOCK not in kinds:
                await edge.log.tidy()
                records = await edge.log.read(after=Seq(0), size_bytes_max=1 << 30)
                kinds = {record.kind for record in records}
        relay.connect(database.url)
        await until(lambda: is_level(edge))
        await assert_stored(edge.offered, database)


async def test_a_record_that_the_database_refuses_is_found_and_the_others_arrive(
    tmp_path: Path,
) -> None:
    """A partial write: all points but one are written, and that one stands alone in the end."""
    refused = "tag=pumps.T7,unit=bar value=7.33,"

    async def picky(request: web.Request) -> web.StreamResponse:
        if refused not in (await request.read()).decode():
            return web.Response(status=204)
        text = "failure writing points to database: partial write: field type conflict dropped=1"
        return web.json_response({"code": "unprocessable entity", "message": text}, status=422)

    server = Server(picky)
    await server.start()
    edge = DatabaseGateway(tmp_path, url=f"http://127.0.0.1:{server.port}")
    async with delivering(edge):
        await edge.offered_safely(80)
        await until(lambda: is_level(edge) and edge.delivery.status().dead_letters == 1)
    await server.stop()
    letters = list((tmp_path / "dead-letters").iterdir())
    assert len(letters) == 1
    assert "field type conflict" in letters[0].read_text()
    times = {
        point.time // 1_000_000
        for body in server.bodies
        if refused not in body.decode()
        for point in parse(body.decode())
        if point.measurement == "edgewright"
    }
    assert times == {sample[0] for sample in edge.offered["pumps.T7"]} - {1_700_000_033_000}


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
