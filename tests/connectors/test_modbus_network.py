"""Modbus TCP over a network that fails: lost once, back once, nothing twice, nothing forgotten.

The device is libmodbus' in a network namespace of its own. Its register 0 counts the responses
that it puts on the wire, so that the values themselves are the book of what was offered.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from connectors.modbus.connector import ModbusConfig, ModbusConnector
from connectors.modbus.line import Lines
from gateway.core.events import Transition
from gateway.core.records import LedgerReason
from gateway.wire.clock import SystemClock
from tests.connectors.supervision import KeepingIntake, supervised
from tests.connectors.wire import until
from tests.interop.netns import Namespace, namespace, needs_namespaces
from tests.interop.peers import compiled, needs_libmodbus, running_peer

pytestmark = [needs_namespaces, needs_libmodbus]

TIMEOUT_S = 1.0
FAULTS = ["unplug", "swallow"]


@pytest.fixture
def far() -> Iterator[Namespace]:
    with namespace() as made:
        yield made


@pytest.fixture
async def address(far: Namespace, tmp_path: Path) -> AsyncIterator[str]:
    """A device with the units 1 to 8, behind the cable."""
    program = compiled("modbus_server.c", tmp_path, "modbus")
    units = [str(unit) for unit in range(1, 9)]
    command = far.command(str(program), "tcp", far.address, "0", "55", *units)
    async with running_peer(command) as words:
        yield f"{far.address}:{words[0]}"


def connector_to(
    address: str,
    folder: Path,
    *,
    unit: int = 1,
    timeout_s: float = TIMEOUT_S,
    lines: Lines | None = None,
) -> ModbusConnector:
    (folder / "drive.csv").write_text("tag,address,type\npoll_count,0,uint32\n", encoding="utf-8")
    config = ModbusConfig.model_validate(
        {
            "type": "modbus",
            "address": address,
            "unit": unit,
            "tags": "drive.csv",
            "period_ms": 20,
            "timeout_s": timeout_s,
        }
    )
    clock = SystemClock()
    return ModbusConnector(f"drive_{unit}", config, folder=folder, clock=clock, lines=lines)


def holes(kept: KeepingIntake) -> list[int]:
    """Return how many responses are missing between two values, where any are."""
    counts = kept.values_of(0)
    return [int(later - earlier) - 1 for earlier, later in pairwise(counts) if later != earlier + 1]


@pytest.mark.parametrize("fault", FAULTS)
async def test_after_each_fault_it_is_back_with_nothing_twice(
    fault: str, far: Namespace, address: str, tmp_path: Path
) -> None:
    """Two faults, one after the other. At most the one response that was under way is missing."""
    async with supervised(connector_to(address, tmp_path)) as kept:
        for number in (1, 2):
            before = len(kept.frames)
            await until(lambda: len(kept.frames) >= before + 10, what="values")  # noqa: B023
            getattr(far, fault)()
            lost_count = 2 * number - 1
            await until(
                lambda: len(kept.transitions("device_lost")) == lost_count,  # noqa: B023
                what="the loss",
            )
            far.mend()
            await until(
                lambda: len(kept.transitions("device_lost")) == lost_count + 1,  # noqa: B023
                what="the return",
            )
        after = len(kept.frames)
        await until(lambda: len(kept.frames) >= after + 10, what="values again")
    assert kept.transitions("device_lost") == [Transition.RAISED, Transition.RETURNED] * 2
    gaps = [each for each in kept.entries if each.reason is LedgerReason.DEVICE_LOST]
    assert len(gaps) == 2
    assert all(hole == 1 for hole in holes(kept)), holes(kept)
    assert len(holes(kept)) <= 2


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_shorter_than_the_timeout_costs_nothing(
    fault: str, far: Namespace, address: str, tmp_path: Path
) -> None:
    """The network repeats what it lost: every response arrives, once, and nobody is told."""
    async with supervised(connector_to(address, tmp_path, timeout_s=10)) as kept:
        await until(lambda: len(kept.frames) >= 10, what="values")
        getattr(far, fault)()
        await asyncio.sleep(0.2)
        far.mend()
        before = len(kept.frames)
        await until(lambda: len(kept.frames) >= before + 10, what="values again")
    assert kept.transitions("device_lost") == []
    assert holes(kept) == []


async def test_a_loss_is_found_within_the_timeout(
    far: Namespace, address: str, tmp_path: Path
) -> None:
    async with supervised(connector_to(address, tmp_path)) as kept:
        await until(lambda: len(kept.frames) >= 10, what="values")
        begin_s = asyncio.get_running_loop().time()
        far.swallow()
        await until(lambda: bool(kept.transitions("device_lost")), what="the loss")
        took_s = asyncio.get_running_loop().time() - begin_s
    assert 0.5 * TIMEOUT_S < took_s < 3 * TIMEOUT_S


async def test_a_dead_line_is_found_once_and_not_unit_by_unit(
    far: Namespace, address: str, tmp_path: Path
) -> None:
    """Eight units of one line: the network itself says that nothing is taken in any more."""
    lines = Lines(SystemClock())
    async with AsyncExitStack() as stack:
        kept = [
            await stack.enter_async_context(
                supervised(connector_to(address, tmp_path, unit=unit, lines=lines))
            )
            for unit in range(1, 9)
        ]
        await until(lambda: all(len(each.frames) >= 5 for each in kept), what="values of all")
        begin_s = asyncio.get_running_loop().time()
        far.swallow()
        await until(lambda: all(each.transitions("device_lost") for each in kept), what="losses")
        took_s = asyncio.get_running_loop().time() - begin_s
        far.mend()
        await until(
            lambda: all(len(each.transitions("device_lost")) == 2 for each in kept),
            what="the return of all",
        )
    assert took_s < 4 * TIMEOUT_S
