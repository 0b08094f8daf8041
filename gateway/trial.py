"""A configuration on trial: does the plant look as well as it did before?

After the change nothing counts for `hold_off_s`: sessions connect, first values come. Then, for
`window_s`, the plant is looked at every second and compared with the moment before the change:
only devices and tags that are in both configurations, and of the tags only those that have said
something since. The mean drop decides. Devices that are new must be connected at the end.

A trial that can no longer end well ends at once.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from gateway.core.settings import Settings
from gateway.core.tags import TagId

LOOK_S = 1.0
"""Time between two looks at the plant."""
NAMES_MAX = 3
"""Devices named in a sentence."""


class ApplySettings(Settings):
    """How a new configuration must prove itself on a running gateway before it stays."""

    metric: Literal["good_tags", "connected_devices"] = "good_tags"
    """What must not drop: the share of tags that are Good and that of connected devices, or only
    the latter, for plants whose tags are Bad now and then."""
    hold_off_s: Annotated[float, Field(ge=0, le=3600)] = 20.0
    """Time after the change that does not count, for sessions to connect."""
    window_s: Annotated[float, Field(gt=0, le=86_400)] = 60.0
    """Time after that over which the shares are averaged; then it is decided."""
    drop_max: Annotated[float, Field(ge=0, le=1)] = 0.02
    """Largest drop of a share that is allowed, 0 to 1."""

    @property
    def trial_s(self) -> float:
        """Longest time until it is decided."""
        return self.hold_off_s + self.window_s


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantHealth:
    """How the devices and their tags are at one moment."""

    devices: Mapping[str, bool]
    """Whether each device is connected, by name."""
    tags: Mapping[TagId, bool | None]
    """Whether each tag is Good and fresh; None when it has said nothing since the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a trial ended."""

    is_kept: bool
    text: str
    """Why, with the figures."""


@dataclass(slots=True)
class _Share:
    """One share over the window, beside what it was before."""

    noun: str
    before: float = 1.0
    now_sum: float = 0.0
    drop_sum: float = 0.0
    count: int = 0

    def add(self, before: Collection[bool], now: Collection[bool]) -> None:
        """Take in one look; without anything to compare it does not count."""
        if not now:
            return
        self.before = sum(before) / len(before)
        share = sum(now) / len(now)
        self.now_sum += share
        self.drop_sum += self.before - share
        self.count += 1

    def drop(self, *, looks_left: int) -> float:
        """Return the mean drop if all that is still to be seen were perfect."""
        best_sum = self.drop_sum + looks_left * (self.before - 1.0)
        return best_sum / max(self.count + looks_left, 1)

    @property
    def text(self) -> str:
        """The share and what it was, in words."""
        if not self.count:
            return f"no {self.noun} to compare"
        return f"{self.now_sum / self.count:.1%} of the {self.noun}, before {self.before:.1%}"


class Trial:
    """Judges one configuration. Pure: the time and what is seen are handed in."""

    def __init__(self, settings: ApplySettings, before: PlantHealth, *, now_ns: int) -> None:
        """Begin a trial.

        Args:
            settings: Of the new configuration.
            before: The plant just before the change.
            now_ns: On the monotonic clock.
        """
        self._settings = settings
        self._before = before
        self._begin_ns = now_ns + int(settings.hold_off_s * 1e9)
        self._end_ns = self._begin_ns + int(settings.window_s * 1e9)
        self._tags = _Share("tags Good")
        self._devices = _Share("devices connected")

    def look(self, now: PlantHealth, *, now_ns: int) -> Verdict | None:
        """Take in the plant as it is; returns the verdict once there is one."""
        if now_ns < self._begin_ns:
            return None
        known = [
            (was, is_good)
            for tag, is_good in now.tags.items()
            if is_good is not None and (was := self._before.tags.get(tag)) is not None
        ]
        self._tags.add([was for was, _ in known], [is_good for _, is_good in known])
        both = [name for name in now.devices if name in self._before.devices]
        self._devices.add(
            [self._before.devices[name] for name in both], [now.devices[name] for name in both]
        )
        looks_left = max(round((self._end_ns - now_ns) / (LOOK_S * 1e9)), 0)
        figures = ", ".join(share.text for share in self._shares())
        if any(x.drop(looks_left=looks_left) > self._settings.drop_max for x in self._shares()):
            allowed = f"{self._settings.drop_max:.1%} less is allowed"
            return Verdict(is_kept=False, text=f"{figures}; {allowed}")
        if now_ns < self._end_ns:
            return None
        fresh = [x for x, ok in now.devices.items() if x not in self._before.devices and not ok]
        if fresh:
            names = ", ".join(fresh[:NAMES_MAX]) + (" …" if len(fresh) > NAMES_MAX else "")
            return Verdict(is_kept=False, text=f"new, and not connected: {names}; {figures}")
        return Verdict(is_kept=True, text=figures)

    def _shares(self) -> tuple[_Share, ...]:
        if self._settings.metric == "connected_devices":
            return (self._devices,)
        return (self._tags, self._devices)
