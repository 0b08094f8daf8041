"""Which columns the rows and derived frames of a type have, and which inputs each depends on."""

import numpy as np
from numpy.typing import NDArray

from gateway.core.arrays import BoolArray, FloatArray, StatusArray
from gateway.core.quality import worst_status
from twins.model import AssetModel


class Layout:
    """The columns of one model: inputs, residuals, the same in sigmas, extras, in this order."""

    def __init__(self, model: AssetModel) -> None:
        """Find the position of every role once."""
        place = {role: i for i, role in enumerate(model.roles)}
        self.columns: tuple[str, ...] = (
            *model.inputs,
            *(relation.column for relation in model.relations),
            *(relation.sigmas_column for relation in model.relations),
            *(extra.column for extra in model.extras),
        )
        """Names of the m columns of a row."""
        self.inputs: NDArray[np.intp] = np.array([place[role] for role in model.inputs], np.intp)
        """Position of each input among the roles."""
        self.targets: NDArray[np.intp] = np.array(
            [place[relation.signal] for relation in model.relations], np.intp
        )
        """Position of each explained signal among the roles, shape (r,)."""
        first, last = len(model.inputs), len(model.inputs) + len(model.relations)
        self.residuals = slice(first, last)
        """The residuals among the columns."""
        self.judged = slice(first, 2 * last - first)
        """The residuals in either unit among the columns."""
        self.comparable = self.columns[last : 2 * last - first] or self.columns
        """Names of the columns in which machines of one type look alike: the residuals in
        standard deviations; all columns where there is no physics."""
        self.computed = slice(first, None)
        """The residuals and extras among the columns."""
        sources = [
            *((role,) for role in model.inputs),
            *(relation.roles for relation in model.relations),
            *(relation.roles for relation in model.relations),
            *(extra.roles for extra in model.extras),
        ]
        width = max(len(roles) for roles in sources)
        # Shorter lists repeat their first role: that changes neither the worst nor the whole.
        self._sources: NDArray[np.intp] = np.array(
            [[place[role] for role in (*roles, *roles[:1] * width)][:width] for roles in sources],
            np.intp,
        )

    def status(self, status: StatusArray) -> StatusArray:
        """Return the worst status behind each column, (n, k) in and (n, m) out."""
        return worst_status(status[:, self._sources], axis=2)

    def possible(self, has_value: BoolArray) -> BoolArray:
        """Return which columns can have values at all.

        Args:
            has_value: Which roles have a tag or a fallback, shape (n, k).
        Returns:
            Shape (n, m).
        """
        return np.asarray(has_value[:, self._sources].all(axis=2))


def beliefs(model: AssetModel) -> tuple[FloatArray, FloatArray]:
    """Return the parameters by the nameplate and their standard deviations, each (r, p)."""
    width = max((len(relation.terms) for relation in model.relations), default=1)
    prior = np.zeros((len(model.relations), width))
    spread = np.zeros_like(prior)
    for r, relation in enumerate(model.relations):
        for p, term in enumerate(relation.terms):
            prior[r, p], spread[r, p] = term.prior, term.spread
    return prior, spread
