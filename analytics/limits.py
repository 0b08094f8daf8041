"""What an alarm watches: the setting a person writes, and the limit it becomes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field, field_validator

from analytics.instants import NS_PER_S
from gateway.core.alarms import AlarmId
from gateway.core.rows import AssetId
from gateway.core.settings import Settings
from gateway.core.tags import TagId

_CONDITION: Final = re.compile(
    r"\s*(?P<name>[\w][\w./:-]*?)\s*(?P<sign>>=|<=|>|<)\s*"
    r"(?P<limit>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*"
)


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

    @field_validator("when")
    @classmethod
    def _is_condition(cls, when: str) -> str:
        if not _CONDITION.fullmatch(when):
            raise ValueError(f'{when!r} is not a condition such as "vibration_mm_s > 4.5"')
        return when


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

    @property
    def id(self) -> AlarmId:
        """Id of the alarm, `source/condition`."""
        return AlarmId(f"{self.source}/{self.condition}")

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
    match = _CONDITION.fullmatch(settings.when)
    assert match is not None, settings.when
    name, sign = match["name"], match["sign"]
    tag = signals.get(name, TagId(name if "." in name else f"{asset}.{name}"))
    text = settings.text or f"{name} is {'above' if sign[0] == '>' else 'below'} {match['limit']}"
    return AlarmLimit(
        source=asset,
        condition=condition,
        tag=tag,
        is_above=sign[0] == ">",
        includes_limit=sign.endswith("="),
        limit=float(match["limit"]),
        dead_band=settings.dead_band,
        delay_ns=round(settings.delay_s * NS_PER_S),
        off_delay_ns=round(settings.off_delay_s * NS_PER_S),
        severity=settings.severity,
        text=text,
        advice=settings.advice,
    )
