"""How surprising a statistic is, in one unit for all of them, so that they can be compared.

The upper tail of the healthy values is taken as exponential,

    P(X > x) = rate^surprise(x),   surprise(x) = (x - usual) / width,

so that 0 is what everything exceeds by this law, 1 is exceeded with the stated false-alarm rate, 2
with its square, and so on. It goes on as a straight line, above what was ever seen and below what
is usual: among faults the larger one ranks higher, and an average over time loses nothing.

On recordings of machines a straight line ranks better than anything that flattens: logarithms,
ranks and the fitted tails of single columns make a column that is always restless as loud as one
that never is.
"""

from dataclasses import dataclass

from gateway.core.arrays import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tails:
    """The tails of k statistics; the arrays are read-only."""

    usual: FloatArray
    """Where the surprise is 0, in each statistic's unit, shape (k,)."""
    width: FloatArray
    """What the surprise of 1 lies above it, above 0, shape (k,)."""

    def __post_init__(self) -> None:
        """Check the widths."""
        assert self.usual.shape == self.width.shape, (self.usual.shape, self.width.shape)
        assert (self.width > 0).all(), self.width

    def surprise(self, values: FloatArray) -> FloatArray:
        """Return the surprise of values (..., k), in the same shape; NaN stays NaN."""
        surprise: FloatArray = (values - self.usual) / self.width
        return surprise
