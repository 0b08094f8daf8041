"""Fits the model of statistics: what several columns of a healthy machine look like over time.

Three statistics see faults of three kinds, each on rows standardised by the same baseline:

*largest*: how far the few most unusual columns are off; a signal that leaves its range.
*windows*: the distance of the last rows to the nearest of what was usual; an unseen mixture.
*state space*: what the canonical variates of the last rows leave over; a tie that breaks.

The first two measure levels. A recording of an hour has not seen the levels of a day, so their
limits move out by Student's term for so few independent stretches. The third leaves the slow part
out; its limit comes from the maxima of the recording's blocks. All three are scored on rows that
were not fitted (`held_out`) and averaged over two lengths of time; the averages are brought to one
unit, in which 1 is the limit; the largest is the score.

Constants were chosen on recordings of a test rig, a chemical plant, servers and satellites
together, and hold over a range of neighbours; see `BENCHMARKS.md`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.anomaly.baseline import FOLLOW_ROWS, Baseline, followed_run
from analytics.anomaly.tails import Tails
from analytics.anomaly.time_scales import averaged_run
from analytics.runtime import CONTRIBUTION, HISTORY, STATISTIC, StatisticsGraph
from analytics.training.block_limit import block_limit
from analytics.training.columns import is_measured, level_and_spread
from analytics.training.graph_part import GraphPart, Operation, part_graph
from analytics.training.held_out import BLOCK_COUNT, held_out_values
from analytics.training.largest import largest_mean, largest_part
from analytics.training.statespace import (
    StateSpace,
    fit_state_space,
    state_space_part,
    state_space_rest,
)
from analytics.training.tails import fit_tails
from analytics.training.window_kmeans import (
    WINDOW_ROWS,
    WindowCenters,
    fit_window_centers,
    window_distance,
    window_part,
)
from gateway.core.arrays import FloatArray, frozen
from gateway.core.dynamics import Dynamics
from gateway.core.errors import ModelError

STATISTICS: Final = ("largest", "windows", "state space")
RUN_ROWS_MIN: Final = BLOCK_COUNT * WINDOW_ROWS
"""A shorter stretch says nothing of what follows what."""
STRETCH_COUNT: Final = 20
STRETCH_ROWS: Final = 5_000
"""Of a longer recording so many stretches, evenly spaced, are learnt: all of its loads and hours,
in bounded time."""
INDEPENDENT_ROWS: Final = FOLLOW_ROWS
"""What makes the level of a healthy machine differ (load, voltage, weather) lasts about as long as
the baseline takes to follow it."""
STUDENT_TERM: Final = 3.0
"""As for the models of twins: the quantile of Student's distribution that 0.1 % exceed is
1 + 3 / n times the normal one, with n independent stretches."""
SCALES_ROWS: Final = (2.0, 8.0)
"""Time constants of the averages. A third one of 32 rows finds slight faults as well, but stays
above its limit long after they are gone."""
BLOCK_RATE: Final = 10.0
"""A block's maximum may exceed the limit so many times as often as a row: the rows above a limit
come in bursts."""
PARITY_MAX: Final = 1e-4
"""Largest difference between the graph and the formulas, over the larger of 1 and the value."""
_IS_LEVEL: Final = (True, True, False)
_WIDTH_MIN: Final = 1e-3
"""Of a statistic of the order of 1 that never varied."""
_FORGETTING: Final = 2.0
"""Time constants after which an average has forgotten what it was."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedStatistics:
    """The model, and what it was like on rows that it was not fitted to."""

    dynamics: Dynamics
    model: bytes
    """The ONNX graph."""
    score: FloatArray
    """Of the healthy rows, by fits that did not see them, shape (r,)."""
    spread: FloatArray
    """Of all columns, 0 for those that are no measurements, shape (columns,)."""


def fit_statistics(runs: Sequence[FloatArray], *, false_alarm_share: float) -> FittedStatistics:
    """Return the model of healthy recordings.

    Args:
        runs: Shape (r, columns) each, finite, in the order of time, each of at least
            `RUN_ROWS_MIN` rows.
        false_alarm_share: Share of healthy rows that may score above 1.
    Raises:
        ModelError: the graph does not agree with the formulas.
    """
    stretches = [stretch for run in runs for stretch in _stretches(run)]
    rows = np.concatenate(stretches)
    measured = is_measured(rows)
    if not measured.any():
        # Nothing but switches: then their positions are all there is to tell.
        measured = np.ones_like(measured)
    follow_rows = max(FOLLOW_ROWS, float(max(map(len, runs))))
    chosen = [stretch[:, measured] for stretch in stretches]

    def fit(parts: Sequence[FloatArray]) -> "_Fit":
        return _fit([part for part in parts if len(part) >= WINDOW_ROWS], follow_rows=follow_rows)

    held_out = held_out_values(chosen, lambda parts: fit(parts).run_statistics)
    center = np.concatenate(held_out).mean(axis=0)
    averages = np.concatenate(
        [
            averaged_run(each, usual=center, scales_rows=SCALES_ROWS).reshape(len(each), -1)
            for each in held_out
        ]
    )
    tails = _tails(averages, rate=false_alarm_share, longest=max(map(len, runs)))
    whole = fit(chosen)
    model = whole.graph()
    _check_parity(model, whole, chosen)
    spread = np.zeros(len(measured))
    spread[measured] = whole.spread
    ends = np.stack([whole.end_of(each) for each in chosen]).mean(axis=0)
    return FittedStatistics(
        dynamics=Dynamics(
            measured=tuple(measured.tolist()),
            level=tuple(whole.level.tolist()),
            spread=tuple(whole.spread.tolist()),
            moved=tuple(ends[0].tolist()),
            widened=tuple(ends[1].tolist()),
            follow_rows=follow_rows,
            history_rows=WINDOW_ROWS,
            statistics=STATISTICS,
            center=tuple(center.tolist()),
            scales_rows=SCALES_ROWS,
            usual=tuple(tails.usual.tolist()),
            width=tuple(tails.width.tolist()),
        ),
        model=model,
        score=tails.surprise(averages).max(axis=1),
        spread=spread,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fit:
    """What was fitted to some stretches, in double precision."""

    level: FloatArray
    spread: FloatArray
    follow_rows: float
    centers: WindowCenters
    states: StateSpace

    def standardised(self, rows: FloatArray) -> FloatArray:
        """Return a stretch in present spreads, as the running service would have it."""
        return followed_run(
            rows, level=self.level, spread=self.spread, follow_rows=self.follow_rows
        )

    def end_of(self, rows: FloatArray) -> FloatArray:
        """Return how far the baseline has moved and widened behind a stretch, shape (2, m)."""
        baseline = Baseline(
            asset_count=1, level=self.level, spread=self.spread, follow_rows=self.follow_rows
        )
        usable = np.ones((1, rows.shape[1]), dtype=np.bool_)
        calm = np.ones(1, dtype=np.bool_)
        for index in range(len(rows)):
            baseline.update(rows[index : index + 1], usable, calm)
        return baseline.checkpoint()[:, 0]

    def statistics(self, histories: FloatArray) -> FloatArray:
        """Return the statistics of histories (n, L, m), shape (n, k)."""
        return np.stack(
            [
                largest_mean(histories[:, -1]),
                window_distance(self.centers, histories),
                state_space_rest(self.states, histories),
            ],
            axis=1,
        )

    def run_statistics(self, rows: FloatArray) -> FloatArray:
        """Return the statistics of every row of a stretch, shape (r, k)."""
        return self.statistics(_histories(self.standardised(rows)))

    def graph(self) -> bytes:
        """Return the ONNX graph of the statistics."""
        parts = [
            largest_part(rows="newest", column_count=len(self.level), prefix="largest_"),
            window_part(self.centers, history=HISTORY, prefix="windows_"),
            state_space_part(self.states, history=HISTORY, prefix="states_"),
        ]
        shape = ("n", WINDOW_ROWS, len(self.level))
        return part_graph(
            [_newest_row(), *parts, _together(parts)],
            inputs={HISTORY: shape},
            outputs={
                STATISTIC: ("n", len(parts)),
                CONTRIBUTION: ("n", len(parts), len(self.level)),
            },
        )


def _fit(runs: Sequence[FloatArray], *, follow_rows: float) -> _Fit:
    level, spread = level_and_spread(np.concatenate(runs))
    steps = [followed_run(run, level=level, spread=spread, follow_rows=follow_rows) for run in runs]
    return _Fit(
        level=level,
        spread=spread,
        follow_rows=follow_rows,
        centers=fit_window_centers(steps),
        states=fit_state_space(steps),
    )


def _tails(averages: FloatArray, *, rate: float, longest: int) -> Tails:
    """Return the tails of all averages, with what a short recording cannot know of levels."""
    scales = np.array(SCALES_ROWS)
    independent = np.maximum(_FORGETTING * scales, 1.0)
    tails = fit_tails(averages, rate=rate, independent_rows=np.tile(independent, len(STATISTICS)))
    term = 1.0 + STUDENT_TERM * INDEPENDENT_ROWS / longest
    is_level = np.repeat(_IS_LEVEL, len(scales))
    mean = averages.mean(axis=0)
    limit = block_limit(averages, exceeded_share=BLOCK_RATE * rate)
    width = np.maximum(limit - mean, _WIDTH_MIN)
    return Tails(
        usual=frozen(np.where(is_level, tails.usual, mean)),
        width=frozen(np.where(is_level, tails.width * term, width)),
    )


def _stretches(run: FloatArray) -> list[FloatArray]:
    """Return a recording, or evenly spaced stretches of a long one."""
    if len(run) <= STRETCH_COUNT * STRETCH_ROWS:
        return [run]
    starts = np.linspace(0, len(run) - STRETCH_ROWS, num=STRETCH_COUNT).astype(int)
    return [run[start : start + STRETCH_ROWS] for start in starts]


def _histories(steps: FloatArray) -> FloatArray:
    """Return the last rows at every row, shape (r, L, m); the first row stands for those before."""
    padded = np.concatenate([np.repeat(steps[:1], WINDOW_ROWS - 1, axis=0), steps])
    windows: FloatArray = np.lib.stride_tricks.sliding_window_view(
        padded, WINDOW_ROWS, axis=0
    ).swapaxes(1, 2)
    return windows


def _newest_row() -> GraphPart:
    """Return what takes the newest row out of the history."""
    return GraphPart(
        operations=(
            Operation(
                name="Gather",
                inputs=(HISTORY, "newest_at"),
                outputs=("newest",),
                attributes={"axis": 1},
            ),
        ),
        constants={"newest_at": np.asarray(WINDOW_ROWS - 1, dtype=np.int64)},
        statistic="",
        contribution="",
    )


def _together(parts: Sequence[GraphPart]) -> GraphPart:
    """Return what puts the statistics of all parts side by side."""
    operations: list[Operation] = []
    for source, target in (("statistic", STATISTIC), ("contribution", CONTRIBUTION)):
        names = [getattr(part, source) for part in parts]
        operations += [
            Operation(name="Unsqueeze", inputs=(name, "second"), outputs=(f"{name}_apart",))
            for name in names
        ]
        operations.append(
            Operation(
                name="Concat",
                inputs=tuple(f"{name}_apart" for name in names),
                outputs=(target,),
                attributes={"axis": 1},
            )
        )
    return GraphPart(
        operations=tuple(operations),
        constants={"second": np.array([1], dtype=np.int64)},
        statistic=STATISTIC,
        contribution=CONTRIBUTION,
    )


def _check_parity(model: bytes, fit: _Fit, runs: Sequence[FloatArray]) -> None:
    histories = np.concatenate([_histories(fit.standardised(run[:_PARITY_ROWS])) for run in runs])
    histories = histories[:_PARITY_ROWS].astype(np.float32)
    graph = StatisticsGraph(model, shape=histories.shape, statistic_count=len(STATISTICS))
    np.copyto(graph.history, histories)
    by_graph, _ = graph.run()
    by_formula = fit.statistics(histories.astype(np.float64))
    worst = float((np.abs(by_graph - by_formula) / np.maximum(by_formula, 1.0)).max())
    if not worst <= PARITY_MAX:
        raise ModelError(f"the exported graph differs from the formulas by {worst:.1e}")


_PARITY_ROWS: Final = 1_000
