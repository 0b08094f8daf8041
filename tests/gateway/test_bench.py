"""`edgewright bench` runs, measures the same on both ways, and prints what it measured.

How fast anything is stands in no assertion: that is what the command is for.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from analytics.alarms import LimitAlarms
from gateway.bench.figures import Figure, markdown_table
from gateway.bench.latency import measure_latency
from gateway.bench.pipeline import PlainPath
from gateway.bench.plant import RULES, Readings, limits, measured_tags
from gateway.core.events import Transition
from gateway.core.quality import Status
from gateway.core.tags import ConfigEpoch, TagTable
from gateway.pipeline.condition import condition
from gateway.wire.clock import SystemClock
from tests.gateway.test_bench_log import FIGURES as LOG_FIGURES


def test_the_plain_way_does_the_same() -> None:
    """Values, quality and alarms of both ways agree, over frames that switch alarms."""
    table = TagTable.build(measured_tags(), epoch=ConfigEpoch(1))
    plain, board = PlainPath(table.tags, limits()), LimitAlarms(limits(), rules=RULES)
    board.bind(table)
    readings = Readings(table.indices([tag.id for tag in table.tags]), start_ns=10**18)
    switches = []
    statuses: set[int] = set()
    for factor in (1.0, 2.0, 30.0, 1.0, 2.0):
        raw = readings.frame(step_s=1.0, factor=factor)
        frame = condition(raw, table)
        objects = plain.scale(raw)
        assert frame.value.tolist() == [each.value for each in objects]
        assert frame.status.tolist() == [each.status for each in objects]
        statuses |= set(frame.status.tolist())
        plain.take(raw)
        switches += [
            (event.time_ns, event.transition is Transition.RAISED) for event in board.update(frame)
        ]
    assert statuses == {Status.GOOD, Status.UNCERTAIN_ENGINEERING_UNITS_EXCEEDED}
    assert len(switches) == 3
    assert switches == [(time_ns, is_on) for _, time_ns, is_on in plain.switches]


async def test_every_frame_of_the_latency_is_a_decision(tmp_path: Path) -> None:
    figures = await measure_latency(tmp_path, SystemClock(), share=0.02)
    assert [figure.unit for figure in figures] == ["ms"] * 4
    assert all(figure.value > 0 for figure in figures)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pipeline", "latency"])
def test_the_command_prints_json_and_nothing_else(name: str) -> None:
    printed = json.loads(ran(name).stdout)
    assert list(printed) == [name]
    for figure in printed[name]:
        assert set(figure) == {"name", "value", "unit", "plain", "ratio", "budget", "goal"}


@pytest.mark.slow
def test_the_log_s_figures_are_one_flat_object() -> None:
    printed = json.loads(ran("log").stdout)
    assert printed.keys() >= LOG_FIGURES
    assert not [name for name, value in printed.items() if isinstance(value, list | dict)]


def ran(name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli", "bench", name, "--json"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=58)


def test_a_table_shows_ratio_and_budget() -> None:
    figures = [Figure(name="storing", value=0.25, unit="µs", plain=1.0, budget=0.5)]
    assert markdown_table("log", figures).splitlines() == [
        "| log     | here    | plain way | ratio | budget |",
        "| ------- | ------- | --------- | ----- | ------ |",
        "| storing | 0.25 µs | 1 µs      | 4 ×   | 0.5 µs |",
    ]
