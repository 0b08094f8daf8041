"""Several units on one Modbus line: what one does must not be the trouble of another."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from connectors.modbus.exchange import Request
from connectors.modbus.line import Line, Lines
from connectors.modbus.line_connection import WAITING_MAX
from connectors.modbus.line_settings import LineSettings
from connectors.modbus.silences import SILENCES_MAX
from connectors.modbus.unit_client import UnitClient
from gateway.core.errors import ConfigError, DeviceError
from gateway.wire.clock import SystemClock
from tests.connectors.scripted_units import ScriptedUnits
from tests.connectors.wire import until, within

FRAMINGS = ["tcp", "rtu"]


def read(address: int, count: int = 1) -> Request:
    """Ask for holding registers."""
    return Request(struct.pack(">BHH", 3, address, count), 2 * count)


def line_to(units: ScriptedUnits, **settings: object) -> Line:
    given = {"address": units.address, "framing": units._framing} | settings
    return Lines(SystemClock()).line("a", LineSettings.model_validate(given))


@asynccontextmanager
async def session(line: Line, unit: int, *, timeout_s: float = 5.0) -> AsyncIterator[UnitClient]:
    client = line.client(device=f"unit {unit}", unit=unit, timeout_s=timeout_s)
    try:
        await client.connect()
        yield client
    finally:
        client.close()


async def values(client: UnitClient, *requests: Request, priority: int = 100) -> list[int]:
    """Ask, and return the first register of each answer in the order of the requests."""
    exchange = client.submit(requests, priority=priority)
    answers: dict[int, int] = {}
    while not exchange.is_complete:
        await exchange.more()
        for place, answer in exchange.take():
            answers[place] = struct.unpack_from(">H", answer.payload)[0]
    return [answers[place] for place in range(len(requests))]


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_two_units_share_one_connection_that_ends_with_the_last(framing: str) -> None:
    async with ScriptedUnits(framing) as units:
        line = line_to(units)
        async with session(line, 1) as one:
            async with session(line, 2) as two:
                assert await values(one, read(5)) == [1005]
                assert await values(two, read(6)) == [2006]
            assert await values(one, read(7), read(8)) == [1007, 1008]
            assert len(units.connected_s) == 1
        await until(lambda: units.open_count == 0, what="the end of the connection")
        async with session(line, 2) as two:
            assert await values(two, read(0)) == [2000]
        assert len(units.connected_s) == 2


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_a_silent_unit_fails_alone(framing: str) -> None:
    async with ScriptedUnits(framing) as units:
        line = line_to(units)
        async with session(line, 1) as one, session(line, 2, timeout_s=0.2) as two:
            assert await values(two, read(0)) == [2000]
            units.silent.add(2)
            with pytest.raises(DeviceError, match=r"unit 2 does not answer within 0\.2 s since"):
                await values(two, read(0), read(1))
            with pytest.raises(DeviceError, match="unit 2"):
                two.submit([read(0)], priority=1)
            with pytest.raises(DeviceError, match="unit 2"):
                await within(two.ended(), what="the session of the silent one")
            assert await values(one, read(1), read(2)) == [1001, 1002]
        assert len(units.connected_s) == 1


async def test_a_unit_that_is_dead_costs_a_short_probe() -> None:
    """The others answer in milliseconds, so the dead one is given about that, and not 5 s."""
    async with ScriptedUnits() as units:
        line = line_to(units)
        units.silent.add(2)
        async with session(line, 1) as one:
            await values(one, *[read(0)] * 20)
            async with session(line, 2) as two:
                before_s = asyncio.get_running_loop().time()
                with pytest.raises(DeviceError, match="does not answer within"):
                    await values(two, *[read(0)] * 20)
                assert asyncio.get_running_loop().time() - before_s < 4.0
        assert units.asked_of(2) == 1


async def test_a_slow_unit_is_taken_for_dead_once_and_then_given_its_time() -> None:
    """Its late answer is recognised by its number, dropped, and teaches how slow it is."""
    async with ScriptedUnits() as units:
        line = line_to(units, probe_factor=2)
        units.delay_s[2] = 0.4
        async with session(line, 1) as one:
            await values(one, *[read(0)] * 20)
            async with session(line, 2) as two:
                with pytest.raises(DeviceError, match="does not answer"):
                    await values(two, read(0))
            while not line.late_answer_count:
                assert await values(one, read(3)) == [1003]
            async with session(line, 2) as two:
                assert await values(two, read(9)) == [2009]
        assert line.late_answer_count == 1


async def test_on_rtu_a_late_answer_is_never_taken_for_anothers() -> None:
    """Both units are asked for the same registers; the late values of one never reach the other.

    Nor do they answer the same unit's next question: it is left alone for a while.
    """
    async with ScriptedUnits("rtu") as units:
        line = line_to(units, probe_ms_min=50, probe_factor=2)
        units.delay_s[2] = 0.15
        async with session(line, 1) as one:
            seen = set(await values(one, *[read(0)] * 5))
            async with session(line, 2, timeout_s=1.0) as two:
                with pytest.raises(DeviceError, match="does not answer"):
                    await values(two, read(0))
            while not line.late_answer_count:
                seen |= set(await values(one, read(0)))
            assert seen == {1000}
            async with session(line, 2, timeout_s=1.0) as two:
                assert await values(two, read(7)) == [2007]
        asked_s = [moment_s for moment_s, unit, _ in units.asked if unit == 2]
        assert asked_s[1] - asked_s[0] > 1.0


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_when_all_are_silent_the_connection_is_made_anew(framing: str) -> None:
    async with ScriptedUnits(framing) as units:
        line = line_to(units)
        async with session(line, 1, timeout_s=0.2) as one, session(line, 2, timeout_s=0.2) as two:
            await values(one, read(0))
            await values(two, read(0))
            units.silent |= {1, 2}
            one.submit([read(0)], priority=1)
            two.submit([read(0)], priority=1)
            for client in (one, two):
                with pytest.raises(DeviceError, match="does not answer"):
                    await within(client.ended(), what="a session on a dead connection")
            await until(lambda: units.open_count == 0, what="the end of the connection")
        units.silent.clear()
        async with session(line, 1) as one:
            assert await values(one, read(4)) == [1004]
        assert len(units.connected_s) == 2


async def test_sessions_that_come_and_go_do_not_keep_a_dead_connection() -> None:
    """As with a supervisor that tries again: there is always one, and none is answered."""
    async with ScriptedUnits() as units:
        line = line_to(units)
        units.silent |= {1, 2}
        async with session(line, 1, timeout_s=0.1) as one, session(line, 2, timeout_s=0.2) as two:
            one.submit([read(0)], priority=1)
            two.submit([read(0)], priority=2)
            with pytest.raises(DeviceError):
                await one.ended()
            async with session(line, 1) as again:
                again.submit([read(0)], priority=3)
                with pytest.raises(DeviceError, match=r"unit 1 does not answer within 0\.2 s"):
                    await within(again.ended(), what="the session on the dead connection")
            assert two.failure is not None
        await until(lambda: units.open_count == 0, what="the end of the connection")
        assert units.asked_of(1) == 1


async def test_a_unit_that_is_seldom_asked_does_not_keep_a_dead_connection() -> None:
    """Nobody can know whether it would answer; one that did, and does no more, speaks for both."""
    async with ScriptedUnits() as units:
        line = line_to(units, probe_ms_min=50)
        async with session(line, 3) as seldom:
            await values(seldom, read(0))
            async with session(line, 1, timeout_s=0.1) as one:
                await values(one, read(0))
            units.silent |= {1, 3}
            attempts = 0
            while seldom.failure is None:
                attempts += 1
                async with session(line, 1, timeout_s=0.1) as one:
                    with pytest.raises(DeviceError, match="does not answer"):
                        await values(one, read(0))
            assert attempts == SILENCES_MAX


async def test_a_unit_that_never_answered_does_not_end_the_connection_of_one_seldom_asked() -> None:
    async with ScriptedUnits() as units:
        line = line_to(units, probe_ms_min=50)
        units.silent.add(1)
        async with session(line, 3) as seldom:
            await values(seldom, read(0))
            for _ in range(2 * SILENCES_MAX):
                async with session(line, 1, timeout_s=0.1) as one:
                    with pytest.raises(DeviceError, match="does not answer"):
                        await values(one, read(0))
            assert await values(seldom, read(0)) == [3000]
        assert len(units.connected_s) == 1


@pytest.mark.parametrize("code", [10, 11])
async def test_a_unit_that_its_gateway_cannot_reach_fails_alone(code: int) -> None:
    async with ScriptedUnits() as units:
        line = line_to(units)
        units.refusal[2] = code
        async with session(line, 1) as one, session(line, 2) as two:
            with pytest.raises(DeviceError, match=f"its gateway.*\nexception {code}"):
                await values(two, read(0), read(1))
            assert await values(one, read(0)) == [1000]


@pytest.mark.parametrize("in_flight_max", [1, 3])
async def test_the_line_as_a_whole_has_no_more_in_flight_than_allowed(in_flight_max: int) -> None:
    async with ScriptedUnits() as units:
        line = line_to(units, requests_in_flight_max=in_flight_max)
        units.delay_s |= {1: 0.005, 2: 0.005}
        async with session(line, 1) as one, session(line, 2) as two:
            await asyncio.gather(values(one, *[read(0)] * 15), values(two, *[read(0)] * 15))
        assert units.at_once_max == in_flight_max


async def test_a_long_scan_does_not_hold_up_the_short_one_of_another_unit() -> None:
    """Of one period, units take turns: the short scan is through after a few requests."""
    async with ScriptedUnits() as units:
        line = line_to(units)
        units.delay_s[1] = 0.01
        async with session(line, 1) as one, session(line, 2) as two:
            await asyncio.gather(values(one, read(0)), values(two, read(0)))
            units.asked.clear()
            long = one.submit([read(address) for address in range(50)], priority=60_000)
            assert await values(two, read(0), priority=60_000) == [2000]
            assert units.asked_of(1) <= 3
            one.withdraw(long)


async def test_pauses_are_kept() -> None:
    async with ScriptedUnits() as units:
        line = line_to(units, pause_after_connect_ms=150, pause_between_requests_ms=40)
        async with session(line, 1) as one:
            await values(one, *[read(0)] * 4)
        asked_s = [moment_s for moment_s, _, _ in units.asked]
        # The device may see bytes a moment later than we sent them, never earlier.
        assert asked_s[0] - units.connected_s[0] >= 0.14
        assert all(later_s - earlier_s >= 0.035 for earlier_s, later_s in pairwise(asked_s))


async def test_noise_before_and_between_is_passed_over() -> None:
    """An RTU answer is found behind bytes that belong to nothing."""

    class Noisy(ScriptedUnits):
        def adu(self, number: int, unit: int, pdu: bytes) -> bytes:
            return b"\x01\x03\x7f" + super().adu(number, unit, pdu)

    async with Noisy("rtu") as units:
        line = line_to(units)
        async with session(line, 1) as one:
            assert await values(one, read(1), read(2), read(3)) == [1001, 1002, 1003]


@pytest.mark.parametrize("damaged_count", [1, 2])
async def test_a_damaged_answer_is_asked_for_once_more(damaged_count: int) -> None:
    """One is repeated within milliseconds; two in a row count as none."""
    left = damaged_count

    class Disturbed(ScriptedUnits):
        def adu(self, number: int, unit: int, pdu: bytes) -> bytes:
            nonlocal left
            left -= 1
            sound = super().adu(number, unit, pdu)
            return sound if left < 0 else sound[:-1] + bytes([sound[-1] ^ 1])

    async with Disturbed("rtu") as units:
        line = line_to(units)
        async with session(line, 1, timeout_s=0.5) as one:
            if damaged_count == 1:
                assert await values(one, read(1), read(2)) == [1001, 1002]
                assert units.asked_of(1) == 3
            else:
                with pytest.raises(DeviceError, match="does not answer"):
                    await values(one, read(1), read(2))
                assert units.asked_of(1) == 2
        assert line.damaged_answer_count == damaged_count


async def test_a_line_that_never_stops_talking_is_given_up() -> None:
    class Babbling(ScriptedUnits):
        def adu(self, number: int, unit: int, pdu: bytes) -> bytes:
            return bytes(8192)

    async with Babbling("rtu") as units:
        line = line_to(units)
        async with session(line, 1) as one:
            with pytest.raises(DeviceError, match="what is not Modbus RTU"):
                await values(one, read(1))


async def test_whoever_leaves_with_a_request_on_the_wire_disturbs_nobody() -> None:
    async with ScriptedUnits() as units:
        line = line_to(units)
        units.delay_s[2] = 0.1
        async with session(line, 1) as one:
            async with session(line, 2) as two:
                two.submit([read(0)], priority=1)
                await until(lambda: units.asked_of(2) == 1, what="the request")
            assert await values(one, read(0)) == [1000]
            assert line.late_answer_count == 1


async def test_requests_cannot_pile_up() -> None:
    async with ScriptedUnits() as units:
        line = line_to(units)
        units.silent.add(1)
        async with session(line, 1) as one:
            one.submit([read(0)] * WAITING_MAX, priority=1)
            with pytest.raises(DeviceError, match="too many requests waiting"):
                one.submit([read(0)] * 2, priority=1)


async def test_a_failed_opening_is_shared_by_all_who_waited() -> None:
    """Ten units of a line that nobody answers on cost one attempt, not ten."""
    async with ScriptedUnits() as units:
        line = line_to(units)
    clients = [line.client(device=f"unit {n}", unit=n, timeout_s=1.0) for n in range(10)]
    outcomes = await asyncio.gather(
        *(client.connect() for client in clients), return_exceptions=True
    )
    assert [str(outcome).split()[:5] for outcome in outcomes] == [
        ["unit", str(n), "cannot", "be", "reached."] for n in range(10)
    ]


async def test_a_cancelled_opening_is_taken_over_by_the_next() -> None:
    async with ScriptedUnits() as units:
        line = line_to(units)
        first, second = (line.client(device="x", unit=n, timeout_s=5.0) for n in (1, 2))
        opening = asyncio.create_task(first.connect())
        waiting = asyncio.create_task(second.connect())
        await asyncio.sleep(0)
        opening.cancel()
        await within(waiting, what="the second")
        assert await values(second, read(1)) == [2001]
        first.close()
        second.close()


async def test_a_session_reports_on_itself_and_its_line() -> None:
    async with ScriptedUnits() as units:
        line = line_to(units)
        units.delay_s[1] = 0.05
        async with session(line, 1) as one, session(line, 2) as two:
            await values(one, *[read(0)] * 6)
            report, idle = one.report(), two.report()
        assert report.latency_ms is not None
        assert 45 < report.latency_ms < 1000
        assert report.requests_per_s is not None
        assert 1 < report.requests_per_s <= 20.5
        assert report.busy_share is not None
        assert 0.3 < report.busy_share <= 1
        assert idle.latency_ms is None
        assert idle.busy_share == pytest.approx(report.busy_share, abs=0.1)


def test_connectors_of_one_line_must_agree_on_it() -> None:
    lines = Lines(SystemClock())
    settings = {"address": "10.0.4.17", "pause_after_connect_ms": 100}
    first = lines.line("drive_1", LineSettings.model_validate(settings))
    settings["address"] = "10.0.4.17:502"
    assert lines.line("drive_2", LineSettings.model_validate(settings)) is first
    settings |= {"pause_after_connect_ms": 200, "framing": "rtu"}
    with pytest.raises(ConfigError) as caught:
        lines.line("drive_3", LineSettings.model_validate(settings))
    assert sorted(caught.value.mistakes) == [
        "connectors.drive_3.framing: 'rtu' is not 'tcp' as at connectors.drive_1, "
        "which shares the line 10.0.4.17:502",
        "connectors.drive_3.pause_after_connect_ms: 200 is not 100 as at connectors.drive_1, "
        "which shares the line 10.0.4.17:502",
    ]
