"""Gaps healed from the history of a server that was not written here, by a whole gateway."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from asyncua.client.client import Client
from asyncua.ua.uatypes import datetime_to_win_epoch
from hypothesis import given
from hypothesis import strategies as st

from connectors.opcua.history import batches, is_inside, what_is_left
from connectors.opcua.items import FILETIME_1970, Changes
from connectors.opcua.library import HistoryPage
from gateway.config import Config
from gateway.core.arrays import index_column, status_column, time_column
from gateway.core.events import Event
from gateway.core.frame import Origin
from gateway.core.gaps import GAP_FOUND, GAP_HEALED, Gaps
from gateway.core.quality import is_good
from gateway.core.records import RecordKind
from gateway.store import LogReader
from gateway.wire.child import Child
from gateway.wire.frames import FRAME_KINDS, frames_of
from tests.connectors.wire import Wire, until
from tests.gateway.service_run import HEAD, events_in, running, written
from tests.interop.peers import needs_node, node_script, running_peer

PERIOD_MS = 120
CHANGING = ("Flow", "Level", *(f"T{k}" for k in range(8)))
"""The tags that change and whose history is kept."""
SHEET = "tag,node\n" + "".join(f"{name},ns=1;s={name}\n" for name in (*CHANGING, "Speed", "Limit"))
GAP_S = 1.5
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Series = list[tuple[int, float]]


@asynccontextmanager
async def historian() -> AsyncIterator[tuple[Wire, str]]:
    """Run the server behind a wire; gives its own endpoint beside it."""
    command = node_script("opcua_history.js", "0", str(PERIOD_MS))
    async with running_peer(command) as [port], Wire() as wire:
        wire.target_port = int(port)
        yield wire, f"opc.tcp://127.0.0.1:{port}"


def config_in(folder: Path, wire: Wire, more: str = "") -> Config:
    table = f"""
[connectors.pumps]
type = "opcua"
endpoint = "opc.tcp://127.0.0.1:{wire.port}"
security = "None"
tags = "pumps.csv"
sampling_ms = 50
publishing_ms = 50
keep_alive_s = 0.5
silence_s_max = 5
timeout_s = 5
history_delay_s = 0.2
{more}
"""
    return written(folder, HEAD + table, pumps=SHEET)


class Held:
    """What a gateway's log holds of the tags of a connector."""

    def __init__(self, folder: Path) -> None:
        self.samples: dict[str, Series] = {}
        self.historical: dict[str, Series] = {}
        path = folder / "state" / "log.db"
        reader = LogReader(path)
        for record in reader.records():
            if record.kind is not RecordKind.BLOCK and record.kind not in FRAME_KINDS:
                continue
            frames, epoch = frames_of(record)
            names = [tag.id.partition(".")[2] for tag in reader.table(epoch).tags]
            for stored in frames:
                if stored.kind is not RecordKind.FRAME:
                    continue
                frame = stored.frame
                for k in np.flatnonzero(is_good(frame.status)):
                    name = names[int(frame.tag_index[k])]
                    sample = (int(frame.time_ns[k]), float(frame.value[k]))
                    self.samples.setdefault(name, []).append(sample)
                    if frame.origin is Origin.HISTORICAL:
                        self.historical.setdefault(name, []).append(sample)

    def historical_count(self) -> int:
        return sum(map(len, self.historical.values()))


def held_in(folder: Path) -> Held | None:
    """Return what the log holds; None while it is not there yet."""
    try:
        return Held(folder)
    except (sqlite3.Error, FileNotFoundError):
        return None


async def history_of(endpoint: str, name: str) -> Series:
    """Return all that the server kept of a tag, read with the library's own client."""
    async with Client(endpoint) as client:
        node = client.get_node(f"ns=1;s={name}")
        end = datetime.now(UTC) + timedelta(hours=1)
        values = await node.read_raw_history(EPOCH, end, numvalues=0)
    found: Series = []
    for each in values:
        assert each.SourceTimestamp is not None
        assert each.Value is not None
        time_100ns = datetime_to_win_epoch(each.SourceTimestamp) - FILETIME_1970
        found.append((time_100ns * 100, float(each.Value.Value)))
    return found


async def assert_equals_the_uninterrupted(folder: Path, endpoint: str) -> None:
    """Every value that the server kept since the first one held is held once, and no other."""
    held = Held(folder)
    for name in CHANGING:
        # The library knows microseconds.
        series = sorted((time_ns // 1000 * 1000, value) for time_ns, value in held.samples[name])
        times = [time_ns for time_ns, _ in series]
        assert len(set(times)) == len(times), f"{name}: something is there twice"
        kept = [
            sample
            for sample in await history_of(endpoint, name)
            if times[0] <= sample[0] <= times[-1]
        ]
        assert kept == series
        values = [value for _, value in series]
        assert values == [values[0] + step for step in range(len(values))]


def healed(events: list[Event]) -> list[Event]:
    return [event for event in events if event.condition == GAP_HEALED]


def events_of(folder: Path) -> list[Event]:
    return events_in(folder / "state" / "log.db")


@needs_node
@pytest.mark.slow
async def test_a_cut_of_some_seconds_is_healed_to_the_last_value(tmp_path: Path) -> None:
    """Nothing comes twice, and the event says how much it was."""
    async with historian() as (wire, endpoint):
        config = config_in(tmp_path, wire, "history_samples_max = 50")
        async with running(config, tmp_path) as gateway:
            await until(lambda: gateway.ingress.received_samples > 60, what="live values")
            await wire.refuse()
            await asyncio.sleep(GAP_S)
            await wire.listen()
            await until(lambda: bool(healed(events_of(tmp_path))), what="a healed gap")
            assert len(gateway.supervisors[0].gaps()) == 0
            healed_count = gateway.view.books().healed
        await assert_equals_the_uninterrupted(tmp_path, endpoint)
        held = Held(tmp_path)
        assert set(held.historical) == set(CHANGING), "the others keep nothing, or lost nothing"
        [event] = healed(events_of(tmp_path))
        assert event.evidence[0].value == healed_count == held.historical_count()
        assert len(held.historical["Flow"]) >= GAP_S * 1000 / PERIOD_MS
        assert "1 tags have no history" in event.text


@needs_node
@pytest.mark.slow
async def test_a_restart_is_healed_and_history_off_leaves_the_gap(tmp_path: Path) -> None:
    async with historian() as (wire, endpoint):
        for more in ('history = "heal"', 'history = "heal"', 'history = "off"'):
            config = config_in(tmp_path, wire, more)
            before = len(healed(events_of(tmp_path))) if (tmp_path / "state").exists() else None
            async with running(config, tmp_path) as gateway:
                await until(lambda: gateway.ingress.received_samples > 60, what="live values")
                if before is not None and "heal" in more:
                    await until(lambda: bool(healed(events_of(tmp_path))), what="a healed gap")
            if before is not None and "heal" in more:
                await assert_equals_the_uninterrupted(tmp_path, endpoint)
            await asyncio.sleep(0.5)
        assert [e.condition for e in events_of(tmp_path) if "gap" in e.condition] == [
            GAP_FOUND,
            GAP_HEALED,
        ]
        values = [value for _, value in sorted(Held(tmp_path).samples["Flow"])]
        assert max(np.diff(values)) > 2, "what was off is still a gap"


@needs_node
@pytest.mark.slow
async def test_a_kill_in_the_middle_of_healing_ends_equal(tmp_path: Path) -> None:
    """Killed, and killed again while it reads what it missed: two gaps, one of them half read."""
    async with historian() as (wire, endpoint):
        config_in(tmp_path, wire, "history_samples_max = 10\nhistory_share_max = 0.05")
        arguments = ["run", "-c", str(tmp_path / "gateway.toml"), "--json"]
        gateway = Child("gateway", arguments, folder=tmp_path)

        def held_count(*, historical: bool) -> int:
            held = held_in(tmp_path)
            if held is None:
                return 0
            return held.historical_count() if historical else len(held.samples.get("Flow", ()))

        try:
            await gateway.start()
            await until(lambda: held_count(historical=False) > 10, what="live values")
            await gateway.kill()
            await asyncio.sleep(1.0)
            await gateway.start()
            await until(lambda: held_count(historical=True) > 30, what="historical values")
            await gateway.kill()
            assert healed(events_of(tmp_path)) == []
            config_in(tmp_path, wire)
            await gateway.start()
            await until(lambda: bool(healed(events_of(tmp_path))), what="a healed gap")
            await gateway.stop()
        finally:
            await gateway.kill()
        await assert_equals_the_uninterrupted(tmp_path, endpoint)
        assert Held(tmp_path).historical_count() > 60


gap_lists = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 20), st.integers(1, 20)), max_size=30
)


@given(gap_lists, st.integers(1, 6))
def test_each_gap_is_in_one_batch_and_no_tag_twice_in_it(
    drawn: list[tuple[int, int, int]], size_max: int
) -> None:
    gaps = Gaps(
        number=time_column(range(len(drawn))),
        position=index_column([position for position, _, _ in drawn]),
        from_ns=time_column([from_ns for _, from_ns, _ in drawn]),
        to_ns=time_column([from_ns + length for _, from_ns, length in drawn]),
    )
    parts = list(batches(gaps, size_max=size_max))
    assert sorted(number for part in parts for number in part.number.tolist()) == list(
        range(len(drawn))
    )
    for part in parts:
        assert 1 <= len(part) <= size_max
        assert len(set(part.position.tolist())) == len(part)
        assert part.from_ns.tolist() == sorted(part.from_ns.tolist())


@given(st.lists(st.integers(0, 50)), st.integers(0, 50), st.integers(0, 50))
def test_the_ends_of_a_gap_are_left_out_to_the_microsecond(
    times: list[int], from_ns: int, to_ns: int
) -> None:
    """In steps of 100 ns, of which the library drops the last digit."""
    found = is_inside(time_column(times) * 100, from_ns=from_ns * 100, to_ns=to_ns * 100)
    assert found.tolist() == [from_ns // 10 < time // 10 < to_ns // 10 for time in times]


def page(*times_ns: int, continuation: bytes = b"") -> HistoryPage:
    count = len(times_ns)
    changes = Changes(
        handles=status_column([0] * count),
        value=np.zeros(count),
        status=status_column([0] * count),
        source_ns=time_column(times_ns),
        server_ns=time_column(times_ns),
    )
    return HistoryPage(status=0, changes=changes, continuation=continuation)


def test_only_a_full_last_page_with_news_is_read_on() -> None:
    """Not the one with a way to go on, the short one, the one at the end, the repeated one."""
    pages = [page(11, 12), page(11, 12, continuation=b"x"), page(11), page(11, 20), page(9, 10)]
    count = len(pages)
    gaps = Gaps(
        number=time_column(range(count)),
        position=index_column(range(count)),
        from_ns=time_column([10] * count),
        to_ns=time_column([20] * count),
    )
    left = what_is_left(gaps, pages, size=2)
    assert left.number.tolist() == [0]
    assert left.from_ns.tolist() == [12]
