"""The twin's own parameters, learnt while the asset is commissioned, and what they expect.

Each residual is a linear regression y = phi·theta + e with a Gaussian prior from the nameplate. It
is solved recursively, row by row, so that the state is small, exact to checkpoint, and a first
opinion exists from the first row on. An outlier pulls no harder than `HUBER_SIGMAS` deviations of
what was to be expected at that moment: the noise and the doubt about the parameters together, so
that a nameplate that is 15 % off is not mistaken for an outlier. Directions that the data never
excite keep the nameplate's value.

The noise around the expected value is learnt too, from the second half of the rows: a step up when
an error is greater than the median error should be, a step down otherwise, never below the floor
that the model states. No single error, however wild, moves it by more than one step.

After `rows` healthy rows of running everything freezes, each residual's apart. The covariance
stays, and widens the tolerance where the asset works outside of what was learnt.

A signal that follows its terms with a first-order lag (a bearing's temperature) is still linear:
the lag is applied to each term, starting from nothing, and the first measured value fades out with
the same time constant. Standstill does not stop the lag; only a long gap begins it anew.

Source:
    Recursive least squares: Ljung (1999), System Identification, 2nd ed., recursive estimation.
    Bounded influence: Huber (1981), Robust Statistics, regression. A quantile by steps: Robbins &
    Monro (1951), A stochastic approximation method. The combination is ours.
"""

from dataclasses import dataclass

import numpy as np

from gateway.core.arrays import BoolArray, FloatArray, IndexArray, TimeArray
from twins.checkpoint import State
from twins.physics import lag_weight
from twins.state import NEVER_NS

HUBER_SIGMAS = 2.5
"""Deviations beyond which a row counts less."""
CORRELATED_ROWS = 4.0
"""So many rows count as one: their errors come from the same slow causes, not from chance."""
MEDIAN_SIGMAS = 0.6745
"""Median of the absolute value of a standard normal variable."""
SIGMA_STEP = 0.04
"""Relative step of the noise: it can grow tenfold in 60 rows, and settles within about 15 %."""
LAG_GAP_SHARE_MAX = 0.25
"""A gap longer than this share of the lag begins the lag anew."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Expectation:
    """What n assets with r relations should show at one instant."""

    value: FloatArray
    """Shape (n, r), in the signals' units; NaN where not usable."""
    sigma: FloatArray
    """Standard deviation of a healthy residual, shape (n, r); positive."""
    is_usable: BoolArray
    """Where all inputs have numbers, shape (n, r)."""


class Estimator:
    """Learns and applies the parameters of n assets with r relations of up to p terms."""

    def __init__(
        self,
        *,
        prior: FloatArray,
        spread: FloatArray,
        noise: FloatArray,
        rows: IndexArray,
    ) -> None:
        """Begin with the nameplate's parameters.

        Args:
            prior: Parameters by the nameplate, shape (r, p); 0 beyond a relation's terms.
            spread: Their standard deviations, shape (r, p); 0 beyond a relation's terms.
            noise: Standard deviation of a healthy residual at the least, shape (n, r).
            rows: Healthy running rows to learn from, shape (n, r); 0 learns nothing.
        """
        count = len(noise)
        self._noise = noise
        self._rows = rows
        self._theta: FloatArray = np.tile(prior, (count, 1, 1))
        self._covariance: FloatArray = np.tile(
            spread[:, :, None] ** 2 * np.eye(prior.shape[1]), (count, 1, 1, 1)
        )
        self._count: FloatArray = np.zeros(noise.shape)
        self._sigma: FloatArray = noise.copy()
        self._lagged: FloatArray = np.zeros((count, *prior.shape))
        self._fading: FloatArray = np.zeros(noise.shape)
        self._usable_ns: TimeArray = np.full(noise.shape, NEVER_NS, dtype=np.int64)
        self._conclude()

    @property
    def parameters(self) -> FloatArray:
        """The parameters as of now, shape (n, r, p)."""
        return self._theta

    def update(
        self,
        *,
        terms: FloatArray,
        lag_s: FloatArray,
        target: FloatArray,
        is_healthy: BoolArray,
        time_ns: int,
    ) -> Expectation:
        """Return what the signals should show, and learn from them while commissioning.

        Args:
            terms: Shape (n, r, p); NaN where an input is Bad.
            lag_s: First-order lag behind the terms, shape (n, r); 0 is none.
            target: The explained signals, shape (n, r); NaN where Bad.
            is_healthy: Where the row may be learnt from: running, all inputs Good; shape (n, r).
            time_ns: The instant; never before the last one.
        """
        is_usable = np.isfinite(target) & np.isfinite(terms).all(axis=2)
        terms = np.where(is_usable[:, :, None], terms, 0.0)
        self._follow(terms, lag_s, target, is_usable, time_ns)
        terms = self._lagged
        value = (terms * self._theta).sum(axis=2) + self._fading
        doubt = (self._covariance @ terms[..., None])[..., 0]
        variance = (terms * doubt).sum(axis=2)
        sigma = np.sqrt(self._sigma**2 + variance)
        if not self._is_complete:
            learns = is_usable & is_healthy & ~self.is_commissioned
            error = np.where(learns, target - value, 0.0)
            self._learn(learns, error, doubt, sigma)
        return Expectation(
            value=np.where(is_usable, value, np.nan),
            sigma=sigma,
            is_usable=is_usable,
        )

    def save(self) -> State:
        """Return all that `load` needs, by name."""
        return {
            "theta": self._theta,
            "covariance": self._covariance,
            "count": self._count,
            "sigma": self._sigma,
            "lagged": self._lagged,
            "fading": self._fading,
            "usable_ns": self._usable_ns,
        }

    def load(self, state: State) -> None:
        """Go on from what `save` returned."""
        self._theta = np.array(state["theta"], dtype=np.float64)
        self._covariance = np.array(state["covariance"], dtype=np.float64)
        self._count = np.array(state["count"], dtype=np.float64)
        self._sigma = np.array(state["sigma"], dtype=np.float64)
        self._lagged = np.array(state["lagged"], dtype=np.float64)
        self._fading = np.array(state["fading"], dtype=np.float64)
        self._usable_ns = np.array(state["usable_ns"], dtype=np.int64)
        self._conclude()

    def _follow(
        self,
        terms: FloatArray,
        lag_s: FloatArray,
        target: FloatArray,
        is_usable: BoolArray,
        time_ns: int,
    ) -> None:
        """Let the lagged terms follow, and the value that the lag began with fade out."""
        elapsed_s = (time_ns - self._usable_ns) / 1e9
        weight = np.where(is_usable, lag_weight(elapsed_s, lag_s), 0.0)
        self._lagged = self._lagged + weight[:, :, None] * (terms - self._lagged)
        self._fading = self._fading * (1.0 - weight)
        begins = is_usable & (lag_s > 0.0) & (elapsed_s > LAG_GAP_SHARE_MAX * lag_s)
        if begins.any():
            self._lagged[begins] = 0.0
            self._fading[begins] = target[begins]
        self._usable_ns[is_usable] = time_ns

    def _learn(
        self, learns: BoolArray, error: FloatArray, doubt: FloatArray, sigma: FloatArray
    ) -> None:
        size, bound = np.abs(error), HUBER_SIGMAS * sigma
        noise_variance = self._sigma**2
        variance = sigma**2 - noise_variance
        # Huber: beyond the bound a row weighs less, as if its noise were greater.
        weight = bound / np.maximum(size, bound)
        gain = np.where(learns, weight / (CORRELATED_ROWS * noise_variance + weight * variance), 0)
        step = gain[:, :, None] * doubt
        self._theta = self._theta + step * error[:, :, None]
        self._covariance = self._covariance - step[..., None] * doubt[:, :, None, :]
        # The first half of the rows finds the parameters, the second half the noise around them.
        settled = learns & (2 * self._count >= self._rows)
        factor = np.exp(np.where(size > MEDIAN_SIGMAS * sigma, SIGMA_STEP, -SIGMA_STEP))
        found = np.maximum(self._sigma * factor, self._noise)
        self._sigma = np.where(settled, found, self._sigma)
        self._count = self._count + learns
        self._conclude()

    def _conclude(self) -> None:
        """Keep what follows from the counts, so that a row does not compute it again."""
        self.progress: FloatArray = np.where(
            self._rows > 0, np.minimum(self._count / np.maximum(self._rows, 1), 1.0), 1.0
        )
        """Share of the rows that were learnt from, shape (n, r), 0 to 1."""
        self.is_commissioned: BoolArray = self.progress >= 1.0
        """Where the parameters are frozen, shape (n, r)."""
        self.asset_progress: FloatArray = self.progress.min(axis=1, initial=1.0)
        """Progress of the slowest relation of each asset, shape (n,)."""
        self._is_complete = bool(self.is_commissioned.all())
