"""Trains remaining life from machines that ran to their end.

Theory. Every row of a life has a known remaining life, cut at a cap: further ahead nothing shows,
and to learn from it would be to learn noise. Rows are standardised per operating condition and
turned into window statistics by the code that runs on the gateway. The lives are parted; each
part is foretold by learners that have not seen it, which gives the errors that the intervals are
made of; the model is the mean of all learners (Barber et al. 2021, "Predictive Inference with the
Jackknife+", whose cross-validation form this is, with one interval for all of them).

A life counts as one: rows at the cap are thinned to as many as the cap is long, so that a machine
that ran healthy for years does not drown the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from analytics.prognosis.conditions import Conditions
from analytics.prognosis.conformal import Intervals, fit_intervals
from analytics.prognosis.remaining_life import RemainingLife
from analytics.prognosis.window_statistics import WindowStatistics
from analytics.runtime import Session
from analytics.training.conditions import fit_conditions
from analytics.training.cost import measure_cost
from analytics.training.life_graph import life_graph
from analytics.training.life_learners import Pair, learn_pair
from gateway.core.arrays import BoolArray, Float32Array, FloatArray, frozen
from gateway.core.errors import ModelError
from gateway.core.rul_manifest import ConditionTable, IntervalTable, RulManifest
from gateway.wire.bundle import Bundle, write_bundle

CAP_ROWS: Final = 125
"""The cap where none is given, in rows (Heimes 2008 took it for engines, in flights)."""
WINDOW_SHARES: Final = (0.04, 0.16, 0.64)
"""Time constants of the averages as shares of the cap: what is to be foreseen says how far to
look back. Half or twice of them gives nearly the same figures."""
PARTS: Final = 5
UNITS_MIN: Final = 3
LEARNT_ROWS_MAX: Final = 10_000
"""Neighbouring rows say nearly the same; more take longer and teach little."""
ROWS_MIN: Final = 10
"""Rows of a machine before there is a figure."""
LEVEL: Final = 0.9
"""Share of the truths that the intervals are to hold."""
NEAR_CAPS: Final = 1.25
"""How long before its end a life counts for the intervals, in caps. The long time before is easy:
were it counted, it would pay for errors that matter. From 1.1 to 1.5 the coverage is the same
within two per cent."""
PARITY_MAX: Final = 1e-4
"""Largest difference between graph and formula, in shares of the cap."""
_SEED: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Life:
    """One machine from its beginning to its end; the arrays are read-only."""

    unit: str
    """Its name."""
    time: FloatArray
    """Strictly rising, shape (r,); the last one is the end."""
    value: FloatArray
    """Shape (r, m); NaN where nothing was measured."""

    def __post_init__(self) -> None:
        """Check the shapes and switch writing off."""
        assert len(self.time) == len(self.value) > 0
        frozen(self.time)
        frozen(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class RulPurpose:
    """What the model is for."""

    name: str
    version: str
    asset_type: str
    columns: tuple[str, ...]
    """Names of the m columns."""
    unit_column: str = "unit"
    """Name of the column that said which machine a row is of."""
    time_column: str = "time"
    """Name of the column with the times."""
    time_unit: Literal["count", "hour"] = "count"
    cap: float | None = None
    """In the time unit; None is `CAP_ROWS` rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedLife:
    """A new model, and what a person should know of it."""

    bundle: Bundle
    notes: tuple[str, ...]
    """Sentences on what was left out or is unusual; often none."""


def train_rul(lives: Sequence[Life], purpose: RulPurpose) -> TrainedLife:
    """Learn remaining life from machines that ran to their end.

    Args:
        lives: One for each machine, at least `UNITS_MIN`.
        purpose: Names, and how far ahead to look.
    Raises:
        ModelError: there are too few lives, nothing in them varies, no row is usable, or the
            graph does not agree with the formula.
    """
    _check(lives)
    period = _period(lives)
    cap = CAP_ROWS * period if purpose.cap is None else purpose.cap
    if not cap > 0:
        raise ModelError(f"a cap of {cap:g} leaves nothing to foretell; it must be above 0")
    kept = [k for k in range(len(purpose.columns)) if _varies(lives, k)]
    if not kept:
        raise ModelError("no column of the lives varies: are these recordings of machines?")
    conditions = _within(fit_conditions([life.value[:, kept] for life in lives]), kept)
    windows = np.array(WINDOW_SHARES) * cap
    past = _past(lives, conditions, windows=windows, period=period, cap=cap)
    pairs, foretold = _learn(past)
    intervals = fit_intervals(
        [cap * np.clip(f[p.is_near], 0.0, 1.0) for f, p in zip(foretold, past, strict=True)],
        [cap * each.share[each.is_near] for each in past],
        level=LEVEL,
        ceiling=cap,
    )
    low, high = _range(past)
    model = life_graph(pairs, low=low, high=high)
    _check_parity(model, pairs, past, low=low, high=high)
    error = cap * np.concatenate(
        [np.clip(f, 0.0, 1.0) - each.share for f, each in zip(foretold, past, strict=True)]
    )
    used = [purpose.columns[k] for k in (*conditions.selecting, *conditions.measured)]
    manifest = _manifest(purpose, conditions, intervals, lives, cap=cap, period=period)
    metrics = {
        "left_out_rmse": float(np.sqrt(np.mean(error**2))),
        "left_out_mae": float(np.mean(np.abs(error))),
        "conditions": float(len(conditions.levels)),
    }
    manifest = manifest.model_copy(update={"metrics": metrics})
    notes = _notes(purpose, lives, used, cap=cap, selecting=conditions.selecting)
    return TrainedLife(bundle=_costed(manifest, model, lives[0]), notes=notes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Past:
    """The usable rows of one life."""

    statistics: Float32Array
    """Shape (r, f)."""
    left: FloatArray
    """Remaining life as a share of the cap, shape (r,)."""

    @property
    def share(self) -> FloatArray:
        """What is to be told: at most 1, shape (r,)."""
        return np.minimum(self.left, 1.0)

    @property
    def is_near(self) -> BoolArray:
        """Rows that say how sure a figure is, shape (r,)."""
        return self.left <= NEAR_CAPS


def _check(lives: Sequence[Life]) -> None:
    if len(lives) < UNITS_MIN:
        raise ModelError(
            f"{len(lives)} lives are too few: at least {UNITS_MIN} machines that ran to their end "
            "are needed, better {0}".format(10 * UNITS_MIN)
        )
    short = [life.unit for life in lives if len(life.time) <= ROWS_MIN]
    if short:
        raise ModelError(
            f"{short[0]!r} has {ROWS_MIN} rows or fewer, and so have {len(short) - 1} other lives: "
            "leave them out, or record more often"
        )


def _period(lives: Sequence[Life]) -> float:
    return float(np.median(np.concatenate([np.diff(life.time) for life in lives])))


def _varies(lives: Sequence[Life], column: int) -> bool:
    values = np.concatenate([life.value[:, column] for life in lives])
    values = values[np.isfinite(values)]
    return len(values) > 0 and bool(values.min() < values.max())


def _within(conditions: Conditions, kept: Sequence[int]) -> Conditions:
    """Return conditions of all columns, made from those of the columns kept."""
    at = np.array(kept, dtype=np.intp)
    return Conditions(
        selecting=at[conditions.selecting],
        levels=conditions.levels,
        tolerance=conditions.tolerance,
        measured=at[conditions.measured],
        center=conditions.center,
        spread=conditions.spread,
    )


def _past(
    lives: Sequence[Life],
    conditions: Conditions,
    *,
    windows: FloatArray,
    period: float,
    cap: float,
) -> list[_Past]:
    """Return what the gateway would have known in each life, all of them side by side."""
    count = len(lives)
    statistics = WindowStatistics(
        asset_count=count,
        column_count=len(conditions.measured),
        windows=windows,
        period=period,
    )
    rows: list[list[Float32Array]] = [[] for _ in lives]
    left: list[list[float]] = [[] for _ in lives]
    for k in range(max(len(life.time) for life in lives)):
        at = np.array([u for u in range(count) if k < len(lives[u].time)], dtype=np.intp)
        steps, is_usable = conditions.standardise(np.array([lives[u].value[k] for u in at]))
        at = at[is_usable]
        if not len(at):
            continue
        time = np.array([lives[u].time[k] for u in at])
        taken = statistics.take(at, time, steps[is_usable])
        for u, moment, row in zip(at.tolist(), time.tolist(), taken, strict=True):
            rows[u].append(row)
            left[u].append((lives[u].time[-1] - moment) / cap)
    empty = [life.unit for life, own in zip(lives, rows, strict=True) if len(own) <= ROWS_MIN]
    if empty:
        raise ModelError(
            f"{empty[0]!r} has {ROWS_MIN} usable rows or fewer, and so have {len(empty) - 1} other "
            "lives: a column is empty there, or they ran in conditions of their own; leave out "
            "the column with --tags, or the lives"
        )
    return [
        _Past(statistics=np.array(own)[ROWS_MIN:], left=np.array(part)[ROWS_MIN:])
        for own, part in zip(rows, left, strict=True)
    ]


def _learn(past: Sequence[_Past]) -> tuple[list[Pair], list[FloatArray]]:
    """Return the learners, and what they foretell of the lives that they have not seen."""
    order = np.random.default_rng(_SEED).permutation(len(past))
    part_of = np.empty(len(past), dtype=np.int64)
    part_of[order] = np.arange(len(past)) % min(PARTS, len(past))
    chosen = _thinned(past)
    low, high = _range(past)
    pairs: list[Pair] = []
    foretold: list[FloatArray] = [np.zeros(0)] * len(past)
    for part in range(int(part_of.max()) + 1):
        seen = [u for u in range(len(past)) if part_of[u] != part]
        pair = learn_pair(
            np.concatenate([past[u].statistics[chosen[u]] for u in seen]),
            np.concatenate([past[u].share[chosen[u]] for u in seen]),
            seed=_SEED + part,
        )
        for u in np.flatnonzero(part_of == part).tolist():
            foretold[u] = pair.predict(np.clip(past[u].statistics, low, high))
        pairs.append(pair)
    return pairs, foretold


def _thinned(past: Sequence[_Past]) -> list[NDArray[np.intp]]:
    """Return which rows of each life to learn from."""
    chosen = []
    for life in past:
        wearing = np.flatnonzero(life.share < 1.0)
        healthy = np.flatnonzero(life.share >= 1.0)
        # At a distance, so that the whole healthy life is among them.
        step = max(1, len(healthy) // CAP_ROWS)
        chosen.append(np.concatenate([healthy[::step], wearing]))
    step = -(-sum(len(each) for each in chosen) // LEARNT_ROWS_MAX)
    return [each[k % step :: step] for k, each in enumerate(chosen)]


def _range(past: Sequence[_Past]) -> tuple[Float32Array, Float32Array]:
    """Return the least and the largest of each statistic, shape (f,)."""
    return (
        np.min([life.statistics.min(axis=0) for life in past], axis=0),
        np.max([life.statistics.max(axis=0) for life in past], axis=0),
    )


def _check_parity(
    model: bytes,
    pairs: Sequence[Pair],
    past: Sequence[_Past],
    *,
    low: Float32Array,
    high: Float32Array,
) -> None:
    rows = np.concatenate([life.statistics for life in past])[:: len(past)]
    by_formula = np.mean([pair.predict(np.clip(rows, low, high)) for pair in pairs], axis=0)
    by_graph = Session(model).run({"statistics": rows})["life"]
    worst = float(np.abs(by_graph - by_formula).max())
    if not worst <= PARITY_MAX:
        raise ModelError(f"the graph is off the formula by {worst:g} of the cap")


def _manifest(
    purpose: RulPurpose,
    conditions: Conditions,
    intervals: Intervals,
    lives: Sequence[Life],
    *,
    cap: float,
    period: float,
) -> RulManifest:
    digest = sha256()
    for life in lives:
        digest.update(life.time.tobytes())
        digest.update(np.ascontiguousarray(life.value).tobytes())
    spread = np.where(np.isfinite(conditions.spread), conditions.spread, 0.0)
    return RulManifest(
        name=purpose.name,
        version=purpose.version,
        asset_type=purpose.asset_type,
        columns=purpose.columns,
        unit_column=purpose.unit_column,
        time_column=purpose.time_column,
        time_unit=purpose.time_unit,
        period=period,
        cap=cap,
        windows=tuple(share * cap for share in WINDOW_SHARES),
        rows_min=ROWS_MIN + 1,
        conditions=ConditionTable(
            selecting=tuple(conditions.selecting.tolist()),
            tolerance=tuple(conditions.tolerance.tolist()),
            levels=_rows(conditions.levels),
            measured=tuple(conditions.measured.tolist()),
            center=_rows(np.where(np.isfinite(conditions.center), conditions.center, 0.0)),
            spread=_rows(spread),
        ),
        intervals=IntervalTable(
            level=LEVEL,
            at=tuple(intervals.at.tolist()),
            below=tuple(intervals.below.tolist()),
            above=tuple(intervals.above.tolist()),
        ),
        trained_units=len(lives),
        trained_rows=sum(len(life.time) for life in lives),
        training_sha256=digest.hexdigest(),
    )


def _rows(table: FloatArray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in table.tolist())


def _costed(manifest: RulManifest, model: bytes, life: Life) -> Bundle:
    """Return the bundle with what it costs."""
    host = RemainingLife(manifest, model, asset_count=1)
    at = np.zeros(1, dtype=np.intp)
    moment = float(life.time[0])

    def run_row() -> object:
        nonlocal moment
        moment += manifest.period
        return host.update(at, np.array([moment]), life.value[:1])

    size_bytes = len(write_bundle(Bundle(manifest=manifest, model=model, canary=None)))
    cost = measure_cost(run_row, size_bytes=size_bytes)
    return Bundle(manifest=manifest.model_copy(update={"cost": cost}), model=model, canary=None)


def _notes(
    purpose: RulPurpose,
    lives: Sequence[Life],
    used: Sequence[str],
    *,
    cap: float,
    selecting: NDArray[np.intp],
) -> tuple[str, ...]:
    unused = [name for name in purpose.columns if name not in used]
    short = [life.unit for life in lives if life.time[-1] - life.time[0] < cap]
    notes = []
    if purpose.cap is None:
        notes.append(f"looks {cap:g} ahead, which is {CAP_ROWS} rows; --cap says otherwise")
    if len(selecting):
        names = ", ".join(purpose.columns[k] for k in selecting)
        notes.append(f"these columns tell the operating conditions apart: {names}")
    if unused:
        notes.append(f"these columns never change and count for nothing: {', '.join(unused)}")
    if short:
        notes.append(f"{len(short)} lives are shorter than the cap of {cap:g}")
    return tuple(notes)
