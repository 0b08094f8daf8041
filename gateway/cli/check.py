"""`edgewright check`: is this configuration right, and what will it cost?"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from connectors.bus_time import tight_text
from connectors.line_transport import stable_path
from connectors.modbus import ModbusConfig, ModbusConnector
from gateway.config import Config, ConnectorConfig, read_config
from gateway.core.ports import Connector
from gateway.service.build import Parts, build_parts
from gateway.wire.clock import SystemClock

BYTES_PER_SAMPLE = 2.5
"""On disk, sealed, for slowly changing signals; derived samples cost the same."""
PAGE_BYTES = 4096
PAGES_PER_COMMIT = 4
"""A commit writes the pages it touches into the write-ahead log, and later into the file."""
DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a configuration will cost, before it has run."""

    samples_per_s: float
    """Measured and computed, at the configured rates."""
    buffer_days: float
    """How long the log holds everything without the cloud."""
    bytes_per_day: int
    """Growth of the log."""
    flash_bytes_per_day: int
    """Written to the flash, with commits and sealing."""
    power_cut_s: float
    """What a power cut can cost at the most."""


@click.command("check")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(path: Path, *, as_json: bool) -> None:
    """Check a configuration without connecting to anything.

    Prints every mistake at once and exits with 2, or says what to expect.
    """
    config = read_config(path)
    parts = build_parts(config, folder=path.resolve().parent, clock=SystemClock())
    forecast = forecast_of(config, parts)
    tight = {
        connector.name: texts for connector in parts.connectors if (texts := tight_texts(connector))
    }
    if as_json:
        click.echo(json.dumps({"ok": True, **asdict(forecast), "too_tight": tight}))
        return
    width = max((len(each.name) for each in parts.connectors), default=0)
    for connector in parts.connectors:
        click.echo(f"{connector.name:{width}}   {connector.address}   {load_text(connector)}")
    for name, settings in config.connectors.items():
        if isinstance(settings, ModbusConfig) and (advice := path_advice(settings)):
            click.echo(f"{name:{width}}   {advice}")
    for name, texts in tight.items():
        for text in texts:
            click.echo(f"{name:{width}}   too tight, as estimated: {text}")
    for name, twin in config.twins.items():
        click.echo(f"{name:{width}}   {twin.type}, {len(twin.alarms)} alarms of its own")
    click.echo(
        f"buffer   {config.log.backlog_bytes_max / 2**30:.1f} GiB lasts "
        f"{forecast.buffer_days:.0f} days without the cloud; "
        f"{forecast.flash_bytes_per_day / 1e6:.0f} MB a day to flash, "
        f"{forecast.bytes_per_day / 1e6:.0f} MB a day up"
    )
    click.echo(f"power    a power cut can cost the last {forecast.power_cut_s:g} s")
    click.echo("no mistakes found")


def load_text(connector: Connector) -> str:
    """Return how much a connector will ask for, for a person."""
    text = f"{len(connector.tags)} tags"
    if isinstance(connector, ModbusConnector):
        count = len(connector.blocks)
        text += f" in {count} request{'' if count == 1 else 's'}"
        bus = connector.forecast()
        if len(bus.groups) == 1:
            [group] = bus.groups
            text += f", about {group.scan_ms:.0f} ms of a {group.period_ms} ms period"
        else:
            text += f", about {bus.busy_share:.0%} of the line's time"
    return text


def tight_texts(connector: Connector) -> list[str]:
    """Return which schedules of a connector cannot be kept, as far as that can be known before."""
    if not isinstance(connector, ModbusConnector):
        return []
    return [tight_text(group) for group in connector.forecast().groups if not group.is_kept]


def path_advice(settings: ModbusConfig) -> str:
    """Return which path to write for a serial port whose own may change; empty when it is good."""
    stable = stable_path(settings.address)
    if stable is None:
        return ""
    return (
        f"{settings.address} may be another port after a restart: write {stable}, which stays the "
        "same whatever is plugged in first"
    )


def period_ms(settings: ConnectorConfig) -> int:
    """Return how often a connector's ungrouped tags can have new values at the most."""
    return settings.period_ms if isinstance(settings, ModbusConfig) else settings.sampling_ms


def forecast_of(config: Config, parts: Parts) -> Forecast:
    """Return what a configuration will cost at its configured rates."""
    measured = sum(
        len(connector.tags) * 1000 / period_ms(settings)
        for connector, settings in zip(parts.connectors, config.connectors.values(), strict=True)
    )
    derived = sum(
        len(twin.derived_tags) / config.twins[asset].period_s
        for twin in parts.twins
        for asset in twin.assets[:1]
    )
    samples_per_s = measured + derived
    bytes_per_day = samples_per_s * BYTES_PER_SAMPLE * DAY_S
    commit_bytes = DAY_S / config.log.group_commit_s * PAGES_PER_COMMIT * PAGE_BYTES
    return Forecast(
        samples_per_s=samples_per_s,
        buffer_days=config.log.backlog_bytes_max / max(bytes_per_day, 1),
        bytes_per_day=round(bytes_per_day),
        flash_bytes_per_day=round(commit_bytes + 2 * bytes_per_day),
        power_cut_s=config.log.group_commit_s,
    )
