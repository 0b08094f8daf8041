"""Takes a recording into the log as historical frames, through the same pipeline as live ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gateway.config import Config
from gateway.core.arrays import FloatArray, IndexArray, TimeArray, status_column
from gateway.core.errors import ConfigError
from gateway.core.frame import Frame, Origin
from gateway.core.tags import TagId
from gateway.recordings import Recording
from gateway.service.run import Gateway, opened, restore_state
from gateway.wire.clock import SystemClock

ROWS_PER_FRAME = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of a recording."""

    samples: int
    """Samples that are in the log now."""
    ignored: tuple[str, ...]
    """Columns that are neither a tag nor a signal of an asset."""


async def import_recording(config: Config, recording: Recording, *, folder: Path) -> Imported:
    """Run a recording through the pipeline, with the origin `historical`, and checkpoint.

    Args:
        config: Of a gateway that is not running.
        recording: Values in engineering units; an empty cell is no sample.
        folder: That of the configuration file.
    Raises:
        ConfigError: no column is known, or its times do not rise.
        StoreError: the gateway is running, or its disk refuses.
    """
    if np.any(np.diff(recording.time_ns) < 0):
        raise ConfigError("the recording's times go backwards: sort its rows by time")
    async with opened(config, folder=folder, clock=SystemClock()) as gateway:
        await restore_state(gateway)
        positions, tag_index = _known_columns(config, recording, gateway)
        samples = 0
        scale, offset = gateway.table.scale[tag_index], gateway.table.offset[tag_index]
        # The pipeline expects raw numbers, as a connector gives them.
        raw = (recording.value[:, positions] - offset) / scale
        for frame in _frames(recording.time_ns, raw, tag_index):
            samples += len(frame)
            await gateway.pipeline.take_in([frame])
            await gateway.store.room()
        await gateway.pipeline.drain()
    known = {recording.columns[position] for position in positions}
    return Imported(
        samples=samples, ignored=tuple(name for name in recording.columns if name not in known)
    )


def _known_columns(
    config: Config, recording: Recording, gateway: Gateway
) -> tuple[list[int], IndexArray]:
    """Return positions of the columns that are tags or signals, and the tags' positions."""
    tag_by_name = {
        f"{asset}.{role}": TagId(tag)
        for asset, settings in config.twins.items()
        for role, tag in settings.tags.items()
    }
    measured = {tag.id for connector in gateway.parts.connectors for tag in connector.tags}
    found = [
        (position, tag_by_name.get(name, TagId(name)))
        for position, name in enumerate(recording.columns)
        if tag_by_name.get(name, TagId(name)) in measured
    ]
    if not found:
        raise ConfigError(
            "no column of the recording is a tag or a signal of an asset; "
            f"it has {', '.join(recording.columns[:5])} …"
        )
    return [position for position, _ in found], gateway.table.indices([tag for _, tag in found])


def _frames(time_ns: TimeArray, raw: FloatArray, tag_index: IndexArray) -> Iterator[Frame]:
    for first in range(0, len(time_ns), ROWS_PER_FRAME):
        times = time_ns[first : first + ROWS_PER_FRAME]
        value = raw[first : first + ROWS_PER_FRAME].ravel()
        frame = Frame(
            tag_index=np.tile(tag_index, len(times)),
            time_ns=np.repeat(times, len(tag_index)),
            value=value,
            status=status_column(np.zeros(len(value))),
            received_ns=int(times[-1]),
            origin=Origin.HISTORICAL,
        ).where(np.isfinite(value))
        if len(frame):
            yield frame
