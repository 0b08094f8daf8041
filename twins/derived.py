"""The tags that a twin computes, `asset.column`, and the frames that carry them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gateway.core.arrays import BoolArray, FloatArray, IndexArray, StatusArray
from gateway.core.frame import Frame
from gateway.core.quality import is_bad
from gateway.core.rows import AssetId
from gateway.core.tags import Tag, TagId, TagTable
from twins.checkpoint import State
from twins.model import unit_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """The derived samples of one instant, columns of equal length."""

    time_ns: int
    tag_index: IndexArray
    value: FloatArray
    status: StatusArray


class DerivedTags:
    """The derived tags of n assets with c columns; a sample that stays Bad is told once."""

    def __init__(
        self, assets: Sequence[AssetId], columns: Sequence[str], is_possible: BoolArray
    ) -> None:
        """Name the tags.

        Args:
            assets: All n assets.
            columns: Names of all c columns.
            is_possible: Which columns can ever have a value, shape (n, c); the others have no tag.
        """
        self.tags: tuple[Tag, ...] = tuple(
            Tag(id=TagId(f"{assets[i]}.{columns[c]}"), unit=unit_of(columns[c]), is_derived=True)
            for i, c in np.argwhere(is_possible)
        )
        """The possible ones, asset by asset."""
        self._is_possible = is_possible
        self._tag_index: IndexArray = np.zeros(is_possible.shape, dtype=np.int32)
        self._was_bad: BoolArray = np.zeros(is_possible.shape, dtype=np.bool_)

    def bind(self, table: TagTable) -> None:
        """Resolve tag ids to positions.

        Raises:
            KeyError: the table lacks one of the tags.
        """
        self._tag_index[self._is_possible] = table.indices([tag.id for tag in self.tags])

    def tell(self, value: FloatArray, status: StatusArray, *, time_ns: int) -> Samples:
        """Return the samples of one instant: everything but what was Bad and stays so.

        Args:
            value: Shape (n, c).
            status: Shape (n, c).
            time_ns: The instant.
        """
        bad = is_bad(status)
        tells = self._is_possible & ~(bad & self._was_bad)
        self._was_bad = bad
        return Samples(
            time_ns=time_ns,
            tag_index=self._tag_index[tells],
            value=value[tells],
            status=status[tells],
        )

    def save(self) -> State:
        """Return all that `load` needs, by name."""
        return {"was_bad": self._was_bad}

    def load(self, state: State) -> None:
        """Go on from what `save` returned."""
        self._was_bad = np.array(state["was_bad"], dtype=np.bool_)


def derived_frame(derived: Sequence[Samples], frame: Frame) -> Frame:
    """Return the samples of several instants as one frame, of the kind they came from.

    Args:
        derived: At least one instant, in the order of time.
        frame: The frame that made them complete.
    """
    counts = [len(samples.value) for samples in derived]
    times_ns = np.array([samples.time_ns for samples in derived], dtype=np.int64)
    return Frame(
        tag_index=np.concatenate([samples.tag_index for samples in derived]),
        time_ns=np.repeat(times_ns, counts),
        value=np.concatenate([samples.value for samples in derived]),
        status=np.concatenate([samples.status for samples in derived]),
        received_ns=frame.received_ns,
        arrival_ns=frame.arrival_ns,
        origin=frame.origin,
        is_received=False,
        clock=frame.clock,
    )
