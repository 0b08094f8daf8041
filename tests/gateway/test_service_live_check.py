"""`edgewright check --live` against real servers: what it finds, tells, and leaves alone."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.cli.live import LiveAnswer
from gateway.core.device_status import ConnectorReport
from gateway.core.quality import Status
from gateway.core.tags import Tag, TagId
from gateway.service.build import build_parts
from gateway.service.live_check import Finding, LiveResult, Trouble, finding_of
from gateway.simulate.books import Service, read_offered
from gateway.simulate.server import ServerState
from gateway.wire.clock import SystemClock
from tests.gateway.service_run import (
    COMPRESSOR_SHEET,
    HEAD,
    alarm_table,
    client_of,
    compressor_table,
    written,
)
from tests.gateway.simulate_peers import modbus_server, opcua_server
from tests.gateway.test_service_bad_input import pumps_table
from tests.gateway.test_service_changes import values_flow
from tests.gateway.test_service_command import ended, gateway_process, started

REGISTERS = """\
tag,address,type,unit,low,high
Flow,2,float32,m3/h,0,10
NoNumber,4,float32,,,
NotThere,9000,float32,,,
Speed,0,float32,/min,,
"""
NODES = """\
tag,node,unit
Flow,ns=2;s=P101.Flow,m3/h
NotThere,ns=2;s=P101.Nothing,
# seen on the nameplate
Maker,ns=0;i=2261,
NotHere,ns=2;s=P109.Nothing,
"""
NOW = datetime(2026, 3, 1, tzinfo=UTC)
NOW_NS = int(NOW.timestamp() * 1e9)


async def checked(folder: Path, *arguments: str) -> tuple[int, str, str]:
    return await ended(await started("check", str(folder / "gateway.toml"), "--live", *arguments))


@pytest.mark.slow
async def test_every_device_is_asked_and_every_trouble_is_named(tmp_path: Path) -> None:
    """Unknown nodes and addresses by their lines, NaN, a value outside, a device that is not on.

    A tag with text is as it should be, and nothing waits for a sample of it.
    """
    (tmp_path / "opcua").mkdir()
    async with opcua_server(tmp_path / "opcua") as pumps, modbus_server(tmp_path) as compressor:
        await compressor.show([1.0, 12.5, float("nan"), *[0.0] * 6, 0.0], 0)
        tables = [
            compressor_table(compressor.endpoint),
            pumps_table(pumps.endpoint, name="pumps"),
            compressor_table("127.0.0.1:1", name="away"),
        ]
        written(tmp_path, HEAD + "".join(tables), k01=REGISTERS, pumps=NODES)
        code, output, complaints = await checked(tmp_path)
        assert (code, complaints) == (1, "")
        assert "1 unknown address: line 4 of k01.csv" in output
        assert (
            "1 value outside the range: compressor.Flow (line 2) is 12.50, not 0 to 10.00" in output
        )
        assert "1 tag Bad: compressor.NoNumber (line 3) out of range" in output
        assert "2 unknown nodes: lines 3, 6 of pumps.csv" in output
        assert "away (127.0.0.1:1 unit 1) cannot be reached. Check that" in output
        assert "4 tags in 2 requests" in output
        assert "load     240 samples a second at the most" in output
        assert "5 problems: fix them, or let what the devices do not have pass" in output
        book = read_offered(tmp_path / "compressor.book")
        assert set(book.service.tolist()) <= {int(Service.READ)}, "nothing is written"
        code, output, _ = await checked(tmp_path, "--json")
        document = json.loads(output)
        assert (code, document["ok"]) == (1, False)
        found = {each["name"]: each for each in document["connectors"]}
        assert not found["away"]["is_connected"]
        assert [(x["line"], x["trouble"]) for x in found["pumps"]["findings"]] == [
            (3, "unknown"),
            (6, "unknown"),
        ]
        assert found["pumps"]["security"] == "None"


async def test_what_the_devices_do_not_have_may_be_let_pass(tmp_path: Path) -> None:
    async with modbus_server(tmp_path) as compressor:
        sheet = "tag,address,type\nFlow,2,float32\nNotThere,9000,float32\n"
        written(tmp_path, HEAD + compressor_table(compressor.endpoint), k01=sheet)
        code, output, _ = await checked(tmp_path, "--allow-unknown")
        assert code == 0
        assert "1 unknown address: line 3 of k01.csv" in output


async def test_a_device_that_hangs_does_not_hold_the_check(tmp_path: Path) -> None:
    async with modbus_server(tmp_path) as compressor:
        written(tmp_path, HEAD + compressor_table(compressor.endpoint), k01=COMPRESSOR_SHEET)
        await compressor.fail(ServerState.HUNG)
        begun_s = time.monotonic()
        code, output, _ = await checked(tmp_path, "--for", "2")
        assert code == 1
        assert time.monotonic() - begun_s < 15.0
        assert "1 problem: fix them" in output


async def test_the_running_gateway_keeps_its_connection(tmp_path: Path) -> None:
    """It is asked what it reads; a tag that only the new list has has no value yet."""
    async with modbus_server(tmp_path) as compressor:
        written(
            tmp_path,
            HEAD + compressor_table(compressor.endpoint) + alarm_table(),
            k01="tag,address,type\nFlow,2,float32\n",
        )
        async with gateway_process(tmp_path), client_of(tmp_path) as client:
            await values_flow(client)
            code, output, _ = await checked(tmp_path)
            assert code == 0, output
            assert "asked the running gateway, which holds the connection" in output
            (tmp_path / "k01.csv").write_text(COMPRESSOR_SHEET, encoding="utf-8")
            code, output, _ = await checked(tmp_path)
            assert code == 1
            assert "2 tags silent: lines 2, 4 of k01.csv" in output


@pytest.mark.parametrize(
    ("value", "status", "trouble"),
    [
        (5.0, 0, None),
        (5.0, int(Status.UNCERTAIN), None),
        (math.nan, None, Trouble.SILENT),
        (math.nan, 0x8034_0000, Trouble.UNKNOWN),
        (math.nan, 0x8033_0000, Trouble.UNKNOWN),
        (math.nan, int(Status.BAD_SENSOR_FAILURE), Trouble.BAD),
        (math.nan, 0, Trouble.NOT_FINITE),
        (math.inf, 0, Trouble.NOT_FINITE),
        (10.0, 0, None),
        (10.1, 0, Trouble.OUTSIDE),
        (-0.1, 0, Trouble.OUTSIDE),
    ],
)
def test_one_value_has_one_trouble(
    value: float, status: int | None, trouble: Trouble | None
) -> None:
    """Good, in range, at its edge; and the first of what can be wrong."""
    finding = finding_of(Tag(id=TagId("k.T"), low=0.0, high=10.0), value=value, status=status)
    assert (finding.trouble if finding else None) is trouble


def answer_with(
    folder: Path, report: ConnectorReport, findings: Sequence[Finding] = ()
) -> LiveAnswer:
    """Return what was found at a compressor with 20 tags in one request, each second."""
    lines = "".join(f"T{k},{2 * k},float32\n" for k in range(20))
    table = compressor_table("127.0.0.1:1").replace("period_ms = 50", "period_ms = 1000")
    config = written(folder, HEAD + table, k01="tag,address,type\n" + lines)
    [connector] = build_parts(config, folder=folder, clock=SystemClock()).connectors
    result = LiveResult(
        name="compressor",
        is_connected=True,
        reason="",
        detail="",
        is_from_gateway=False,
        tag_count=20,
        findings=tuple(findings),
        report=report,
    )
    return LiveAnswer.of(connector, config.connectors["compressor"], result)


def test_what_the_line_is_busy_with_is_told(tmp_path: Path) -> None:
    """The busy share only by the running gateway, which has measured it for longer."""
    answer = answer_with(tmp_path, ConnectorReport(latency_ms=38.0, busy_share=0.038))
    assert answer.head().endswith("20 tags in 1 request, 38 ms of a 1000 ms period")
    assert answer.problems(now=NOW) == ()
    asked = replace(answer, result=replace(answer.result, is_from_gateway=True))
    assert "38 ms of a 1000 ms period, bus 4 %   asked the running gateway" in asked.head()
    slow = answer_with(tmp_path, ConnectorReport(latency_ms=1200.0))
    assert [x.text for x in slow.problems(now=NOW)] == [
        "one scan takes 1200 ms: longer than its period"
    ]


def test_certificates_are_told_before_they_stop_a_session(tmp_path: Path) -> None:
    soon = ConnectorReport(certificate_expires_ns=NOW_NS + 12 * 86_400 * 10**9)
    later = ConnectorReport(certificate_expires_ns=NOW_NS + 400 * 86_400 * 10**9)
    untrusted = ConnectorReport(untrusted_certificate="3f9a" * 16)
    texts = [
        [problem.text for problem in answer_with(tmp_path, report).problems(now=NOW)]
        for report in (soon, later, untrusted)
    ]
    assert texts[0] == ["a certificate expires in 12 d: 2026-03-13"]
    assert texts[1] == []
    assert "3f9a" * 16 in texts[2][0]


def test_many_lines_are_counted_and_not_listed(tmp_path: Path) -> None:
    findings = [
        Finding(tag=TagId(f"compressor.T{k}"), trouble=Trouble.UNKNOWN, status=1, value=None)
        for k in range(20)
    ]
    [problem] = answer_with(tmp_path, ConnectorReport(), findings).problems(now=NOW)
    assert problem.is_unknown
    assert problem.text == (
        "20 unknown addresses: lines 2, 3, 4, 5, 6, 7, 8, 9 and 12 more of k01.csv"
    )
