"""The benchmarks `modbus` and `opcua`: what is run, and the report that comes of it."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from connectors.modbus.tags import read_modbus_tags
from connectors.opcua.tags import read_opcua_tags
from gateway.bench.blocks import BlockRates
from gateway.bench.figures import Figure
from gateway.bench.measured import Measured
from gateway.bench.south import (
    AGE_P99_MS_MAX,
    END_S,
    TAG_COUNT,
    Load,
    Outcome,
    run_alone,
    run_stock,
    run_whole,
    sustained_per_s,
)
from gateway.wire.child import Child

PERIOD_MS: Final = 100
"""A thousand tags ten times a second: the rate at which costs are compared."""
BLOCKS_S: Final = 1.5
RSS_MB_BUDGET: Final = 120.0
MODBUS_US_BUDGET: Final = 6.0
OPCUA_US_BUDGET: Final = 8.0
MODBUS_SUSTAINED_GOAL: Final = 100_000.0
OPCUA_SUSTAINED_GOAL: Final = 40_000.0
OPCUA_RATIO_GOAL: Final = 8.0
BLOCKS_RATIO_GOAL: Final = 4.0
RAW_RATIO_GOAL: Final = 0.5
MODBUS_IN_FLIGHT: Final = 16
"""At the highest rates; one at a time is the default, and what costs are measured with."""

Tell = Callable[[str], None]
"""Takes what is being done, for a person who waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SouthReport:
    """What was found for one protocol."""

    load: Load
    whole: Outcome
    alone: Measured
    stock: Measured | None
    """None against a server that is not ours."""
    sustained_per_s: float | None
    """Highest rate tried that was kept; None against a server that is not ours."""
    secure: Outcome | None = None
    """OPC UA signed and encrypted."""
    rss_both_mb: float | None = None
    """With both protocols at once."""
    blocks: BlockRates | None = None
    """Modbus."""

    @property
    def client_ratio(self) -> float | None:
        """How many times as much the library's own client takes for a sample."""
        if self.stock is None:
            return None
        return self.stock.cpu_us_per_sample / self.alone.cpu_us_per_sample

    def as_document(self) -> dict[str, object]:
        """Return the report for a program."""
        measured = self.whole.measured
        offered, delivered = self.whole.offered, self.whole.delivered
        return {
            "tags": self.load.tag_count,
            "offered_per_s": _rounded(self.load.offered_per_s),
            "delivered_per_s": _rounded(self.whole.delivered_per_s),
            "sustained_per_s": self.sustained_per_s,
            "lost": None if offered is None else offered - delivered,
            "skipped_scans": math.ceil(measured.skipped_samples / self.load.tag_count),
            "age_ms": {"p50": measured.age_p50_ms, "p99": measured.age_p99_ms},
            "cpu_us_per_sample": _rounded(measured.cpu_us_per_sample),
            "client_cpu_us_per_sample": _rounded(self.alone.cpu_us_per_sample),
            "rss_mb": measured.rss_mb,
            "rss_both_mb": self.rss_both_mb,
            "stock": None
            if self.stock is None
            else {
                "cpu_us_per_sample": _rounded(self.stock.cpu_us_per_sample),
                "received_per_s": _rounded(self.stock.samples_per_s),
                "rss_mb": self.stock.rss_mb,
                "ratio": _rounded(self.client_ratio),
            },
            "secure": None
            if self.secure is None
            else {
                "cpu_us_per_sample": _rounded(self.secure.measured.cpu_us_per_sample),
                "age_p99_ms": self.secure.measured.age_p99_ms,
            },
            "blocks_per_s": None if self.blocks is None else asdict(self.blocks),
        }


async def measure_modbus(folder: Path, *, window_s: float, tell: Tell) -> SouthReport:
    """Measure Modbus TCP on a server of ours; writes files into an empty folder."""
    load = Load(protocol="modbus", tag_count=TAG_COUNT, period_ms=PERIOD_MS, window_s=window_s)
    fast = replace(load, in_flight=MODBUS_IN_FLIGHT)
    rates = [
        replace(fast, period_ms=20),
        replace(fast, period_ms=10),
        replace(fast, period_ms=10, tag_count=2 * TAG_COUNT),
        replace(fast, period_ms=10, tag_count=4 * TAG_COUNT),
    ]
    tell("blocks a second: the gateway's client, pymodbus, a bare socket")
    blocks = await _blocks(folder)
    return await _measured(load, rates, folder, tell=tell, blocks=blocks)


async def measure_opcua(folder: Path, *, window_s: float, tell: Tell) -> SouthReport:
    """Measure OPC UA subscriptions on a server of ours; writes files into an empty folder."""
    load = Load(protocol="opcua", tag_count=TAG_COUNT, period_ms=PERIOD_MS, window_s=window_s)
    rates = [replace(load, period_ms=period_ms) for period_ms in (25, 20, 10)]
    tell("signed and encrypted")
    secure = await run_whole(replace(load, is_secure=True), folder)
    tell("memory with both protocols")
    both = await run_whole(replace(load, protocol="both"), folder)
    report = await _measured(load, rates, folder, tell=tell)
    return replace(report, secure=secure, rss_both_mb=both.measured.rss_mb)


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """A server that is there already."""

    protocol: str
    """`modbus` or `opcua`."""
    address: str
    tags: Path
    """Its tag list."""
    period_ms: int
    """How often to ask it."""


async def measure_other(there: Other, folder: Path, *, window_s: float, tell: Tell) -> SouthReport:
    """Measure against a server that is there already; nothing is known of what it offered.

    Raises:
        ConfigError: with the mistakes of its tag list.
    """
    read = read_modbus_tags if there.protocol == "modbus" else read_opcua_tags
    load = Load(
        protocol=there.protocol,
        tag_count=len(read(there.tags)),
        period_ms=there.period_ms,
        window_s=window_s,
        address=there.address,
        tags=there.tags.resolve(),
    )
    tell(f"the whole gateway against {load.address}")
    whole = await run_whole(load, folder)
    tell("its connector alone")
    alone = await run_alone(load, folder)
    return SouthReport(load=load, whole=whole, alone=alone, stock=None, sustained_per_s=None)


def figures_of(report: SouthReport) -> list[Figure]:
    """Return a report's figures, for a table."""
    is_modbus = report.load.protocol == "modbus"
    measured, stock = report.whole.measured, report.stock
    us = "µs a sample"
    found = [
        Figure(
            name="connector, pipeline, log, uplink",
            value=measured.cpu_us_per_sample,
            unit=us,
            budget=MODBUS_US_BUDGET if is_modbus else OPCUA_US_BUDGET,
        ),
        Figure(
            name="connector alone",
            value=report.alone.cpu_us_per_sample,
            unit=us,
            plain=None if stock is None else stock.cpu_us_per_sample,
        ),
        Figure(name="resident memory", value=measured.rss_mb, unit="MB", budget=RSS_MB_BUDGET),
    ]
    if measured.age_p99_ms is not None:
        age = Figure(name="age, p99", value=measured.age_p99_ms, unit="ms", budget=AGE_P99_MS_MAX)
        found.append(age)
    if report.secure is not None:
        found.append(
            Figure(
                name="all of it, signed and encrypted",
                value=report.secure.measured.cpu_us_per_sample,
                unit=us,
            )
        )
    if report.rss_both_mb is not None:
        found.append(
            Figure(
                name="resident memory with both protocols",
                value=report.rss_both_mb,
                unit="MB",
                budget=RSS_MB_BUDGET,
            )
        )
    return found + _rates_of(report, is_modbus=is_modbus)


def _rates_of(report: SouthReport, *, is_modbus: bool) -> list[Figure]:
    """Return the figures that are the better the higher they are."""
    found = []
    if report.sustained_per_s is not None:
        found.append(
            Figure(
                name="sustained, nothing skipped or lost",
                value=report.sustained_per_s,
                unit="values a second",
                goal=MODBUS_SUSTAINED_GOAL if is_modbus else OPCUA_SUSTAINED_GOAL,
            )
        )
    if not is_modbus and report.client_ratio is not None:
        found.append(
            Figure(
                name="connector against asyncua's own client",
                value=report.client_ratio,
                unit="×",
                goal=OPCUA_RATIO_GOAL,
            )
        )
    if report.blocks is not None:
        here = report.blocks.here
        for name, ratio, goal in (
            ("blocks a second against pymodbus", here / report.blocks.pymodbus, BLOCKS_RATIO_GOAL),
            (
                "blocks a second against a bare socket",
                here / report.blocks.raw_socket,
                RAW_RATIO_GOAL,
            ),
        ):
            found.append(Figure(name=name, value=ratio, unit="×", goal=goal))
    return found


async def _measured(
    load: Load, rates: list[Load], folder: Path, *, tell: Tell, blocks: BlockRates | None = None
) -> SouthReport:
    tell(f"the whole gateway at {load.offered_per_s:,.0f} values a second")
    whole = await run_whole(load, folder)
    tell("its connector alone")
    alone = await run_alone(load, folder)
    tell("the library's own client")
    stock = await run_stock(load, folder)
    tell("what it sustains")
    by_rate: Mapping[float, Load] = {each.offered_per_s: each for each in rates}
    sustained = await sustained_per_s(load, by_rate, folder)
    return SouthReport(
        load=load,
        whole=whole,
        alone=alone,
        stock=stock,
        sustained_per_s=sustained,
        blocks=blocks,
    )


async def _blocks(folder: Path) -> BlockRates:
    server = Child("modbus", [str(TAG_COUNT)], folder=folder, module="gateway.bench.modbus_server")
    try:
        order = json.dumps({"port": (await server.start())["port"], "seconds": BLOCKS_S})
        child = Child("blocks", [order], folder=folder, module="gateway.bench.blocks")
        rates = await child.start()
        await child.finish(deadline_s=END_S)
    finally:
        await server.kill()
    return BlockRates(**rates)  # type: ignore[arg-type]  # our own process wrote it


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
