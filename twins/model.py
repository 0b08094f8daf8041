"""What a type of asset is made of: roles, relations between its signals, signatures of faults."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gateway.core.arrays import FloatArray, StatusArray
from twins.physics import Terms

UNIT_BY_ENDING = (
    ("_mm_s", "mm/s"),
    ("_mbar", "mbar"),
    ("_degc", "Cel"),
    ("_m3h", "m3/h"),
    ("_rpm", "/min"),
    ("_bar", "bar"),
    ("_a", "A"),
    ("_k", "K"),
    ("_m", "m"),
)
"""UCUM code for the last part of a column's name; the first that fits counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One parameter of a relation, as believed before the first sample."""

    name: str
    """What the parameter stands for, in a few words."""
    prior: float
    """Value by the nameplate: 1 for what the nameplate gives, 0 for what it does not know."""
    spread: float
    """Standard deviation of that belief; not negative, and small is as good as fixed."""

    def __post_init__(self) -> None:
        """Check what the field docstrings promise."""
        assert self.spread >= 0.0, (self.name, self.spread)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """One signal that the others explain: its expected value is linear in a few terms."""

    signal: str
    """Role of the explained signal."""
    roles: tuple[str, ...]
    """All roles that the residual is computed from, `signal` among them."""
    terms: tuple[Term, ...]
    """Its parameters, in the order of the model's terms."""

    def __post_init__(self) -> None:
        """Check what the field docstrings promise."""
        assert self.signal in self.roles, self.signal
        assert self.terms, self.signal

    @property
    def column(self) -> str:
        """Name of the residual: `flow_m3h` becomes `flow_residual_m3h`."""
        ending = ending_of(self.signal)
        stem = self.signal.removesuffix(ending)
        # A difference of temperatures is in kelvin.
        return f"{stem}_residual{'_k' if ending == '_degc' else ending}"

    @property
    def sigmas_column(self) -> str:
        """Name of the residual in standard deviations: `flow_residual_sigmas`."""
        return f"{self.signal.removesuffix(ending_of(self.signal))}_residual_sigmas"


def steady(signal: str) -> Relation:
    """Return the relation of a signal that nothing explains but that changes slowly.

    It is expected where it was lately: its own value behind the model's lag. What moves with the
    hours and seasons is followed, what moves faster stands out.
    """
    term = Term(name="where it was lately", prior=1.0, spread=0.0)
    return Relation(signal=signal, roles=(signal,), terms=(term,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Extra:
    """A physical figure that is no residual, such as a margin."""

    column: str
    """Its name, unit last."""
    roles: tuple[str, ...]
    """All roles that it is computed from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a fault does to the residuals, and what a person should look at."""

    cause: str
    """The fault in a few words."""
    signs: tuple[tuple[str, int], ...]
    """Explained signal and the direction in which its residual moves, +1 or -1."""
    check: str
    """What to check, as an imperative without a full stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What the signals of n assets are explained by at one instant."""

    terms: FloatArray
    """Shape (n, r, p), already scaled to the signals' units; unused terms are 0."""
    lag_s: FloatArray
    """First-order lag of each explained signal behind its terms, shape (n, r); 0 is none."""
    extras: FloatArray
    """Shape (n, e): further physical figures, one for each of the model's `extras`."""


class AssetModel(Protocol):
    """The physics of n assets of one type; pure functions of one instant's inputs."""

    @property
    def asset_type(self) -> str:
        """Name of the type in the configuration."""

    @property
    def roles(self) -> tuple[str, ...]:
        """All k signals, in the order of the inputs."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The roles that become columns of the rows as they are."""

    @property
    def relations(self) -> tuple[Relation, ...]:
        """All r explained signals."""

    @property
    def extras(self) -> tuple[Extra, ...]:
        """All e further columns."""

    @property
    def signatures(self) -> tuple[Signature, ...]:
        """What faults look like."""

    @property
    def fallback(self) -> FloatArray:
        """Values that stand for roles without a tag, shape (n, k); NaN where there is none."""

    @property
    def noise(self) -> FloatArray:
        """Standard deviation of each residual on a healthy asset, at the least, shape (n, r)."""

    def load(self, value: FloatArray, status: StatusArray) -> FloatArray:
        """Return how much each asset is at work, shape (n,): 0 standstill, 1 rated, NaN unknown.

        Args:
            value: Inputs, shape (n, k), NaN where there is no tag or the value is Bad.
            status: Status of the inputs, shape (n, k).
        """

    def explain(self, value: FloatArray) -> Explanation:
        """Return the terms for these inputs, shape (n, k); NaN in gives NaN out."""


def ending_of(column: str) -> str:
    """Return the ending of a column's name that gives its unit; empty when it has none."""
    return next((ending for ending, _ in UNIT_BY_ENDING if column.endswith(ending)), "")


def unit_of(column: str) -> str:
    """Return the UCUM code that a column's name ends in; empty for a plain number."""
    return next((unit for ending, unit in UNIT_BY_ENDING if column.endswith(ending)), "")


def stack_terms(per_relation: Sequence[Terms], *, count: int) -> FloatArray:
    """Return terms, each of shape (n,), as one array of shape (n, r, p), padded with zeros."""
    width = max(len(terms) for terms in per_relation)
    stacked = np.zeros((len(per_relation), width, count))
    for into, terms in zip(stacked, per_relation, strict=True):
        for p, term in enumerate(terms):
            into[p] = term
    return stacked.transpose(2, 0, 1)
