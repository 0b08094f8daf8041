"""Hosts of remaining life with a small model in hours, and lives played to them row by row."""

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np

from analytics.prognosis.host import LifeHost
from gateway.core.arrays import frozen
from gateway.core.frame import Frame, Origin
from gateway.core.quality import Status
from gateway.core.rows import AssetId, OperatingState, Rows
from gateway.core.rul_manifest import RulManifest
from gateway.core.tags import ConfigEpoch, TagTable
from gateway.wire.bundle import Bundle, write_bundle
from tests.analytics.lives import CAP, COLUMNS, life, trained
from tests.analytics.models import Stopwatch

ASSETS = (AssetId("M-1"), AssetId("M-2"))
NAME = "machine-life"
TYPE = "machine"
HOUR_NS = 3_600_000_000_000
T0_NS = 1_767_225_600 * 10**9
RUNNING = OperatingState.RUNNING


@cache
def life_bundle(version: str = "1.0", **changes: object) -> bytes:
    """The bytes of a bundle in hours, a row an hour; fields of its manifest may be changed."""
    whole = trained().bundle
    assert isinstance(whole.manifest, RulManifest)
    manifest = whole.manifest.model_copy(
        update={"time_unit": "hour", "version": version, **changes}
    )
    return write_bundle(Bundle(manifest=manifest, model=whole.model, canary=None))


def pessimist(version: str = "1.1") -> bytes:
    """A version that tells much less than is left, and is sure of it."""
    manifest = trained().bundle.manifest
    assert isinstance(manifest, RulManifest)
    intervals = manifest.intervals.model_copy(
        update={"at": (0.0, CAP), "below": (0.0, -0.8 * CAP), "above": (0.0, -0.75 * CAP)}
    )
    return life_bundle(version, intervals=intervals)


def life_host(
    *versions: bytes, assets: Sequence[AssetId] = ASSETS, columns: Sequence[str] = COLUMNS
) -> LifeHost:
    """A bound host; of the versions given, the first is active, the second a candidate."""
    made = LifeHost(
        model_name=NAME,
        asset_type=TYPE,
        assets=assets,
        columns=columns,
        monotonic_ns=Stopwatch(),
    )
    made.bind(table_of(made))
    if versions:
        made.activate(versions[0])
    for candidate in versions[1:]:
        made.set_candidate(candidate)
    return made


def table_of(host: LifeHost) -> TagTable:
    return TagTable.build(host.derived_tags, epoch=ConfigEpoch(1))


def life_rows(
    seeds: Sequence[int] = (100, 101),
    *,
    begin: int = 0,
    end: int = 10_000,
    state: OperatingState = RUNNING,
    status: Status = Status.GOOD,
    origin: Origin = Origin.LIVE,
    per_hour: int = 1,
) -> list[Rows]:
    """Rows of whole lives side by side, as long as the shortest; between hours, they stand."""
    lives = [life(seed) for seed in seeds]
    count = min(end, *(len(each.time) for each in lives))
    return [
        rows_at(
            k + part / per_hour,
            np.array([each.value[k] for each in lives]),
            state=[state] * len(seeds),
            status=status,
            origin=origin,
        )
        for k in range(begin, count)
        for part in range(per_hour)
    ]


def rows_at(
    hour: float,
    value: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    *,
    state: Sequence[OperatingState] = (RUNNING, RUNNING),
    status: Status = Status.GOOD,
    origin: Origin = Origin.LIVE,
) -> Rows:
    """Rows of all assets at one hour; value of shape (n, m)."""
    time_ns = T0_NS + round(hour * HOUR_NS)
    return Rows(
        asset_type=TYPE,
        assets=ASSETS[: len(value)],
        columns=COLUMNS,
        time_ns=time_ns,
        value=frozen(value.copy()),
        status=frozen(np.full(value.shape, status, dtype=np.uint32)),
        state=frozen(np.array(state, dtype=np.uint8)),
        received_ns=time_ns,
        arrival_ns=7,
        origin=origin,
    )


def run(host: LifeHost, rows: Iterable[Rows]) -> list[Frame]:
    """The frames that came of these rows."""
    return [frame for each in rows if (frame := host.update(each)) is not None]


def newest(host: LifeHost, frames: Sequence[Frame], tag: str) -> tuple[float, int]:
    """The last value and status of a tag in these frames."""
    index = [each.id for each in host.derived_tags].index(tag)  # type: ignore[arg-type]  # an id
    for frame in reversed(frames):
        at = np.flatnonzero(frame.tag_index == index)
        if len(at):
            return float(frame.value[at[-1]]), int(frame.status[at[-1]])
    raise AssertionError(f"nothing was told of {tag}")
