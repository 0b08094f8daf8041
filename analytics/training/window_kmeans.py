"""How far the last rows are from everything that was usual: fits k-means to windows.

A window of L rows of m columns is a point of L m numbers. Healthy windows gather about a few
centres, one for each thing that the machine does; the statistic is the distance to the nearest,

    statistic² = mean over the columns of contribution,
    contribution = mean over the rows of (z - centre)², z being cut at `STEPS_MAX`.

On rows about 1, since z is in standard deviations. Windows are compared as they are, neither
centred nor scaled each by itself: a level that is not usual is the commonest fault.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.training.graph_part import GraphPart, Operation
from gateway.core.arrays import FloatArray, frozen
from gateway.core.errors import ModelError

WINDOW_ROWS: Final = 16
"""L. On recordings of servers and satellites 12 to 32 rank alike; shorter windows have no shape,
longer ones make a machine wait for its first score."""
CENTER_COUNT: Final = 16
"""8 to 32 rank alike."""
STEPS_MAX: Final = 20.0
"""A value further off counts as this: one wild column must not hide the others."""
WINDOWS_MAX: Final = 6_000
"""Windows that are fitted to, evenly spaced over the recordings; more make no better centres."""
SEED: Final = 1
"""A training repeated on the same rows gives the same model."""
_ROUNDS_MAX: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WindowCenters:
    """What windows usually look like."""

    centers: FloatArray
    """Shape (k, L, m), oldest row first, read-only; k may be less than was asked for."""


def fit_window_centers(
    runs: Sequence[FloatArray],
    *,
    window_rows: int = WINDOW_ROWS,
    center_count: int = CENTER_COUNT,
) -> WindowCenters:
    """Return the centres of healthy windows.

    Args:
        runs: Standardised rows of each recording, shape (r, m), finite, in the order of time. One
            that is shorter than a window is left out.
        window_rows: L, at least 1.
        center_count: At least 1; where fewer different windows were seen, each is a centre.
    Raises:
        ModelError: no recording is as long as a window.
    Source:
        Lloyd (1982), seeded as by Arthur and Vassilvitskii (2007). Windows against k-means centres:
        Yairi et al. (2001).
    """
    centers = _centers(_windows(runs, window_rows), center_count)
    return WindowCenters(centers=frozen(centers.reshape(len(centers), window_rows, -1)))


def window_part(model: WindowCenters, *, history: str, prefix: str) -> GraphPart:
    """Return the distance to the nearest centre as operations.

    Args:
        model: The centres.
        history: Name of the input, the last L standardised rows of each asset, shape (n, L, m),
            oldest first.
        prefix: Beginning of every name that the part makes.
    """
    count, window_rows, columns = model.centers.shape
    flat = model.centers.reshape(count, -1).astype(np.float32)
    operations = (
        Operation(name="Clip", inputs=(history, "low", "high"), outputs=("cut",)),
        Operation(name="Reshape", inputs=("cut", "point_shape"), outputs=("point",)),
        # |x - c|² = |x|² + |c|² - 2 x c: the first term is the same for all centres.
        Operation(name="MatMul", inputs=("point", "minus_twice"), outputs=("product",)),
        Operation(name="Add", inputs=("product", "square"), outputs=("near",)),
        Operation(
            name="ArgMin",
            inputs=("near",),
            outputs=("nearest",),
            attributes={"axis": 1, "keepdims": 0},
        ),
        Operation(name="Gather", inputs=("centers", "nearest"), outputs=("center",)),
        # The distance itself by the difference: exact where a window lies on its centre.
        Operation(name="Sub", inputs=("point", "center"), outputs=("step",)),
        Operation(name="Reshape", inputs=("step", "window_shape"), outputs=("steps",)),
        Operation(name="Mul", inputs=("steps", "steps"), outputs=("power",)),
        _mean("power", "contribution"),
        _mean("contribution", "mean"),
        Operation(name="Sqrt", inputs=("mean",), outputs=("statistic",)),
    )
    part = GraphPart(
        operations=operations,
        constants={
            "low": np.asarray(-STEPS_MAX, dtype=np.float32),
            "high": np.asarray(STEPS_MAX, dtype=np.float32),
            "point_shape": np.array([-1, window_rows * columns], dtype=np.int64),
            "minus_twice": np.ascontiguousarray(-2.0 * flat.T).astype(np.float32),
            "square": np.square(flat, dtype=np.float64).sum(axis=1).astype(np.float32),
            "centers": flat,
            "window_shape": np.array([-1, window_rows, columns], dtype=np.int64),
        },
        statistic="statistic",
        contribution="contribution",
    )
    return part.prefixed(prefix, inputs=[history])


def window_distance(model: WindowCenters, windows: FloatArray) -> FloatArray:
    """Return the statistic of windows (n, L, m) in double precision, shape (n,)."""
    bounded = np.clip(windows, -STEPS_MAX, STEPS_MAX).reshape(len(windows), -1)
    flat = model.centers.reshape(len(model.centers), -1)
    near = np.square(flat).sum(axis=1) - 2.0 * bounded @ flat.T
    step = bounded - flat[near.argmin(axis=1)]
    distance: FloatArray = np.sqrt(np.square(step).mean(axis=1))
    return distance


def _centers(points: FloatArray, count: int) -> FloatArray:
    """Return the centres of points (p, d), at most so many, shape (k, d).

    Written out: the library's threads wait for each other on a small machine that does other work.
    """
    centers = _seeds(points, count)
    nearest = np.full(len(points), -1)
    for _ in range(_ROUNDS_MAX):
        distance = np.square(centers).sum(axis=1) - 2.0 * points @ centers.T
        moved = distance.argmin(axis=1)
        if (moved == nearest).all():
            break
        nearest = moved
        member = nearest == np.arange(len(centers))[:, np.newaxis]
        sizes = member.sum(axis=1, keepdims=True)
        sums = member.astype(np.float64) @ points
        # A centre that lost all its points stays where it was.
        centers = np.where(sizes > 0, sums / np.maximum(sizes, 1), centers)
    return centers


def _seeds(points: FloatArray, count: int) -> FloatArray:
    """Return different points far from each other, fewer where there are not so many different.

    Each is drawn with a chance as the square of its distance to those before it; of a few drawn,
    the one that leaves the least distance is taken.
    """
    dice = np.random.default_rng(SEED)
    trials = 2 + int(np.log(count))
    chosen = [int(dice.integers(len(points)))]
    left = np.square(points - points[chosen[0]]).sum(axis=1)
    while len(chosen) < count and left.max() > 0.0:
        reach = np.cumsum(left)
        drawn = np.searchsorted(reach, dice.random(trials) * reach[-1], side="right")
        drawn = np.minimum(drawn, len(points) - 1)
        remaining = [np.minimum(left, np.square(points - points[k]).sum(axis=1)) for k in drawn]
        best = int(np.argmin([each.sum() for each in remaining]))
        left = remaining[best]
        chosen.append(int(drawn[best]))
    return points[chosen]


def _mean(source: str, target: str) -> Operation:
    """Return the mean over the second dimension."""
    return Operation(
        name="ReduceMean",
        inputs=(source,),
        outputs=(target,),
        attributes={"axes": [1], "keepdims": 0},
    )


def _windows(runs: Sequence[FloatArray], window_rows: int) -> FloatArray:
    """Return windows as lines, shape (at most `WINDOWS_MAX`, L m), from all recordings alike."""
    assert window_rows >= 1, window_rows
    views = [
        np.lib.stride_tricks.sliding_window_view(run, window_rows, axis=0).swapaxes(1, 2)
        for run in runs
        if len(run) >= window_rows
    ]
    count = sum(map(len, views))
    if not count:
        raise ModelError(
            f"no recording is as long as a window of {window_rows} rows: record longer"
        )
    step = -(-count // WINDOWS_MAX)
    chosen = np.concatenate([view[::step] for view in views])
    points: FloatArray = np.clip(chosen, -STEPS_MAX, STEPS_MAX).reshape(len(chosen), -1)
    return points
