"""The state of all alarms as a checkpoint, also one that an older gateway made. Pure.

What a comparator remembers has its meaning from the limit: where that has changed the alarm begins
anew. What a person decided has not: an alarm that was shelved or taken out of service stays so
under its id, whatever became of its limit.
"""

import json
from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from hashlib import blake2b
from typing import Final

import numpy as np
from pydantic import TypeAdapter

from analytics.alarms.flood import FloodWatch
from analytics.alarms.journal import Journal
from analytics.alarms.lifecycle import Standing
from analytics.alarms.sensing import Sensing
from analytics.alarms.watches import Watches
from analytics.comparators import Comparators
from analytics.limits import AlarmLimit
from gateway.core.alarms import AlarmState

_STANDING_CODEC: Final = TypeAdapter(list[Standing])
_COMPARED: Final = (
    "is_on",
    "is_beyond",
    "is_known",
    "since_ns",
    "resumed_ns",
    "newest_ns",
    "value",
)
"""The arrays of `Comparators` that change and that every checkpoint has."""
_HELD: Final = "is_held"
_WENT_ON: Final = "went_on_ns"
_DEFAULTS: Final = {
    field.name: field.default for field in fields(AlarmLimit) if field.default is not MISSING
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Remembered:
    """All that changes in a board; `restore` writes into it."""

    limits: tuple[AlarmLimit, ...]
    watches: Watches
    sensing: Sensing
    standing: list[Standing]
    flood: FloodWatch
    journal: Journal


def pack(board: Remembered) -> bytes:
    """Return all that `restore` needs to go on exactly from here."""
    sensing, comparators = board.sensing, board.sensing.comparators
    content = {
        "limits": _limit_digests(board.limits),
        "ids": [limit.id for limit in board.limits],
        "suppressors": _suppressor_digests(board.watches),
        "now_ns": {name: int(sensing.now_ns[k]) for name, k in sensing.clocks.items()},
        "comparators": {
            name: getattr(comparators, name).tolist() for name in (*_COMPARED, _HELD, _WENT_ON)
        },
        "standing": _STANDING_CODEC.dump_python(board.standing, mode="json"),
        "flood": board.flood.save(),
        "journal": board.journal.save(),
    }
    return json.dumps(content).encode()


def unpack(board: Remembered, checkpoint: bytes) -> None:
    """Put a board where it was.

    Raises:
        ValueError: another version made it; the board is unchanged.
    """
    content = json.loads(checkpoint)
    if "limits" not in content:
        raise ValueError("the checkpoint of the alarms is of another version")
    standing = [
        _of_this_version(each) for each in _STANDING_CODEC.validate_python(content["standing"])
    ]
    count, former_count = len(board.limits), len(content["limits"])
    alarms = _pairs(_limit_digests(board.limits), content["limits"])
    others = _pairs(_suppressor_digests(board.watches), content.get("suppressors", []))
    kept = [*alarms, *((count + here, former_count + there) for here, there in others)]
    sensing = board.sensing
    for name, k in sensing.clocks.items():
        sensing.now_ns[k] = content["now_ns"].get(name, sensing.now_ns[k])
    _restore_comparators(sensing.comparators, content["comparators"], kept)
    former = {name: k for k, name in enumerate(content.get("ids", []))}
    for here, limit in enumerate(board.limits):
        if limit.id in former:
            _take_decision(board.standing[here], standing[former[limit.id]])
    for here, there in alarms:
        board.standing[here] = standing[there]
    _agree_on_suppression(board)
    if "flood" in content:
        board.flood.load(**content["flood"])
        board.journal.load(**content["journal"])


def _restore_comparators(
    comparators: Comparators, saved: dict[str, list[object]], kept: Sequence[tuple[int, int]]
) -> None:
    here, there = [pair[0] for pair in kept], [pair[1] for pair in kept]
    for name in (*_COMPARED, _HELD):
        if name in saved:
            remembered = getattr(comparators, name)
            remembered[here] = np.array(saved[name], dtype=remembered.dtype)[there]
    if _WENT_ON in saved and kept:
        # With another rule there may be room for fewer times, or for more: the newest stand last.
        went_on_ns = np.array(saved[_WENT_ON], dtype=np.int64)[there]
        same = min(went_on_ns.shape[1], comparators.went_on_ns.shape[1])
        if same:
            comparators.went_on_ns[here, -same:] = went_on_ns[:, -same:]
    if not comparators.went_on_ns.shape[1]:
        comparators.is_held[:] = False


def _of_this_version(standing: Standing) -> Standing:
    """Return it with its silence apart from its state, which were one before."""
    if standing.state is AlarmState.SHELVED:
        standing.state = AlarmState.NORMAL
    return standing


def _take_decision(here: Standing, former: Standing) -> None:
    """Keep what a person decided about an alarm that begins anew."""
    here.is_out_of_service = former.is_out_of_service
    here.shelved_until_ns = former.shelved_until_ns
    if here.is_silent:
        here.silenced_since_ns = former.silenced_since_ns
        here.silenced_by, here.silenced_reason = former.silenced_by, former.silenced_reason


def _agree_on_suppression(board: Remembered) -> None:
    """Let every alarm be suppressed exactly when a suppressor holds, after some of them changed.

    One whose suppressor is gone begins anew: what it withheld is raised if it still holds.
    """
    comparators = board.sensing.comparators
    for k, suppressors in enumerate(board.watches.suppressed_by):
        standing = board.standing[k]
        holding = [(place, text) for place, text in suppressors if comparators.is_on[place]]
        if bool(holding) == standing.is_suppressed:
            continue
        if holding:
            if not standing.is_silent:
                place, text = holding[0]
                standing.silence(time_ns=int(comparators.since_ns[place]), reason=text)
            standing.is_suppressed = True
            continue
        standing.is_suppressed = False
        comparators.forget(k)
        if not standing.is_silent:
            standing.speak()


def _pairs(here: Sequence[str], there: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of what is the same here and there."""
    places = {digest: k for k, digest in enumerate(there)}
    return [(k, places[digest]) for k, digest in enumerate(here) if digest in places]


def _limit_digests(limits: Sequence[AlarmLimit]) -> list[str]:
    """Return for each alarm a digest of what gives its remembered values their meaning.

    An option at its default is left out, so that one which is new changes nothing.
    """
    return [
        _digest(
            {
                name: value
                for name, value in asdict(limit).items()
                if name not in _DEFAULTS or value != _DEFAULTS[name]
            }
        )
        for limit in limits
    ]


def _suppressor_digests(watches: Watches) -> list[str]:
    return [_digest(asdict(watch)) for watch in watches.all[watches.alarm_count :]]


def _digest(content: dict[str, object]) -> str:
    return blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()
