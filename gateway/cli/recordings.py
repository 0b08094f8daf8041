"""From recordings to the rows that a model reads: as they are, or through a twin."""

from collections.abc import Iterator

import numpy as np

from analytics.training.data import Recording
from gateway.core.arrays import frozen
from gateway.core.frame import Origin
from gateway.core.quality import Status
from gateway.core.rows import AssetId, OperatingState, Rows

ASSET = AssetId("recording")
"""Stands for the machine of a recording that is read as it is."""


def plain_rows(recording: Recording, *, asset_type: str) -> Iterator[Rows]:
    """Yield every line of a recording as a row of one running asset; empty cells are Bad."""
    running = frozen(np.array([OperatingState.RUNNING], dtype=np.uint8))
    status = np.where(np.isnan(recording.value), np.uint32(Status.BAD), np.uint32(Status.GOOD))
    for time_ns, value, codes in zip(recording.time_ns, recording.value, status, strict=True):
        yield Rows(
            asset_type=asset_type,
            assets=(ASSET,),
            columns=recording.columns,
            time_ns=int(time_ns),
            value=frozen(value[np.newaxis].copy()),
            status=frozen(codes[np.newaxis].astype(np.uint32)),
            state=running,
            received_ns=int(time_ns),
            arrival_ns=0,
            origin=Origin.HISTORICAL,
        )
