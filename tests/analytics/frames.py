"""Frames for the tests, from plain tuples."""

from collections.abc import Sequence

import numpy as np

from gateway.core.arrays import frozen, index_column, time_column
from gateway.core.frame import Frame, Origin
from gateway.core.quality import Status
from gateway.core.tags import ConfigEpoch, Tag, TagId, TagTable

NS = 1_000_000_000


def table_of(*ids: str) -> TagTable:
    return TagTable.build([Tag(id=TagId(name), unit="mm/s") for name in ids], epoch=ConfigEpoch(1))


def frame_of(
    table: TagTable,
    *samples: tuple[str, float, float],
    status: int | Sequence[int] = Status.GOOD,
    received_s: float | None = None,
    is_received: bool = True,
) -> Frame:
    """One frame of (tag, time in s, value); received when the newest sample was taken."""
    newest_s = max((time_s for _, time_s, _ in samples), default=0.0)
    codes = np.broadcast_to(np.asarray(status, dtype=np.uint32), (len(samples),))
    return Frame(
        tag_index=index_column([table.index(TagId(name)) for name, _, _ in samples]),
        time_ns=time_column([round(time_s * NS) for _, time_s, _ in samples]),
        value=frozen(np.array([value for _, _, value in samples], dtype=np.float64)),
        status=frozen(codes.copy()),
        received_ns=round((newest_s if received_s is None else received_s) * NS),
        origin=Origin.LIVE,
        is_received=is_received,
    )
