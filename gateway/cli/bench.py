"""`edgewright bench`: what the gateway costs on this machine, as ratios in one run."""

import asyncio
import json
import logging
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click
import structlog

from gateway.bench.arrow import MISSING, has_arrow
from gateway.bench.figures import Figure, markdown_table
from gateway.bench.latency import measure_latency
from gateway.bench.log import LogReport, measure_log, recordings_table
from gateway.bench.pipeline import measure_pipeline
from gateway.bench.recordings import Found, find_recordings
from gateway.cli.bench_analytics import analytics
from gateway.cli.local import json_option
from gateway.core.errors import ConfigError
from gateway.wire.clock import SystemClock


@click.group("bench", invoke_without_command=True)
@json_option
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> None:
    """Measure what the gateway costs on this machine. Without a subcommand, all of it.

    Figures of different machines, or of different minutes, say little; a ratio against the plain
    way of doing the same in the same run does. Takes about a minute.
    """
    # A log says that it opens; here only trouble is news, and not among the figures.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    if context.invoked_subcommand is None:
        log = _log(None).figures()
        _print({"pipeline": _pipeline(), "log": log, "latency": _latency()}, as_json=as_json)


@command.command("pipeline")
@json_option
def pipeline(*, as_json: bool) -> None:
    """Measure the stages of the pipeline, for frames of a thousand tags."""
    _print({"pipeline": _pipeline()}, as_json=as_json)


@command.command("log")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Store the recordings in this folder instead of made-up slow signals.",
)
@json_option
def log(*, as_json: bool, data: Path | None) -> None:
    """Measure the record log: storing, reading, sizes, a kill, a backlog. Takes half a minute.

    With --data, every CSV, Parquet and NumPy file in the folder and below it is taken that has
    columns of numbers; a row counts as a scan, one a second. Arrow and Parquet need pyarrow, which
    comes with `edgewright[train]`.
    """
    found = None if data is None else _recordings(data)
    report = _log(found)
    if as_json:
        click.echo(json.dumps(report.as_document(), indent=1, ensure_ascii=False))
        return
    click.echo(f"{markdown_table('log', report.figures())}\n")
    for name, value in report.as_document().items():
        if not isinstance(value, list):
            click.echo(f"{name:30}{'not measured' if value is None else value}")
    if found is not None:
        click.echo(f"\n{recordings_table((*report.sealed.sizes, report.whole))}")


@command.command("latency")
@json_option
def latency(*, as_json: bool) -> None:
    """Measure how long a decision takes, with twins, models and alarms."""
    _print({"latency": _latency()}, as_json=as_json)


command.add_command(analytics)


def _south_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that both protocols have."""
    for option in (
        click.option("--for", "window_s", default=4.0, help="Seconds that each run measures."),
        click.option(
            "--connect", "address", default="", help="Measure against this server instead of ours."
        ),
        click.option(
            "--tags",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="Its tag list; needed with --connect.",
        ),
        click.option("--period-ms", default=100, help="With --connect: how often to ask."),
    ):
        command = option(command)
    return json_option(command)


@command.command("modbus")
@_south_options
def modbus(
    *, as_json: bool, window_s: float, address: str, tags: Path | None, period_ms: int
) -> None:
    """Measure Modbus TCP: a thousand tags, from the server to the uplink. Takes a minute."""
    _south("modbus", window_s, address, tags, period_ms, as_json=as_json)


@command.command("opcua")
@_south_options
def opcua(
    *, as_json: bool, window_s: float, address: str, tags: Path | None, period_ms: int
) -> None:
    """Measure OPC UA: a thousand tags, from the server to the uplink. Takes a minute."""
    _south("opcua", window_s, address, tags, period_ms, as_json=as_json)


def _south(
    protocol: str,
    window_s: float,
    address: str,
    tags: Path | None,
    period_ms: int,
    *,
    as_json: bool,
) -> None:
    from gateway.bench import southbound  # here: asyncua, which the other figures do without

    def tell(text: str) -> None:
        click.echo(f"  {text}", err=True)

    with tempfile.TemporaryDirectory(prefix="edgewright-bench-") as name:
        folder = Path(name)
        if address:
            if tags is None:
                raise click.UsageError("--connect needs --tags, the server's tag list")
            there = southbound.Other(
                protocol=protocol, address=address, tags=tags, period_ms=period_ms
            )
            work = southbound.measure_other(there, folder, window_s=window_s, tell=tell)
        elif protocol == "modbus":
            work = southbound.measure_modbus(folder, window_s=window_s, tell=tell)
        else:
            work = southbound.measure_opcua(folder, window_s=window_s, tell=tell)
        report = asyncio.run(work)
    if as_json:
        click.echo(json.dumps(report.as_document(), indent=1))
    else:
        click.echo(markdown_table(protocol, southbound.figures_of(report)))


def _pipeline() -> Sequence[Figure]:
    return measure_pipeline(SystemClock())


def _recordings(folder: Path) -> Found:
    found = find_recordings(folder)
    click.echo(
        f"{found.used_files} files used, {found.skipped_files} without columns of numbers", err=True
    )
    if not found.recordings:
        raise ConfigError(f"--data: there is no recording in {folder}")
    return found


def _log(found: Found | None) -> LogReport:
    if not has_arrow():
        click.echo(MISSING, err=True)
    with tempfile.TemporaryDirectory(prefix="edgewright-bench-") as folder:
        return asyncio.run(measure_log(Path(folder), SystemClock(), found=found))


def _latency() -> Sequence[Figure]:
    with tempfile.TemporaryDirectory(prefix="edgewright-bench-") as folder:
        return asyncio.run(measure_latency(Path(folder), SystemClock()))


def _print(figures: Mapping[str, Sequence[Figure]], *, as_json: bool) -> None:
    if as_json:
        documents = {name: [each.as_document() for each in some] for name, some in figures.items()}
        click.echo(json.dumps(documents, indent=1, ensure_ascii=False))
        return
    tables = [markdown_table(name, some) for name, some in figures.items()]
    click.echo("\n\n".join(tables))
