"""`edgewright score` with a model of remaining life: row by row, as the gateway would."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import numpy as np

from analytics.prognosis.remaining_life import Lives, RemainingLife
from gateway.cli.lives import LivesFile, read_lives_file
from gateway.core.errors import ConfigError
from gateway.core.rul_manifest import RulManifest

HEADER: Final = ("unit", "time", "rul", "rul_low", "rul_high", "known")


@dataclass(frozen=True, slots=True, kw_only=True)
class RulOptions:
    """How a file is to be read."""

    unit: str | None
    """Column with the machine; None is the one of the training, where the file has it."""
    time: str | None
    """Column with the times; None is the one of the training."""


def score_rul(
    manifest: RulManifest, model: bytes, data: Path, out: Path, options: RulOptions
) -> None:
    """Write a line for each row of a recording, in its order: no line sees a later row.

    Raises:
        ConfigError: the recording does not fit the model, or the file cannot be written.
    """
    file = _read(manifest, data, options)
    lives = remaining_lives(manifest, model, file)
    try:
        with out.open("w", encoding="utf-8", newline="") as opened:
            writer = csv.writer(opened)
            writer.writerow(HEADER)
            for k, (unit, moment) in enumerate(zip(file.unit, file.time_text, strict=True)):
                figures = (lives.rul[k], lives.low[k], lives.high[k])
                writer.writerow(
                    [
                        unit,
                        moment,
                        *("" if np.isnan(each) else f"{each:.6g}" for each in figures),
                        int(lives.is_known[k]),
                    ]
                )
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written: {error.strerror}") from error
    told = int(np.count_nonzero(~np.isnan(lives.rul)))
    click.echo(
        f"{out}: {len(file.unit)} rows, {told} with a remaining life, "
        f"{int(lives.is_known.sum())} of them known"
    )


def remaining_lives(manifest: RulManifest, model: bytes, file: LivesFile) -> Lives:
    """Return the remaining life at each row of a file, in its order.

    The k-th rows of all machines are one call.
    """
    names, unit_of = file.units()
    host = RemainingLife(manifest, model, asset_count=len(names))
    rul, low, high = np.full((3, len(unit_of)), np.nan)
    is_known = np.zeros(len(unit_of), dtype=np.bool_)
    # Which row of its machine each row is.
    order = np.argsort(unit_of, kind="stable")
    first = np.searchsorted(unit_of[order], np.arange(len(names)))
    turn = np.empty(len(unit_of), dtype=np.intp)
    turn[order] = np.arange(len(unit_of)) - first[unit_of[order]]
    by_turn = np.argsort(turn, kind="stable")
    for rows in np.split(by_turn, np.flatnonzero(np.diff(turn[by_turn])) + 1):
        part = host.update(unit_of[rows], file.time[rows], file.recording.value[rows])
        rul[rows], low[rows], high[rows] = part.rul, part.low, part.high
        is_known[rows] = part.is_known
    return Lives(rul=rul, low=low, high=high, is_known=is_known)


def _read(manifest: RulManifest, data: Path, options: RulOptions) -> LivesFile:
    file = read_lives_file(
        data,
        unit=options.unit or manifest.unit_column,
        time=options.time or manifest.time_column,
        columns=manifest.columns,
    )
    if file.time_unit != manifest.time_unit:
        kinds = {"count": "numbers that count", "hour": "dates"}
        raise ConfigError(
            f"{data}: its times are {kinds[file.time_unit]}; the model was trained on "
            f"{kinds[manifest.time_unit]}"
        )
    return file
