"""What an alarm watches: the setting a person writes, and the limit it becomes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field, field_validator

from analytics.instants import NS_PER_S
from gateway.core.alarms import AlarmId
from gateway.core.rows import AssetId, OperatingState
from gateway.core.settings import Settings
from gateway.core.tags import TagId

_CONDITION: Final = re.compile(
    r"\s*(?P<name>[\w][\w./:-]*?)\s*(?P<sign>>=|<=|>|<)\s*"
    r"(?P<limit>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
)
_ALARM_NAME: Final = re.compile(r"\s*[\w][\w.-]*(?:/[\w][\w.-]*)?\s*")
STATE_COLUMN: Final = "state"
"""Column in which a twin tells what its asset is doing."""
STATES: Final = {
    "unknown": OperatingState.UNKNOWN,
    "stopped": OperatingState.OFF,
    "starting": OperatingState.STARTING,
    "running": OperatingState.RUNNING,
}
"""The states of an asset in the words of the plant."""


class AlarmSettings(Settings):
    """One alarm of an asset, as a person writes it."""

    when: str
    """Condition, such as `vibration_mm_s > 4.5`: a signal or a computed column of the asset, or
    the full id of any tag, then `>`, `>=`, `<` or `<=`, then the limit in the tag's unit."""
    delay_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    """How long the condition must hold before the alarm is raised, in the time of the data."""
    off_delay_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    """How long the condition must be gone before the alarm returns to normal."""
    dead_band: Annotated[float, Field(ge=0)] = 0.0
    """How far the value must come back from the limit before the condition is gone, in the
    tag's unit."""
    severity: Annotated[int, Field(ge=1, le=1000)] = 500
    """1 (nothing to do) to 1000 (act now), as in OPC UA."""
    text: str = ""
    """One sentence for the technician; empty makes one from the condition."""
    advice: str = ""
    """What to check, such as `check the bearing`; stands behind the text."""
    latch: bool = False
    """Whether it stays when its condition is gone, until a person has acknowledged and reset it."""
    suppress_when: tuple[str, ...] = ()
    """When it means nothing, each by itself: a state of the asset (`stopped`, `starting`,
    `running`, `unknown`), a condition such as `pumps.P101.Maintenance >= 1`, or another alarm, by
    its name at this asset or as `source/condition`."""
    suppress_off_delay_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    """How long it stays suppressed after that has ended."""
    group: str = ""
    """Alarms of one group, such as `K-01-trip`, are numbered in the order in which they come: the
    first one out is the cause. Alarms of several assets may share a group."""

    @field_validator("when")
    @classmethod
    def _is_condition(cls, when: str) -> str:
        if not _CONDITION.fullmatch(when):
            raise ValueError(f'{when!r} is not a condition such as "vibration_mm_s > 4.5"')
        return when

    @field_validator("suppress_when")
    @classmethod
    def _are_suppressors(cls, suppress_when: tuple[str, ...]) -> tuple[str, ...]:
        for text in suppress_when:
            if not _CONDITION.fullmatch(text) and not _ALARM_NAME.fullmatch(text):
                raise ValueError(
                    f'{text!r} is neither a state such as "stopped", nor a condition such as '
                    '"vibration_mm_s > 4.5", nor an alarm such as "motor_tripped"'
                )
        return suppress_when


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppressor:
    """One thing that makes an alarm meaningless while it holds: a tag's value, or an alarm."""

    text: str
    """As the person wrote it."""
    tag: TagId | None = None
    """The tag it watches; None when it is an alarm."""
    states: tuple[int, ...] = ()
    """The numbers of the tag that count; empty when it is a limit."""
    is_above: bool = True
    """Whether it holds above the limit, else below."""
    includes_limit: bool = False
    """Whether the limit itself already counts."""
    limit: float = 0.0
    """In the tag's unit."""
    alarm: AlarmId | None = None
    """The alarm that must be active; None when it is a tag's value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmLimit:
    """One alarm with everything resolved but the tag's position."""

    source: str
    """The asset or device it speaks of."""
    condition: str
    """Its name at that source."""
    tag: TagId
    """The tag it watches."""
    is_above: bool
    """Whether it is raised above the limit, else below."""
    includes_limit: bool
    """Whether the limit itself already counts."""
    limit: float
    """In the tag's unit."""
    dead_band: float
    """Not negative, in the tag's unit."""
    delay_ns: int
    """Not negative."""
    off_delay_ns: int
    """Not negative."""
    severity: int
    """1 to 1000."""
    text: str
    """What holds, in a few words for a person."""
    advice: str
    """What to check; may be empty."""
    latch: bool = False
    """Whether it stays until it was acknowledged and reset."""
    suppressors: tuple[Suppressor, ...] = ()
    """While one of them holds it is suppressed."""
    suppress_off_delay_ns: int = 0
    """Not negative; how long it stays suppressed after that."""
    group: str = ""
    """Whose first-out order it takes part in; empty is none."""

    @property
    def id(self) -> AlarmId:
        """Id of the alarm, `source/condition`."""
        return AlarmId(f"{self.source}/{self.condition}")

    @property
    def tags(self) -> tuple[TagId, ...]:
        """The tag it watches, and those that suppress it."""
        others = (each.tag for each in self.suppressors)
        return (self.tag, *(tag for tag in others if tag is not None))

    @property
    def text_with_advice(self) -> str:
        """What holds and what to check, one sentence."""
        return f"{self.text}; {self.advice}" if self.advice else self.text


def alarm_limit(
    asset: AssetId, condition: str, settings: AlarmSettings, *, signals: Mapping[str, TagId]
) -> AlarmLimit:
    """Return the limit that a setting means for one asset.

    Args:
        asset: Source of the alarm.
        condition: Its name in the configuration, such as `vibration_high`.
        settings: What the person wrote.
        signals: The tag of each signal of the asset. A name that is not among them and has a
            dot is a full tag id; one without a dot is a computed column of the asset.
    """
    found = _condition(settings.when, asset, signals)
    assert found is not None, settings.when
    return AlarmLimit(
        source=asset,
        condition=condition,
        tag=found.tag,
        is_above=found.is_above,
        includes_limit=found.includes_limit,
        limit=found.limit,
        dead_band=settings.dead_band,
        delay_ns=round(settings.delay_s * NS_PER_S),
        off_delay_ns=round(settings.off_delay_s * NS_PER_S),
        severity=settings.severity,
        text=settings.text or found.text,
        advice=settings.advice,
        latch=settings.latch,
        suppressors=_suppressors(settings.suppress_when, asset, signals),
        suppress_off_delay_ns=round(settings.suppress_off_delay_s * NS_PER_S),
        group=settings.group,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Condition:
    """A condition as it was written, with its tag."""

    tag: TagId
    is_above: bool
    includes_limit: bool
    limit: float
    text: str


def _condition(text: str, asset: AssetId, signals: Mapping[str, TagId]) -> _Condition | None:
    """Return the condition that a text means; None when it is none."""
    match = _CONDITION.fullmatch(text)
    if match is None:
        return None
    name, sign = match["name"], match["sign"]
    side = "above" if sign[0] == ">" else "below"
    return _Condition(
        tag=signals.get(name, TagId(name if "." in name else f"{asset}.{name}")),
        is_above=sign[0] == ">",
        includes_limit=sign.endswith("="),
        limit=float(match["limit"]),
        text=f"{name} is {side} {match['limit']}",
    )


def _suppressors(
    texts: Sequence[str], asset: AssetId, signals: Mapping[str, TagId]
) -> tuple[Suppressor, ...]:
    """Return what the texts mean; the states among them are one suppressor."""
    states = [text.strip() for text in texts if text.strip() in STATES]
    found = [_suppressor(text, asset, signals) for text in texts if text.strip() not in STATES]
    if states:
        numbers = tuple(sorted({int(STATES[state]) for state in states}))
        tag = TagId(f"{asset}.{STATE_COLUMN}")
        found.insert(0, Suppressor(text=" or ".join(states), tag=tag, states=numbers))
    return tuple(found)


def _suppressor(text: str, asset: AssetId, signals: Mapping[str, TagId]) -> Suppressor:
    condition = _condition(text, asset, signals)
    if condition is None:
        name = text.strip()
        alarm = AlarmId(name if "/" in name else f"{asset}/{name}")
        return Suppressor(text=f"alarm {alarm}", alarm=alarm)
    return Suppressor(
        text=text.strip(),
        tag=condition.tag,
        is_above=condition.is_above,
        includes_limit=condition.includes_limit,
        limit=condition.limit,
    )
