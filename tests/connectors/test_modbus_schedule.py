"""The plan follows what the device takes, and what cannot be kept is said."""

import statistics
from pathlib import Path

from connectors.modbus.schedule_watch import SCHEDULE_TOO_TIGHT
from connectors.text_watch import TEXT_CHANGED
from tests.connectors.refusing import Device, connector_to, polled, scans, serving, words
from tests.connectors.sinks import KeepingSink
from tests.connectors.wire import until

REQUEST_S = 0.02
REGISTER_S = 0.0004


def told(sink: KeepingSink, condition: str) -> list[str]:
    return [event.text for event in sink.events if event.condition == condition]


async def test_a_scan_takes_what_was_foretold(tmp_path: Path) -> None:
    """Within a tenth, against a server that takes 20 ms, and 0.4 ms a register."""
    device = Device(request_s=REQUEST_S, register_s=REGISTER_S)
    rows = words([*range(5), *range(100, 140), *range(200, 300)])
    async with serving(device):
        connector = connector_to(device.port, tmp_path, rows, period_ms=200)
        async with polled(connector) as sink:
            await scans(sink, connector, "t299", 12)
        measured_ms = 1000 * sum(map(statistics.median, device.took_s.values()))
        [group] = connector.forecast().groups
        assert len(device.took_s) == 3
        assert abs(group.scan_ms - measured_ms) <= 0.1 * measured_ms
        assert group.is_kept
    assert told(sink, SCHEDULE_TOO_TIGHT) == []


async def test_a_schedule_that_cannot_be_kept_is_told_once(tmp_path: Path) -> None:
    """With the group, what it needs, and its period."""
    device = Device(request_s=REQUEST_S)
    rows = [f"t{address},{address},uint16,fast," for address in (0, 100, 200)]
    rows += words([300])
    async with serving(device):
        connector = connector_to(
            device.port, tmp_path, rows, period_ms=500, groups={"fast": {"period_ms": 40}}
        )
        async with polled(connector) as sink:
            await until(lambda: bool(told(sink, SCHEDULE_TOO_TIGHT)), what="the event")
            await scans(sink, connector, "t0", 25)
    fast = [text for text in told(sink, SCHEDULE_TOO_TIGHT) if "fast" in text]
    [text] = fast
    needed_ms = float(text.partition("one scan needs ")[2].partition(" ms")[0])
    assert 60 <= needed_ms <= 90
    assert text.startswith("blower cannot keep its schedule. Group fast: one scan needs ")
    assert "the period is 40 ms" in text


async def test_gaps_are_left_out_when_registers_turn_out_to_be_dear(tmp_path: Path) -> None:
    """At a millisecond each, 58 unlisted registers cost more than a request of 5 ms."""
    rows = words([*range(2), *range(60, 64), *range(120, 160)])
    async with serving(Device(request_s=0.005, register_s=0.001)) as device:
        connector = connector_to(
            device.port, tmp_path, rows, period_ms=150, gap_registers_max="auto"
        )
        assert len(connector.blocks) == 2
        async with polled(connector) as sink:
            await until(lambda: len(connector.blocks) == 3, what="another plan")
            device.reads()
            await scans(sink, connector, "t0", 3)
        assert set(device.reads()) == {(3, 0, 2), (3, 60, 4), (3, 120, 40)}


async def test_a_plan_that_is_good_enough_stays(tmp_path: Path) -> None:
    rows = words([*range(2), *range(60, 64), *range(120, 160)])
    async with serving(Device(request_s=0.005)) as device:
        connector = connector_to(
            device.port, tmp_path, rows, period_ms=30, gap_registers_max="auto"
        )
        before = connector.blocks
        async with polled(connector) as sink:
            await scans(sink, connector, "t0", 45)
        assert connector.blocks == before


async def test_text_is_told_when_it_changes(tmp_path: Path) -> None:
    """Quoted, at once when it is new, and never as a sample."""
    rows = ["name,10,string8,,", "other,20,string4,,", "speed,30,uint16,,"]
    device = Device()
    async with serving(device):
        await device.set_registers(10, [0x5055, 0x4D50, 0x2037, 0x0000])
        await device.set_registers(20, [0x4100, 0x0000])
        connector = connector_to(device.port, tmp_path, rows)
        assert [tag.id for tag in connector.tags] == ["blower.speed"]
        async with polled(connector) as sink:
            await scans(sink, connector, "speed", 4)
        assert sorted(told(sink, TEXT_CHANGED)) == [
            "blower.name is 'PUMP 7'",
            "blower.other is 'A'",
        ]
        assert len({event.id for event in sink.events}) == 2
        async with polled(connector) as again:
            await scans(again, connector, "speed", 2)
        assert again.events == []
        assert sink.sample_count == len(sink.received)
