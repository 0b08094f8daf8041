"""A worn bearing through the whole gateway: waveform by OPC UA, indicators, alarm, case, verdict.

The server is asyncua's, its waveforms are made: blows of an outer race, a new buffer every 0.3 s.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.server.server import Server

from analytics.vibration.bearings import bearing
from gateway.api.case_answers import CaseAnswer
from gateway.core.cases import Verdict
from tests.analytics.rotating import bearing_waveform
from tests.connectors.ua_values import data_value, variant
from tests.gateway.service_run import HEAD, client_of, events_in, running, tags_of, written

RATE_HZ, RPM, COUNT = 12_800.0, 1790.0, 4096
SHEET = "tag,node,rate_hz,unit\nAcc,ns=2;s=Acc,12800,g\nSpeed,ns=2;s=Speed,,/min\n"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


@asynccontextmanager
async def monitor() -> AsyncIterator[str]:
    """Run a server whose waveform speaks of a worn outer race."""
    server = Server()
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0/")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    assert await server.register_namespace("urn:monitor") == 2
    objects = server.nodes.objects
    double = ua.VariantType.Double
    wave = await objects.add_variable(
        ua.NodeId.from_string("ns=2;s=Acc"), "Acc", [0.0] * COUNT, double
    )
    speed = await objects.add_variable(ua.NodeId.from_string("ns=2;s=Speed"), "Speed", RPM, double)

    async def turn() -> None:
        for seed in range(1000):
            made = bearing_waveform(
                "outer",
                bearing("6205"),
                rate_hz=RATE_HZ,
                speed_hz=RPM / 60,
                turns=COUNT / RATE_HZ * RPM / 60 + 1,
                seed=seed,
                blow_g=2.0,
            )[:COUNT]
            now = datetime.now(UTC)
            given = data_value(variant(made.tolist(), double), source=now)
            await server.write_attribute_value(wave.nodeid, given)
            await server.write_attribute_value(speed.nodeid, data_value(RPM, source=now))
            await asyncio.sleep(COUNT / RATE_HZ + 0.1)

    async with server:
        turning = asyncio.create_task(turn())
        try:
            assert server.bserver is not None
            yield f"opc.tcp://127.0.0.1:{server.bserver.port}/"
        finally:
            turning.cancel()


async def test_a_worn_bearing_becomes_a_case_with_its_cause(tmp_path: Path) -> None:
    """From the array to the technician: the fault's alarm, one case, and what to check."""
    async with monitor() as endpoint:
        config = written(
            tmp_path,
            f"""{HEAD}
[connectors.monitor]
type = "opcua"
endpoint = "{endpoint}"
security = "None"
tags = "monitor.csv"
read = "poll"
period_ms = 200

[twins.P-101]
type = "generic"
tags = {{ speed_rpm = "monitor.Speed" }}

[twins.P-101.vibration.drive_end]
tag = "monitor.Acc"
speed = "monitor.Speed"
bearing = "6205"
""",
            monitor=SHEET,
        )
        async with running(config, tmp_path), client_of(tmp_path) as client:

            async def cases() -> tuple[CaseAnswer, ...]:
                return (await client.cases()).cases

            async with asyncio.timeout(60):
                while not await cases():
                    await asyncio.sleep(0.2)
            [case] = await cases()
            assert case.conditions == ("drive_end_fault",)
            assert "outer race of the bearing at drive end" in case.cause
            assert case.check == "listen to the bearing, plan to change it"
            decided = await client.decide(case.id, Verdict.CONFIRMED, note="pitting")
            assert (decided.verdict, decided.note) == ("confirmed", "pitting")
            tags = await tags_of(tmp_path)
            assert tags["P-101.drive_end_zone"].quality == "good"
            assert tags["P-101.health_index"].value is not None
    conditions = [event.condition for event in events_in(tmp_path / "state" / "log.db")]
    for condition in ("drive_end_fault", "case_opened", "case_confirmed"):
        assert conditions.count(condition) == 1
