"""`edgewright export`: samples out of the log, into a file that other programs read."""

import contextlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import click

from gateway.cli.past import Time, log_at, log_of
from gateway.config import read_config
from gateway.console.format import plural
from gateway.core.records import LedgerEntry, Seq
from gateway.service.export import (
    Exported,
    ExportKind,
    RowSink,
    chosen_tags,
    export_rows,
)
from gateway.service.export_csv import CsvSink
from gateway.service.export_parquet import ParquetSink
from gateway.store import LogReader
from gateway.store.bodies import PlainBodies
from gateway.store.encryption import EncryptedBodies, read_key
from gateway.wire.files import whole_file

LOSSES_MAX = 20
"""Losses told one by one; `--json` has them all."""
FORMATS = ("csv", "parquet")


@click.command("export")
@click.option("--from", "from_ns", type=Time(), required=True, help="Begin, as -24h or 2026-03-01.")
@click.option("--to", "to_ns", type=Time(), default="now", show_default=True, help="End.")
@click.option(
    "--tags", "names", default="", help="Tags and patterns, as pumps.*,K-01.power; or all."
)
@click.option(
    "--kind",
    type=click.Choice([each.value for each in ExportKind]),
    default=ExportKind.ALL.value,
    show_default=True,
    help="Measured, or computed by the gateway.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="csv",
    show_default=True,
    help="Parquet needs edgewright[train].",
)
@click.option("--out", "target", required=True, help="File to write; - is the standard output.")
@click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="Configuration of the gateway, which names the log and its key.",
)
@click.option(
    "--log",
    "log_path",
    type=click.Path(path_type=Path),
    help="The log, instead of -c.",
)
@click.option(
    "--key-file",
    "key_files",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Key of the log, with --log.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(
    from_ns: int,
    to_ns: int,
    names: str,
    kind: str,
    form: str,
    target: str,
    config_path: Path | None,
    log_path: Path | None,
    key_files: tuple[Path, ...],
    *,
    as_json: bool,
) -> None:
    """Write samples out of the log into a file, whether the gateway runs or not.

    A row a sample: time, tag, value, unit, quality, status, server_time, kind. Rows are by time
    within what was committed together; what a machine's history gave later comes later. What the
    ledger says is missing is told at the end.

    Try: edgewright export -c gateway.toml --from -24h --tags 'pumps.*' --out day.csv
    """
    if to_ns <= from_ns:
        raise click.UsageError("--to is not after --from")
    damaged: set[Seq] = set()
    reader = _reader(config_path, log_path, key_files, damaged)
    tags = chosen_tags(reader.tags(), [name for name in names.split(",") if name])
    try:
        with _opened(target) as file:
            sink: RowSink = CsvSink(file, tags) if form == "csv" else ParquetSink(file, tags)
            exported = export_rows(
                reader, tags, sink, from_ns=from_ns, to_ns=to_ns, kind=ExportKind(kind)
            )
            sink.close()
    except BrokenPipeError:
        raise  # whoever read has seen enough; click ends the command quietly
    except OSError as error:
        raise click.ClickException(f"{target}: {error.strerror}") from error
    # The standard output is for the rows, if they went there.
    if as_json:
        click.echo(json.dumps(_document(exported, len(damaged))), err=target == "-")
    else:
        click.echo(_summary(exported, target), err=target == "-")
        for line in _missing(exported, len(damaged)):
            click.echo(line, err=True)


def _reader(
    config_path: Path | None, log_path: Path | None, key_files: tuple[Path, ...], damaged: set[Seq]
) -> LogReader:
    if config_path is not None and log_path is None:
        if key_files:
            raise click.UsageError("--key-file is for --log: with -c, the configuration names it")
        return log_of(read_config(config_path), on_corrupt=damaged.add)
    if log_path is None or config_path is not None:
        raise click.UsageError("give either -c FILE or --log FILE")
    keys = [read_key(file=path) for path in key_files]
    bodies = EncryptedBodies(keys) if keys else PlainBodies()
    return log_at(log_path, bodies, on_corrupt=damaged.add)


@contextlib.contextmanager
def _opened(target: str) -> Iterator[BinaryIO]:
    if target == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    else:
        with whole_file(Path(target)) as file:
            yield file


def _summary(exported: Exported, target: str) -> str:
    if exported.first_ns is None or exported.last_ns is None:
        return "no samples in this span"
    where = "written" if target == "-" else f"written to {target}"
    return (
        f"{exported.rows} rows of {plural(exported.tags, 'tag')} {where},"
        f" from {_time(exported.first_ns)} to {_time(exported.last_ns)}"
    )


def _missing(exported: Exported, damaged: int) -> Iterator[str]:
    """Yield a line for whatever is not in the file though it is of the span."""
    if exported.log_begin_ns is not None:
        yield f"the log begins at {_time(exported.log_begin_ns)}: older records were dropped"
    if damaged:
        yield f"{plural(damaged, 'record')} damaged and left out"
    counted = sum(entry.count or 0 for entry in exported.losses)
    if exported.losses:
        unknown = any(entry.count is None for entry in exported.losses)
        yield (
            f"missing in this span: {plural(counted, 'sample')} that the ledger has"
            + (", and more where only the time is known:" if unknown else ":")
        )
    for entry in exported.losses[:LOSSES_MAX]:
        count = "" if entry.count is None else f", {plural(entry.count, 'sample')}"
        source = "" if entry.source == "*" else f", {entry.source}"
        error = "" if entry.error_percent is None else f", within {entry.error_percent:g} %"
        span = f"{_time(entry.from_ns)} to {_time(entry.to_ns)}"
        yield f"  {span}  {entry.reason}{source}{count}{error}"
    if len(exported.losses) > LOSSES_MAX:
        yield f"  and {len(exported.losses) - LOSSES_MAX} more: --json has them all"


def _document(exported: Exported, damaged: int) -> dict[str, object]:
    return {
        "rows": exported.rows,
        "tags": exported.tags,
        "first_time": _time_or_none(exported.first_ns),
        "last_time": _time_or_none(exported.last_ns),
        "log_begin": _time_or_none(exported.log_begin_ns),
        "damaged_records": damaged,
        "losses": [_loss(entry) for entry in exported.losses],
    }


def _loss(entry: LedgerEntry) -> dict[str, object]:
    return {
        "reason": entry.reason,
        "source": entry.source,
        "from": _time(entry.from_ns),
        "to": _time(entry.to_ns),
        "samples": entry.count,
        "error_percent": entry.error_percent,
        "tags": list(entry.tags),
    }


def _time_or_none(time_ns: int | None) -> str | None:
    return None if time_ns is None else _time(time_ns)


def _time(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="milliseconds")
