"""Tags, and the table that turns their ids into array positions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NewType

import numpy as np

from gateway.core.arrays import FloatArray, IndexArray, frozen, index_column

TagId = NewType("TagId", str)
"""Full name of a tag: `connector.name` when measured, `asset.name` when derived by us."""
ConfigEpoch = NewType("ConfigEpoch", int)
"""Counts the tag tables a gateway has used; record bodies name the one they were written under."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A point that has a value over time."""

    id: TagId
    """Unique on one gateway."""
    unit: str = ""
    """UCUM code, such as `bar`, `m3/h`, `Cel`; empty is unknown or without dimension."""
    low: float = -np.inf
    """Lower end of the instrument's range (OPC UA `EURange`), in `unit`; below `high`."""
    high: float = np.inf
    """Upper end of the instrument's range, in `unit`."""
    scale: float = 1.0
    """Engineering value = raw value x `scale` + `offset`; not zero."""
    offset: float = 0.0
    """See `scale`."""
    writable: bool = False
    """Whether a command may name this tag at all."""
    is_derived: bool = False
    """Whether the gateway computes it; a derived tag never counts as received."""

    def __post_init__(self) -> None:
        """Check what the field docstrings promise."""
        assert self.id, "a tag has an id"
        assert self.low < self.high, (self.id, self.low, self.high)
        assert self.scale != 0.0, self.id


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TagTable:
    """The tags of one configuration epoch in a fixed order; columns refer to them by position."""

    epoch: ConfigEpoch
    """The epoch that this order belongs to."""
    tags: tuple[Tag, ...]
    """Every tag once; its position is its index."""
    scale: FloatArray
    """Shape (n,)."""
    offset: FloatArray
    """Shape (n,)."""
    low: FloatArray
    """Shape (n,), in engineering units."""
    high: FloatArray
    """Shape (n,), in engineering units."""
    _index_by_id: dict[TagId, int]

    @classmethod
    def build(cls, tags: Iterable[Tag], *, epoch: ConfigEpoch) -> "TagTable":
        """Return the table of these tags in the order given.

        Raises:
            ValueError: two tags have the same id.
        """
        ordered = tuple(tags)
        index_by_id = {tag.id: index for index, tag in enumerate(ordered)}
        if len(index_by_id) != len(ordered):
            # The mapping kept the last position of each id, so an earlier one is a repetition.
            twice = next(tag.id for i, tag in enumerate(ordered) if index_by_id[tag.id] != i)
            raise ValueError(f"tag {twice!r} is defined twice")
        return cls(
            epoch=epoch,
            tags=ordered,
            scale=frozen(np.array([tag.scale for tag in ordered], dtype=np.float64)),
            offset=frozen(np.array([tag.offset for tag in ordered], dtype=np.float64)),
            low=frozen(np.array([tag.low for tag in ordered], dtype=np.float64)),
            high=frozen(np.array([tag.high for tag in ordered], dtype=np.float64)),
            _index_by_id=index_by_id,
        )

    def __len__(self) -> int:
        """Return the number of tags."""
        return len(self.tags)

    def __contains__(self, tag_id: TagId) -> bool:
        """Return whether the table has this tag."""
        return tag_id in self._index_by_id

    def index(self, tag_id: TagId) -> int:
        """Return the position of a tag.

        Raises:
            KeyError: the table has no such tag.
        """
        return self._index_by_id[tag_id]

    def indices(self, tag_ids: Sequence[TagId]) -> IndexArray:
        """Return the positions of several tags, shape (len(tag_ids),).

        Raises:
            KeyError: the table lacks one of them.
        """
        return index_column([self._index_by_id[tag_id] for tag_id in tag_ids])
