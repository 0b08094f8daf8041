"""What becomes of addresses that a device refuses, against pymodbus' server."""

import asyncio
import struct
from collections import Counter
from pathlib import Path

import pytest

from connectors.modbus.device_events import ADDRESS_REFUSED, ADDRESS_RESTORED
from gateway.core.quality import Status
from tests.connectors.refusing import (
    Device,
    connector_to,
    polled,
    scans,
    serving,
    stated,
    values,
    words,
)
from tests.connectors.sinks import KeepingSink
from tests.connectors.wire import Wire, until


def conditions(sink: KeepingSink) -> list[str]:
    return [event.condition for event in sink.events]


@pytest.mark.parametrize("bad", [0, 37, 64, 99])
async def test_one_refused_point_costs_eight_requests_and_no_value_of_the_others(
    tmp_path: Path, bad: int
) -> None:
    """Among 100; the scan in which the refusal came has the 99 others too."""
    async with serving(Device(refused={2: {bad}})) as device:
        connector = connector_to(device.port, tmp_path, words(range(100)))
        async with polled(connector) as sink:
            await until(lambda: ADDRESS_REFUSED in conditions(sink), what="the event")
            first_scan = device.reads()
            # The whole, refused; then at most eight parts.
            assert 1 <= len(first_scan) - 1 <= 8
            good = Counter(int(value) for frame in sink.received for value in frame.value)
            assert good == Counter(address for address in range(100) if address != bad)
            other = "t50"
            await scans(sink, connector, other, 5)
        assert not any(address <= bad < address + count for _, address, count in device.reads())
        assert len(values(sink, connector, other)) == len(values(sink, connector, "t51"))
        assert stated(sink, connector) == {f"t{bad}": [Status.BAD_NODE_ID_UNKNOWN]}
        assert conditions(sink) == [ADDRESS_REFUSED]
        assert f"holding {bad} (blower.t{bad})" in sink.events[0].text
        assert "exception 2, illegal data address" in sink.events[0].text
        [aside] = connector.report().set_aside
        assert (aside.tag, aside.address) == (f"blower.t{bad}", f"holding {bad}")
        assert aside.reason == "exception 2, illegal data address"
        assert aside.since_ns < aside.retry_ns
        sink.assert_sound()


async def test_a_point_that_answers_again_is_read_with_the_others(tmp_path: Path) -> None:
    """It is tried alone, later and later; then the plan is one request again."""
    async with serving(Device(refused={2: {7}})) as device:
        connector = connector_to(
            device.port, tmp_path, words(range(20)), retry_first_s=0.05, retry_cap_s=0.4
        )
        async with polled(connector) as sink:
            await until(lambda: (3, 7, 1) in device.requests, what="a try")
            await until(lambda: device.requests.count((3, 7, 1)) >= 4, what="more tries")
            assert values(sink, connector, "t7") == []
            device.refused.clear()
            await until(lambda: len(values(sink, connector, "t7")) >= 3, what="values")
            device.reads()
            await scans(sink, connector, "t7", 2)
            assert set(device.reads()) == {(3, 0, 20)}
        assert stated(sink, connector) == {"t7": [Status.BAD_NODE_ID_UNKNOWN]}
        assert conditions(sink) == [ADDRESS_REFUSED, ADDRESS_RESTORED]
        assert connector.report().set_aside == ()


async def test_tries_become_rarer(tmp_path: Path) -> None:
    """0.1 s, 0.2 s, 0.4 s: three tries within the first second, not twenty."""
    async with serving(Device(refused={3: {7}})) as device:
        connector = connector_to(device.port, tmp_path, words([0, 7]), retry_first_s=0.1)
        async with polled(connector) as sink:
            await scans(sink, connector, "t0", 18)
        tries = [request for request in device.requests if request == (3, 7, 1)]
        assert 2 <= len(tries) <= 5


async def test_a_refused_gap_is_never_read_along_again(tmp_path: Path) -> None:
    """No point is to blame, none is Bad, and no value is missing."""
    async with serving(Device(refused={2: {5}})) as device:
        connector = connector_to(device.port, tmp_path, words([0, 1, 2, 3, 8, 9, 10]))
        async with polled(connector) as sink:
            await scans(sink, connector, "t10", 4)
            device.reads()
            await scans(sink, connector, "t10", 2)
            assert set(device.reads()) == {(3, 0, 4), (3, 8, 3)}
        assert sink.stated == []
        assert conditions(sink) == []
        assert len(values(sink, connector, "t0")) == len(values(sink, connector, "t10"))


async def test_several_refused_points_are_all_found(tmp_path: Path) -> None:
    bad = {3, 4, 40, 41, 77}
    async with serving(Device(refused={2: bad})) as device:
        connector = connector_to(device.port, tmp_path, words(range(100)))
        async with polled(connector) as sink:
            await until(lambda: len(connector.report().set_aside) == 5, what="all of them")
            await scans(sink, connector, "t50", 3)
        assert set(stated(sink, connector)) == {f"t{address}" for address in bad}
        for address in set(range(100)) - bad:
            assert values(sink, connector, f"t{address}")
        sink.assert_sound()


async def test_a_device_that_refuses_everything_is_asked_within_bounds(tmp_path: Path) -> None:
    """At most 16 extra requests a scan; and when it answers again, all comes back."""
    async with serving(Device(refused={2: set(range(400))})) as device:
        connector = connector_to(
            device.port, tmp_path, words(range(200)), retry_first_s=0.3, retry_cap_s=0.5
        )
        async with polled(connector) as sink:
            await until(lambda: bool(device.requests), what="the first scan")
            await until(lambda: len(connector.report().set_aside) == 200, what="all set aside")
            # Two blocks refused, and their searches: about seven halvings and seven more each.
            assert len(device.requests) <= 2 * 25
            device.refused.clear()
            await until(lambda: connector.report().set_aside == (), what="all back")
        assert all(
            codes == [Status.BAD_NODE_ID_UNKNOWN] for codes in stated(sink, connector).values()
        )
        assert len(stated(sink, connector)) == 200


async def test_a_device_that_was_not_ready_comes_back_at_once(tmp_path: Path) -> None:
    """200 tags in 20 blocks, refused while it starts: when the first answers, soon all do."""
    device = Device(refused_functions={3: 2})
    rows = words(range(0, 400, 2))
    async with serving(device):
        connector = connector_to(
            device.port, tmp_path, rows, retry_first_s=0.2, block_registers_max=20
        )
        async with polled(connector) as sink:
            await until(lambda: len(connector.report().set_aside) == 200, what="all set aside")
            device.refused_functions.clear()
            device.reads()
            await until(lambda: connector.report().set_aside == (), what="all back")
            assert len(device.reads()) <= 250
            await scans(sink, connector, "t398", 1)
            device.reads()
            await scans(sink, connector, "t398", 2)
            # The plan is what it was: 20 registers at a time, across the gaps.
            assert max(Counter(device.reads()).values()) <= 3
            assert len(connector.blocks) == 20
        texts = [event.text for event in sink.events]
        assert len(texts) <= 40
        assert texts[0].startswith("blower refuses holding 0 (blower.t0), holding 2 (blower.t2)")


async def test_an_unknown_function_is_not_searched(tmp_path: Path) -> None:
    """The whole area is set aside after one request, and one of its points is tried for all."""
    rows = [*words(range(100)), "run,coil:3,bool,,"]
    async with serving(Device(refused_functions={3: 1})) as device:
        connector = connector_to(device.port, tmp_path, rows, retry_first_s=0.2)
        async with polled(connector) as sink:
            await scans(sink, connector, "run", 2)
            assert [request for request in device.requests if request[0] == 3] == [(3, 0, 100)]
            assert len(connector.report().set_aside) == 100
            await until(lambda: (3, 0, 1) in device.requests, what="one try")
            device.refused_functions.clear()
            await until(lambda: bool(values(sink, connector, "t99")), what="all back")
            assert connector.report().set_aside == ()
        assert conditions(sink) == [ADDRESS_REFUSED, ADDRESS_RESTORED]
        assert "and 95 others" in sink.events[0].text


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (5, Status.BAD_WAITING_FOR_RESPONSE),
        (6, Status.BAD_SERVER_TOO_BUSY),
        (8, Status.BAD_DEVICE_FAILURE),
    ],
)
async def test_a_busy_device_is_no_address_fault(tmp_path: Path, code: int, status: Status) -> None:
    """Bad once; asked for again in every scan, as a whole; Good as soon as it answers."""
    async with serving(Device(refused_functions={3: code})) as device:
        connector = connector_to(device.port, tmp_path, [*words(range(10)), "run,coil:3,bool,,"])
        async with polled(connector) as sink:
            await scans(sink, connector, "run", 4)
            assert {request for request in device.requests if request[0] == 3} == {(3, 0, 10)}
            assert device.requests.count((3, 0, 10)) >= 4
            device.refused_functions.clear()
            await scans(sink, connector, "t9", 2)
        assert stated(sink, connector) == {f"t{address}": [status] for address in range(10)}
        assert conditions(sink) == []
        assert connector.report().set_aside == ()


async def test_device_failure_blames_an_address_only_where_others_answer(tmp_path: Path) -> None:
    async with serving(Device(refused={4: {5}})) as device:
        connector = connector_to(device.port, tmp_path, words([*range(10), *range(200, 210)]))
        async with polled(connector) as sink:
            await until(lambda: bool(connector.report().set_aside), what="the point")
            await scans(sink, connector, "t4", 2)
        [aside] = connector.report().set_aside
        assert aside.address == "holding 5"
        assert set(stated(sink, connector)["t5"]) == {Status.BAD_DEVICE_FAILURE}


async def test_what_was_learned_outlives_the_session(tmp_path: Path) -> None:
    """No new search, no new event; the tag's status is stated anew, for a loss had changed it."""
    async with serving(Device(refused={2: {7}})) as device:
        connector = connector_to(device.port, tmp_path, words(range(20)))
        async with polled(connector) as sink:
            await scans(sink, connector, "t0", 3)
        device.reads()
        async with polled(connector) as again:
            await scans(again, connector, "t0", 3)
        assert set(device.reads()) == {(3, 0, 7), (3, 8, 12)}
        assert conditions(again) == []
        assert stated(again, connector) == {"t7": [Status.BAD_NODE_ID_UNKNOWN]}


async def test_a_device_is_found_again_though_all_is_set_aside(tmp_path: Path) -> None:
    """Without any request nobody would know that it is there."""
    async with serving(Device(refused={2: {7}})) as device:
        connector = connector_to(device.port, tmp_path, words([7]))
        async with polled(connector):
            await until(lambda: bool(connector.report().set_aside), what="the point")
        async with polled(connector) as again:
            await until(lambda: again.connected_count == 1, what="the connection")


async def test_a_shorter_limit_than_configured_is_learned(tmp_path: Path) -> None:
    """Requests that are too long blame nobody: after the second time they are shorter."""
    async with serving(Device(count_max=40)) as device:
        connector = connector_to(device.port, tmp_path, words(range(100)))
        async with polled(connector) as sink:
            await scans(sink, connector, "t99", 4)
            device.reads()
            await scans(sink, connector, "t99", 2)
            assert max(count for _, _, count in device.reads()) <= 40
        assert sink.stated == []
        assert connector.report().set_aside == ()


async def test_a_point_refused_in_one_group_is_no_gap_of_another(tmp_path: Path) -> None:
    """Its address lies in a gap there: the other group's plan reads around it."""
    rows = [f"t{address},{address},uint16,slow," for address in (3, 30)]
    rows += words([0, 1, 2, 4, 5, 6])
    async with serving(Device(refused={2: {3}})) as device:
        connector = connector_to(device.port, tmp_path, rows, groups={"slow": {"period_ms": 60}})
        async with polled(connector) as sink:
            await until(lambda: bool(connector.report().set_aside), what="the point")
            await scans(sink, connector, "t6", 3)
            device.reads()
            await scans(sink, connector, "t6", 3)
            assert (
                {(3, 0, 3), (3, 4, 3)} <= set(device.reads()) <= {(3, 0, 3), (3, 4, 3), (3, 30, 1)}
            )
        assert set(stated(sink, connector)) == {"t3"}


async def test_a_stop_during_a_search_loses_nothing(tmp_path: Path) -> None:
    """What the device sent is received, wherever the cancellation strikes; counted on the wire."""
    rows = words(range(60))
    async with serving(Device(refused={2: {3, 11, 40}}, request_s=0.003)) as device, Wire() as wire:
        wire.target_port = device.port
        total = 0
        for step in range(20):
            connector = connector_to(wire.port, tmp_path, rows)
            wire.downstream.clear()
            async with polled(connector) as sink:
                await asyncio.sleep(0.005 * step)
            offered = sum(registers_in(bytes(stretch)) for stretch in wire.downstream)
            assert sink.sample_count == offered, f"cancelled at step {step}"
            total += offered
        assert total > 0


def registers_in(stream: bytes) -> int:
    """Count the registers in the whole responses of a connection; here each is a tag's value."""
    count = position = 0
    while position + 9 <= len(stream):
        (length,) = struct.unpack_from(">H", stream, position + 4)
        if position + 6 + length > len(stream):
            break
        if stream[position + 7] == 3:
            count += stream[position + 8] // 2
        position += 6 + length
    return count
