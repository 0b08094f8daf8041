"""All sets, one after the other; the recordings of a set are shared among the processes."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.core.errors import ModelError
from gateway.proof import budget, cmapss, cwru, femto, nab, skab, smap, smd, tep
from gateway.proof.rows import Row
from gateway.proof.subject import Subject
from gateway.proof.targets import TARGETS
from gateway.proof.workers import Workers

Measure = Callable[[Path, Subject, Workers, Callable[[str], None]], list[Row]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicSet:
    """A set of recordings with its way of judging."""

    is_there: Callable[[Path], bool]
    measure: Measure


SETS: Final[Mapping[str, PublicSet]] = {
    skab.NAME: PublicSet(is_there=lambda folder: bool(skab.paths(folder)), measure=skab.measure),
    nab.NAME: PublicSet(is_there=lambda folder: bool(nab.files(folder)), measure=nab.measure),
    smd.NAME: PublicSet(is_there=lambda folder: bool(smd.paths(folder)), measure=smd.measure),
    smap.NAME: PublicSet(is_there=lambda folder: bool(smap.paths(folder)), measure=smap.measure),
    tep.NAME: PublicSet(is_there=lambda folder: bool(tep.paths(folder)), measure=tep.measure),
    cmapss.NAME: PublicSet(
        is_there=lambda folder: bool(cmapss.subsets(folder)), measure=cmapss.measure
    ),
    femto.NAME: PublicSet(is_there=femto.is_there, measure=femto.measure),
    cwru.NAME: PublicSet(is_there=cwru.is_there, measure=cwru.measure),
    budget.NAME: PublicSet(is_there=budget.is_there, measure=budget.measure),
}


def measure_sets(
    folder: Path,
    names: Sequence[str],
    subject: Subject,
    workers: Workers,
    tell: Callable[[str], None],
) -> list[Row]:
    """Return the rows of the named sets; a set that is not there has rows without values."""
    rows: list[Row] = []
    for name in names:
        if not SETS[name].is_there(folder):
            tell(f"{name}: not there")
            rows += empty_rows(name, f"{folder / name} is not there")
            continue
        begun_s = time.monotonic()
        try:
            found = SETS[name].measure(folder, subject, workers, _telling(tell, name))
        except ModelError as error:
            # One task that cannot be learnt leaves the figures of the others.
            found = empty_rows(name, f"refused: {error}")
        tell(f"{name}: done in {time.monotonic() - begun_s:.0f} s")
        rows += found
    return rows


def empty_rows(set_name: str, note: str) -> list[Row]:
    """Return the rows of a set without values, and why."""
    return [
        Row(set_name=name, metric=metric, value=None, target=limits, note=note)
        for (name, metric), limits in TARGETS.items()
        if name == set_name
    ]


def _telling(tell: Callable[[str], None], name: str) -> Callable[[str], None]:
    return lambda text: tell(f"{name}: {text}")
