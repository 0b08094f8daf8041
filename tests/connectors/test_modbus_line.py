"""Modbus connectors on shared lines, as a gateway runs them: lost, back, and on the backup."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import ValidationError

from connectors.modbus.connector import ModbusConfig, ModbusConnector
from connectors.modbus.line import Line, Lines
from gateway.config import Config
from gateway.core.arrays import index_column
from gateway.core.errors import ConfigError
from gateway.core.events import Transition
from gateway.core.frame import Frame
from gateway.service.build import build_parts
from gateway.wire.clock import SystemClock
from tests.connectors.contract import failure_of
from tests.connectors.scripted_units import ScriptedUnits
from tests.connectors.sinks import KeepingSink
from tests.connectors.supervision import supervised
from tests.connectors.wire import until

PERIOD_MS = 20


def connector_to(
    folder: Path, name: str, lines: Lines | None = None, **settings: object
) -> ModbusConnector:
    (folder / f"{name}.csv").write_text("tag,address,type\nlevel,4,uint16\n", encoding="utf-8")
    given = {"type": "modbus", "tags": f"{name}.csv", "period_ms": PERIOD_MS}
    config = ModbusConfig.model_validate(given | settings)
    return ModbusConnector(name, config, folder=folder, clock=SystemClock(), lines=lines)


def p99_age_s(frames: Sequence[Frame]) -> float:
    """Return the 99th percentile of how old a value was when the next one came."""
    ages_s = sorted(
        (later.arrival_ns - earlier.arrival_ns) / 1e9 for earlier, later in pairwise(frames)
    )
    return ages_s[int(0.99 * len(ages_s))]


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
async def test_a_dead_unit_never_delays_the_other(framing: str, tmp_path: Path) -> None:
    """The p99 age of a scan, before one of two units dies and while it is tried again.

    Every attempt may cost a probe of 0.1 s (more only when the machine is so busy that answers
    take longer); with the time-out of 0.8 s in its place the p99 would be beyond that.
    """
    async with ScriptedUnits(framing) as units:
        lines = Lines(SystemClock())
        settings = {"address": units.address, "framing": framing, "timeout_s": 0.8}
        alive = connector_to(tmp_path, "alive", lines, unit=1, **settings)
        dying = connector_to(tmp_path, "dying", lines, unit=2, **settings)
        async with supervised(alive) as kept, supervised(dying) as lost:
            await until(lambda: len(kept.frames) >= 50 and bool(lost.frames), what="both")
            before_s = p99_age_s(kept.frames)
            units.silent.add(2)
            await until(lambda: bool(lost.transitions("device_lost")), what="the loss")
            begin, probe_count = len(kept.frames), units.asked_of(2)
            await until(lambda: units.asked_of(2) >= probe_count + 2, what="attempts")
            await until(lambda: len(kept.frames) >= begin + 50, what="frames meanwhile")
            during_s = p99_age_s(kept.frames[begin:])
            units.silent.clear()
            await until(lambda: len(lost.transitions("device_lost")) == 2, what="the return")
        print(f"{framing}: p99 age {before_s:.3f} s before, {during_s:.3f} s during")
        assert during_s < max(0.6, 20 * before_s)
        assert kept.transitions("device_lost") == []
        assert lost.transitions("device_lost") == [Transition.RAISED, Transition.RETURNED]
        assert len(units.connected_s) == 1
    assert {float(frame.value[0]) for frame in kept.frames} == {1004.0}


async def test_the_backup_is_used_when_the_first_address_cannot_be_reached(tmp_path: Path) -> None:
    """Then back to the first, as soon as the backup fails; an event says which is in use."""
    async with ScriptedUnits() as first, ScriptedUnits() as second:
        await first.stop()
        connector = connector_to(
            tmp_path, "press", address=first.address, backup_address=second.address, timeout_s=2
        )
        async with supervised(connector) as kept:
            await until(lambda: len(kept.frames) >= 3, what="frames by way of the backup")
            [used] = [each for each in kept.events if each.condition == "backup_address_used"]
            assert used.transition is Transition.RAISED
            assert used.text == f"press is connected to its backup address {second.address}"
            await first.listen()
            await second.stop()
            await until(lambda: first.asked_of(1) > 3, what="requests to the first")
        assert kept.transitions("backup_address_used") == [Transition.RAISED, Transition.RETURNED]


async def test_the_backup_is_used_when_the_first_address_stops_answering(tmp_path: Path) -> None:
    async with ScriptedUnits() as first, ScriptedUnits() as second:
        connector = connector_to(
            tmp_path, "press", address=first.address, backup_address=second.address, timeout_s=0.3
        )
        async with supervised(connector) as kept:
            await until(lambda: first.asked_of(1) > 3, what="requests to the first")
            first.silent.add(1)
            await until(lambda: second.asked_of(1) > 3, what="requests to the backup")
        assert kept.transitions("backup_address_used") == [Transition.RAISED]


async def test_both_addresses_are_named_when_none_can_be_reached(tmp_path: Path) -> None:
    async with ScriptedUnits() as first, ScriptedUnits() as second:
        addresses = first.address, second.address
    connector = connector_to(
        tmp_path, "press", address=addresses[0], backup_address=addresses[1], timeout_s=2
    )
    task = asyncio.create_task(connector.session(KeepingSink(), index_column([0])))
    error = await failure_of(task)
    assert all(address in str(error) for address in addresses)


def test_a_gateway_has_one_line_for_all_units_of_an_address(tmp_path: Path) -> None:
    (tmp_path / "drive.csv").write_text("tag,address,type\nlevel,4,uint16\n", encoding="utf-8")
    drive = {"type": "modbus", "address": "/dev/ttyUSB7", "tags": "drive.csv"}

    def lines_of(second: dict[str, object]) -> list[Line]:
        tables = {
            "gateway": {"id": "g", "state_folder": str(tmp_path)},
            "connectors": {"one": drive | {"unit": 1}, "two": drive | second},
        }
        parts = build_parts(Config.model_validate(tables), folder=tmp_path, clock=SystemClock())
        return [each._line for each in parts.connectors if isinstance(each, ModbusConnector)]

    one, two = lines_of({"unit": 2})
    assert one is two
    with pytest.raises(ConfigError, match=r"connectors\.two\.baud_bd: 9600 is not 19200 .*\.one"):
        lines_of({"unit": 2, "baud_bd": 9600})


@pytest.mark.parametrize(
    "settings",
    [
        {"address": "/dev/ttyUSB0", "unit": 0},
        {"address": "10.0.4.17", "framing": "rtu", "unit": 0},
    ],
)
def test_the_broadcast_is_refused_where_nobody_answers_it(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="0 is the broadcast"):
        ModbusConfig.model_validate({"type": "modbus", "tags": "x.csv"} | settings)


def test_unit_0_of_a_tcp_device_is_its_own() -> None:
    """Messaging on TCP/IP 4.4.1.2: a device reached directly may have any number, 0 too."""
    given = {"type": "modbus", "tags": "x.csv", "address": "10.0.4.17", "unit": 0}
    assert ModbusConfig.model_validate(given).unit == 0
