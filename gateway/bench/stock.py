"""The plain way: pymodbus and asyncua as their manuals show them; `python -m gateway.bench.stock`.

The same server, the same values at the same rate, and as the gateway's connectors do: a number, a
time and a quality for each tag. Nothing is stored or sent.
"""

import asyncio
import json
import logging
import math
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from asyncua import ua
from asyncua.client.client import Client
from asyncua.common.node import Node
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from pymodbus.client import AsyncModbusTcpClient

from gateway.bench.measured import Counts, Measured, counts_now, measured_between
from gateway.bench.modbus_server import CLOCK_AT, FLOATS, STRETCH
from gateway.bench.serving import HOST, say
from gateway.simulate.certificate import own_certificate

CLIENT_URI = "urn:edgewright:bench:client"
Sample = tuple[str, float, float, bool]
"""Tag, value, time in s, whether it is good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StockOrder:
    """What to do; comes as JSON on the command line."""

    protocol: str
    """`modbus` or `opcua`."""
    port: int
    tag_count: int
    period_s: float
    warm_s: float
    window_s: float
    is_secure: bool
    folder: str
    """For certificates."""


class Plain:
    """What the plain client has received, as a list of samples; emptied now and then."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.count = 0
        self.skipped = 0
        self._samples: list[Sample] = []

    def add(self, sample: Sample) -> None:
        """Keep one sample."""
        self._samples.append(sample)
        self.count += 1
        if len(self._samples) >= 1000:
            self._samples.clear()

    def counts(self) -> Counts:
        """Return what is counted now."""
        return counts_now(self.count, self.skipped)


class _Handler:
    """Implements asyncua's handler of data changes."""

    def __init__(self, plain: Plain) -> None:
        self._plain = plain

    def datachange_notification(self, node: Node, val: object, data: object) -> None:
        """Take one value; asyncua calls this for each."""
        value: ua.DataValue = data.monitored_item.Value  # type: ignore[attr-defined]  # untyped
        assert isinstance(val, float)
        time_s = value.SourceTimestamp.timestamp() if value.SourceTimestamp else time.time()
        is_good = value.StatusCode is None or value.StatusCode.is_good()
        self._plain.add((node.nodeid.to_string(), val, time_s, is_good))


async def _subscribe(order: StockOrder, plain: Plain) -> Callable[[], Awaitable[object]]:
    client = Client(f"opc.tcp://{HOST}:{order.port}", timeout=30)
    if order.is_secure:
        client.application_uri = CLIENT_URI
        certificate, key = own_certificate(Path(order.folder), application_uri=CLIENT_URI)
        await client.set_security(SecurityPolicyBasic256Sha256, certificate, key)
    await client.connect()
    subscription = await client.create_subscription(1000 * order.period_s, _Handler(plain))
    nodes = [client.get_node(f"ns=2;i={number + 1}") for number in range(order.tag_count)]
    await subscription.subscribe_data_change(nodes)
    return client.disconnect


async def _poll(order: StockOrder, plain: Plain) -> Callable[[], Awaitable[object]]:
    client = AsyncModbusTcpClient(HOST, port=order.port, timeout=5)
    await client.connect()
    stop = asyncio.Event()  # pymodbus can swallow a cancellation
    task = asyncio.create_task(_scan(client, order, plain, stop))

    async def end() -> None:
        stop.set()
        await task
        client.close()

    return end


async def _scan(
    client: AsyncModbusTcpClient, order: StockOrder, plain: Plain, stop: asyncio.Event
) -> None:
    stretches = math.ceil(order.tag_count / (FLOATS + 1))
    due_s = time.monotonic()
    while not stop.is_set():
        for stretch in range(stretches):
            start = STRETCH * stretch
            response = await client.read_holding_registers(start, count=CLOCK_AT)
            is_good = not response.isError()
            numbers = client.convert_from_registers(response.registers, client.DATATYPE.FLOAT32)
            now_s = time.time()
            assert isinstance(numbers, list)
            for place, number in enumerate(numbers):
                assert isinstance(number, float)
                plain.add((f"t{stretch * FLOATS + place}", number, now_s, is_good))
        due_s += order.period_s
        if due_s < time.monotonic():
            late = math.ceil((time.monotonic() - due_s) / order.period_s)
            plain.skipped += late * order.tag_count
            due_s += late * order.period_s
        await asyncio.sleep(max(due_s - time.monotonic(), 0))


async def measure(order: StockOrder) -> Measured:
    """Run the plain client for the window."""
    plain = Plain()
    end = await (_poll if order.protocol == "modbus" else _subscribe)(order, plain)
    await asyncio.sleep(order.warm_s)
    before = plain.counts()
    await asyncio.sleep(order.window_s)
    measured = measured_between(before, plain.counts())
    await end()
    return measured


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    say(asdict(asyncio.run(measure(StockOrder(**json.loads(sys.argv[1]))))))
