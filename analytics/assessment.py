"""Health and prognosis of each asset, from all that was found out about it.

Two blocks of ISO 13374-1. *Health assessment*: each finding (what the physics does not explain,
how unlike before the asset behaves, the vibration's zone) is brought to one scale, and the worst
one is the health: a machine fails by its weakest part, and an average would hide it. The findings
that are worse than normal are the reasons. *Prognostics*: what a model that has seen lives to
their end tells, where wear shows to it (`analytics.prognosis`); else a health that falls is
followed to the limit (`analytics.trend`), or nobody can tell.

The findings are derived samples, of whatever stage: the assessment knows tags and not stages.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.trend import Trends
from gateway.core.arrays import (
    BoolArray,
    FloatArray,
    IndexArray,
    StatusArray,
    TimeArray,
    index_column,
)
from gateway.core.frame import Frame
from gateway.core.prognosis import RUL_COLUMNS, Prognosis
from gateway.core.quality import Status, is_bad, is_good
from gateway.core.rows import AssetId
from gateway.core.tags import Tag, TagId, TagTable
from gateway.core.twin_state import TwinState

HEALTH_INDEX: Final = "health_index"
REMAINING: Final = "remaining_h"
REMAINING_LOW: Final = "remaining_low_h"
REMAINING_HIGH: Final = "remaining_high_h"
OWN_COLUMNS: Final = (HEALTH_INDEX, REMAINING, REMAINING_LOW, REMAINING_HIGH)
"""Derived tags of every asset."""
FAILED_HEALTH: Final = 0.2
"""Where a falling health counts as failed: by then a machine is to be stopped."""
NORMAL_HEALTH: Final = 0.9
"""A finding above it is no reason."""
CHANGE_MIN: Final = 0.005
"""The index is written when it has moved by so much, or after `WRITE_S`."""
WRITE_S: Final = 60.0
PROGNOSES_MAX: Final = 4
"""Prognoses in one update: each takes a tenth of a millisecond, and none is urgent."""
STALE_S: Final = 600.0
"""A finding that was not heard of for so long counts for nothing."""

_S_PER_H: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A derived figure of an asset that says something of its health."""

    column: str
    """Name of the tag behind the asset's."""
    words: str
    """What a bad value means, in a few words."""
    health: Callable[[FloatArray], FloatArray]
    """The health that belongs to its values, 0 to 1; same shape."""


def physics_health(value: FloatArray) -> FloatArray:
    """Return the health that a twin's residuals give: it is one already."""
    return value


def score_health(value: FloatArray) -> FloatArray:
    """Return the health that an anomaly score gives: a half at the alarm, 1 well below it."""
    over = np.maximum(value - 0.6, 0.0) / 0.4
    return np.asarray(1.0 / (1.0 + over**2))


def zone_health(value: FloatArray) -> FloatArray:
    """Return the health of the zones 1 (A) to 4 (D) of ISO 20816: C is a half, D a fifth."""
    return np.interp(value, [1.0, 2.0, 3.0, 4.0], [1.0, 0.9, 0.5, 0.2])


PHYSICS: Final = Finding(
    column="health", words="is not what the physics expects", health=physics_health
)
SCORE: Final = Finding(
    column="anomaly_score", words="behaves unlike the healthy machine", health=score_health
)


def vibration_zone(column: str) -> Finding:
    """Return the finding that a vibration sensor's zone is."""
    return Finding(column=column, words="vibrates more than it should", health=zone_health)


class Assessment:
    """Assesses all assets of a gateway; implements the port `Assessor`."""

    def __init__(self, findings: Sequence[tuple[AssetId, Finding]]) -> None:
        """Begin with nothing known.

        Args:
            findings: All that there can be, by asset.
        """
        self._assets = tuple(dict.fromkeys(asset for asset, _ in findings))
        self._findings = tuple(findings)
        count = len(self._findings)
        position = {asset: k for k, asset in enumerate(self._assets)}
        self._kinds = tuple(dict.fromkeys(finding for _, finding in findings))
        self._kind_of: IndexArray = index_column(
            [self._kinds.index(finding) for _, finding in findings]
        )
        self._asset_of: IndexArray = index_column([position[asset] for asset, _ in findings])
        self._health: FloatArray = np.full(count, np.nan)
        self._heard_ns = np.zeros(count, dtype=np.int64)
        self._written: FloatArray = np.full(len(self._assets), np.nan)
        self._written_ns = np.zeros(len(self._assets), dtype=np.int64)
        self._trends = Trends(asset_count=len(self._assets))
        self._remaining: FloatArray = np.full((len(self._assets), 3), np.nan)
        self._lives: FloatArray = np.full((len(self._assets), len(RUL_COLUMNS)), np.nan)
        self._waiting: BoolArray = np.zeros(len(self._assets), dtype=np.bool_)
        self._finding_of_tag: IndexArray = index_column([])
        self._life_of_tag: IndexArray = index_column([])
        self._own: IndexArray = index_column([])

    @property
    def derived_tags(self) -> tuple[Tag, ...]:
        """`asset.health_index` and what is left, in hours, for each asset."""
        return tuple(
            Tag(
                id=TagId(f"{asset}.{column}"),
                is_derived=True,
                unit="" if column == HEALTH_INDEX else "h",
            )
            for asset in self._assets
            for column in OWN_COLUMNS
        )

    def bind(self, table: TagTable) -> None:
        """Resolve tag ids to positions; a finding whose tag is not there never comes."""
        place = np.full(len(table.tags), -1, dtype=np.int32)
        for k, (asset, finding) in enumerate(self._findings):
            tag = TagId(f"{asset}.{finding.column}")
            if tag in table:
                place[table.index(tag)] = k
        self._finding_of_tag = place
        self._life_of_tag = np.full(len(table.tags), -1, dtype=np.int32)
        for k, asset in enumerate(self._assets):
            for c, column in enumerate(RUL_COLUMNS):
                tag = TagId(f"{asset}.{column}")
                if tag in table:
                    self._life_of_tag[table.index(tag)] = k * len(RUL_COLUMNS) + c
        self._own = table.indices([tag.id for tag in self.derived_tags])

    def update(self, frame: Frame) -> Frame | None:
        """Take in derived samples and return what follows from them; None is nothing new."""
        place = self._finding_of_tag[frame.tag_index]
        at = np.flatnonzero(place >= 0)
        life = self._life_of_tag[frame.tag_index]
        of_lives = np.flatnonzero(life >= 0)
        if not len(at) + len(of_lives):
            return None
        self._hear(place[at], frame.value[at], frame.status[at], frame.time_ns[at])
        heard = self._hear_lives(life[of_lives], frame.value[of_lives], frame.status[of_lives])
        time_ns = int(frame.time_ns[np.concatenate([at, of_lives])].max())
        index = self._index(time_ns)
        known = np.isfinite(index)
        self._waiting |= self._trends.update(time_ns, index, known)
        told = np.flatnonzero(self._waiting)[:PROGNOSES_MAX]
        self._waiting[told] = False
        for k in told:
            self._remaining[k] = (
                np.array(self._trends.remaining_s(int(k), FAILED_HEALTH)) / _S_PER_H
            )
        moved = np.abs(index - self._written) >= CHANGE_MIN
        moved |= known != np.isfinite(self._written)
        moved |= time_ns - self._written_ns >= int(WRITE_S * 1e9)
        moved[told] = True
        moved |= heard
        if not moved.any():
            return None
        self._written[moved] = index[moved]
        self._written_ns[moved] = time_ns
        return self._frame(frame, moved, index, time_ns)

    def explain(self, state: TwinState) -> TwinState:
        """Return the state with health, reasons and prognosis of all findings together."""
        if state.asset not in self._assets:
            return state
        k = self._assets.index(state.asset)
        time, low, high = (float(hours) for hours in self._left()[k])
        prognosis = (
            None if np.isnan(time) else Prognosis(hours=time, low_hours=low, high_hours=high)
        )
        mine = np.flatnonzero((self._asset_of == k) & np.isfinite(self._health))
        if not len(mine):
            return replace(state, prognosis=prognosis)
        worst_first = mine[np.argsort(self._health[mine], kind="stable")]
        return replace(
            state,
            health=float(self._health[worst_first[0]]),
            reasons=tuple(
                self._findings[f][1].words for f in worst_first if self._health[f] < NORMAL_HEALTH
            ),
            prognosis=prognosis,
        )

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set."""
        self._heard_ns[self._heard_ns > 0] += shift_ns
        self._written_ns[self._written_ns > 0] += shift_ns
        self._trends.rebase(shift_ns)

    def checkpoint(self) -> bytes:
        """Return all that `restore` needs to go on exactly from here."""
        return json.dumps(
            {"findings": self._names(), **{k: v.tolist() for k, v in self._arrays().items()}}
        ).encode()

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint.

        Raises:
            ValueError: it was made of other findings; the state is unchanged.
        """
        content = json.loads(checkpoint)
        if content.pop("findings") != self._names() or content.keys() != self._arrays().keys():
            raise ValueError("the checkpoint of the assessment is of other assets or findings")
        for name, array in self._arrays().items():
            array[...] = np.array(content[name], dtype=array.dtype).reshape(array.shape)

    def _hear(
        self, place: IndexArray, value: FloatArray, status: StatusArray, time_ns: TimeArray
    ) -> None:
        """Note findings; of several of one, the last counts."""
        usable = ~is_bad(status) & np.isfinite(value)
        for kind, finding in enumerate(self._kinds):
            mine = self._kind_of[place] == kind
            health = finding.health(np.where(usable[mine], value[mine], np.nan))
            self._health[place[mine]] = health
        self._heard_ns[place] = time_ns

    def _hear_lives(self, place: IndexArray, value: FloatArray, status: StatusArray) -> BoolArray:
        """Note what a model tells of remaining lives; returns the assets it is told of.

        It counts while it is Good, until the model takes it back. An upper end that is not means
        *or more*.
        """
        asset, column = np.divmod(place, len(RUL_COLUMNS))
        otherwise = np.where(column == len(RUL_COLUMNS) - 1, np.inf, np.nan)
        self._lives[asset, column] = np.where(is_good(status), value, otherwise)
        heard = np.zeros(len(self._assets), dtype=np.bool_)
        heard[asset] = True
        return heard

    def _left(self) -> FloatArray:
        """Return what is left of each asset in hours and its ends, shape (n, 3)."""
        is_told: BoolArray = np.isfinite(self._lives[:, 0]) & np.isfinite(self._lives[:, 1])
        return np.where(is_told[:, np.newaxis], self._lives, self._remaining)

    def _index(self, time_ns: int) -> FloatArray:
        """Return the worst health of each asset, shape (n,); NaN where nothing is known."""
        fresh = time_ns - self._heard_ns < int(STALE_S * 1e9)
        worst: FloatArray = np.full(len(self._assets), np.inf)
        usable = fresh & np.isfinite(self._health)
        np.minimum.at(worst, self._asset_of[usable], self._health[usable])
        return np.where(np.isinf(worst), np.nan, worst)

    def _frame(self, frame: Frame, moved: BoolArray, index: FloatArray, time_ns: int) -> Frame:
        value = np.concatenate([index[moved, np.newaxis], self._left()[moved]], axis=1)
        status = np.where(
            np.isfinite(value), Status.GOOD, Status.BAD_WAITING_FOR_INITIAL_DATA
        ).astype(np.uint32)
        own = self._own.reshape(-1, len(OWN_COLUMNS))[moved]
        return Frame(
            tag_index=own.ravel(),
            time_ns=np.full(own.size, time_ns, dtype=np.int64),
            value=np.where(np.isfinite(value), value, np.nan).ravel(),
            status=status.ravel(),
            received_ns=frame.received_ns,
            arrival_ns=frame.arrival_ns,
            origin=frame.origin,
            is_received=False,
            clock=frame.clock,
        )

    def _names(self) -> list[str]:
        return [f"{asset}.{finding.column}" for asset, finding in self._findings]

    def _arrays(self) -> dict[str, NDArray[np.generic]]:
        return {
            "health": self._health,
            "heard_ns": self._heard_ns,
            "written": self._written,
            "written_ns": self._written_ns,
            "remaining": self._remaining,
            "lives": self._lives,
            "waiting": self._waiting,
            "trend_total": self._trends.total,
            "trend_count": self._trends.count,
            "trend_began_ns": self._trends.began_ns,
            "trend_width_s": self._trends.width_s,
        }
