"""Seven noisy days of a plant of 20 machines: what its sensors say, and what was really wrong.

Values come once a minute; while a contact flaps or the plant trips, those tags come by the second.
Everything follows from one seed. What is really wrong is noted as it is made, so that a test can
ask whether anybody was told.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from analytics.limits import AlarmLimit, AlarmSettings, alarm_limit
from gateway.core.alarms import AlarmId
from gateway.core.rows import AssetId
from gateway.core.tags import TagId

MINUTE = 60
DAY = 86_400
WEEK = 7 * DAY
START_S = 1_700_000_000 // DAY * DAY
ASSETS = tuple(AssetId(f"M-{k:02d}") for k in range(20))
RUNNING, STOPPED = 3.0, 1.0
NORMAL = {
    "temperature_a": (70.0, 1.0),
    "temperature_b": (70.0, 1.5),
    "temperature_c": (60.0, 2.0),
    "pressure_a": (9.0, 0.25),
    "pressure_b": (9.1, 0.25),
    "contact": (0.0, 0.0),
    "flow": (20.0, 1.0),
    "level": (50.0, 3.0),
    "trip": (0.0, 0.0),
    "vibration": (2.0, 0.3),
}
"""Mean and spread of each signal while all is well."""
ALARMS: dict[str, dict[str, object]] = {
    "temperature_a_high": {"when": "temperature_a > 85", "severity": 600},
    "temperature_b_high": {"when": "temperature_b > 85", "severity": 300},
    "temperature_c_high": {"when": "temperature_c > 85", "severity": 300},
    "pressure_a_high": {"when": "pressure_a > 10", "severity": 400, "dead_band": 0.5},
    "pressure_b_high": {"when": "pressure_b > 10", "severity": 400, "dead_band": 0.5},
    "level_high": {"when": "level > 80", "severity": 300},
    "level_low": {"when": "level < 20", "severity": 300},
    "flow_low": {
        "when": "flow < 2",
        "severity": 650,
        "suppress_when": ["stopped", "starting"],
        "suppress_off_delay_s": 90,
    },
    "contact_open": {"when": "contact >= 1", "severity": 300, "delay_s": 0, "off_delay_s": 0},
    "tripped": {
        "when": "trip >= 1",
        "severity": 800,
        "delay_s": 0,
        "latch": True,
        "group": "plant-trip",
    },
    "vibration_high": {
        "when": "vibration > 7",
        "severity": 500,
        "delay_s": 0,
        "group": "plant-trip",
    },
}
EXCURSIONS = {
    "temperature_a_high": ("temperature_a", 95.0),
    "temperature_b_high": ("temperature_b", 92.0),
    "temperature_c_high": ("temperature_c", 90.0),
    "pressure_a_high": ("pressure_a", 12.0),
    "pressure_b_high": ("pressure_b", 12.5),
    "level_high": ("level", 95.0),
    "level_low": ("level", 5.0),
    "flow_low": ("flow", 0.5),
}
"""What a real trouble does to a signal, by the alarm that is there for it."""

Sample = tuple[str, float, float]
"""Tag, time in s, value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that is really wrong."""

    alarm: AlarmId
    from_s: float
    to_s: float


@dataclass
class NoisyWeek:
    """The week, made once."""

    seed: int
    days: int = 7
    troubles: list[Trouble] = field(default_factory=list)
    flapping: list[tuple[AssetId, float, float]] = field(default_factory=list)
    """Contacts that flap by the second: asset, begin and end."""
    trips_s: list[float] = field(default_factory=list)
    rows: dict[str, np.ndarray] = field(default_factory=dict)
    """Value of each tag in each minute."""
    quick: list[Sample] = field(default_factory=list)
    """What comes in between."""

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        self.minutes = self.days * DAY // MINUTE
        self._make_normal()
        self._make_troubles()
        self._make_flapping()
        self._make_trips()
        self.quick.sort(key=lambda sample: sample[1])

    def limits(self) -> list[AlarmLimit]:
        return [
            alarm_limit(asset, name, _settings(fields), signals=_signals(asset))
            for asset in ASSETS
            for name, fields in ALARMS.items()
        ]

    def tags(self) -> list[str]:
        return list(self.rows)

    def frames(self) -> Iterator[list[Sample]]:
        """Yield the frames in order: all tags once a minute, and the quick ones by themselves."""
        quick = iter([*self.quick, ("", START_S + WEEK + DAY, 0.0)])
        following = next(quick)
        tags, values = list(self.rows), np.stack(list(self.rows.values()), axis=1)
        for minute in range(self.minutes):
            time_s = float(START_S + minute * MINUTE)
            while following[1] < time_s:
                yield [following]
                following = next(quick)
            yield [(tag, time_s, float(v)) for tag, v in zip(tags, values[minute], strict=True)]

    def _make_normal(self) -> None:
        clock_s = np.arange(self.minutes) * MINUTE % DAY
        is_day_shift = (clock_s >= 6 * 3600) & (clock_s < 22 * 3600)
        for k, asset in enumerate(ASSETS):
            stops = ~is_day_shift if k % 2 else np.zeros(self.minutes, dtype=np.bool_)
            for begin in self.random.integers(0, self.minutes - 200, size=self.days):
                stops = stops.copy()
                stops[begin : begin + self.random.integers(10, 90)] = True
            for signal, (mean, spread) in NORMAL.items():
                noise = self.random.normal(size=self.minutes) * spread
                self.rows[_tag(asset, signal)] = mean + noise + is_day_shift * (spread * 1.0)
            self.rows[_tag(asset, "flow")][stops] = 0.0
            self.rows[_tag(asset, "contact")][:] = 0.0
            self.rows[_tag(asset, "trip")][:] = 0.0
            self.rows[f"{asset}.state"] = np.where(stops, STOPPED, RUNNING)

    def _make_troubles(self) -> None:
        """Ten to sixty minutes of real trouble, some of them several at once."""
        names, taken = list(EXCURSIONS), list[tuple[str, int, int]]()
        for _ in range(30 * self.days):
            asset = ASSETS[self.random.integers(len(ASSETS))]
            name = names[self.random.integers(len(names))]
            begin = int(self.random.integers(0, self.minutes - 70))
            length = int(self.random.integers(10, 60))
            signal, value = EXCURSIONS[name]
            span = _tag(asset, signal), begin - 5, begin + length + 5
            if any(tag == span[0] and a < span[2] and span[1] < b for tag, a, b in taken):
                continue  # one trouble at a time on a signal
            taken.append(span)
            self.rows[_tag(asset, signal)][begin : begin + length] = value
            self._note(asset, name, START_S + begin * MINUTE, length * MINUTE)

    def _make_flapping(self) -> None:
        """Contacts that come and go every few seconds for an hour, and some that do it slowly."""
        for k in range(8 * self.days):
            asset = ASSETS[self.random.integers(len(ASSETS))]
            begin_s = START_S + float(self.random.integers(0, self.days * DAY - 3 * 3600)) + 0.5
            is_quick = k % 2 == 0
            length_s = float(self.random.integers(600, 5400) if is_quick else 700)
            time_s, value = begin_s, 1.0
            while time_s < begin_s + length_s:
                self.quick.append((_tag(asset, "contact"), time_s, value))
                step_s = self.random.integers(3, 16) if is_quick else self.random.integers(70, 300)
                time_s, value = time_s + float(step_s), 1.0 - value
            self.quick.append((_tag(asset, "contact"), time_s, 0.0))
            if is_quick:
                self.flapping.append((asset, begin_s, time_s))
            self._silence_minutes(_tag(asset, "contact"), begin_s, time_s)

    def _make_trips(self) -> None:
        """The plant trips: forty alarms in a minute, the first of them on one machine."""
        for day in range(1, self.days, 3):
            begin_s = START_S + day * DAY + 14 * 3600 + 0.25
            order = self.random.permutation(len(ASSETS))
            for place, k in enumerate(order):
                tripped_s = begin_s + (0 if place == 0 else float(self.random.integers(1, 50)))
                shaking_s = tripped_s + float(self.random.integers(1, 10))
                for signal, name, value, since_s in (
                    ("trip", "tripped", 1.0, tripped_s),
                    ("vibration", "vibration_high", 11.0, shaking_s),
                ):
                    self.quick.append((_tag(ASSETS[k], signal), since_s, value))
                    first = int((since_s - START_S) // MINUTE) + 1
                    self.rows[_tag(ASSETS[k], signal)][first : first + 20] = value
                    self._note(ASSETS[k], name, since_s, 20 * MINUTE)
            self.trips_s.append(begin_s)

    def _silence_minutes(self, tag: str, from_s: float, to_s: float) -> None:
        """Let the minutes tell what the contact last said in between."""
        own = [sample for sample in self.quick if sample[0] == tag]
        for minute in range(int((from_s - START_S) // MINUTE), int((to_s - START_S) // MINUTE) + 1):
            time_s = START_S + minute * MINUTE
            before = [value for _, at_s, value in own if from_s <= at_s <= time_s]
            if before and minute < self.minutes:
                self.rows[tag][minute] = before[-1]

    def _note(self, asset: AssetId, name: str, from_s: float, length_s: float) -> None:
        self.troubles.append(
            Trouble(alarm=AlarmId(f"{asset}/{name}"), from_s=from_s, to_s=from_s + length_s)
        )


def _settings(fields: dict[str, object]) -> AlarmSettings:
    usual = {"delay_s": 120, "off_delay_s": 180, "dead_band": 1.0 if "dead_band" in fields else 0.0}
    return AlarmSettings.model_validate({**usual, **fields})


def _signals(asset: AssetId) -> dict[str, TagId]:
    return {signal: TagId(_tag(asset, signal)) for signal in NORMAL}


def _tag(asset: AssetId, signal: str) -> str:
    return f"line{ASSETS.index(asset) % 4}.{asset}.{signal}"
