"""A hundred pumps with a thousand tags, and frames of them that never end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.alarms import AlarmRules, LimitAlarms
from analytics.defaults import default_alarms
from analytics.limits import AlarmLimit, AlarmSettings, alarm_limit
from analytics.multivariate import AnomalyDetector
from analytics.training.anomaly import Purpose, train_anomaly
from gateway.core.arrays import FloatArray, IndexArray, index_column, status_column
from gateway.core.frame import Frame
from gateway.core.ports import Clock
from gateway.core.rows import AssetId
from gateway.core.tags import Tag, TagId
from gateway.wire.bundle import write_bundle
from twins import AssetTwin, CentrifugalPumpSettings, TwinSettings, build_twins

PUMP_COUNT: Final = 100
SIGNALS: Final = {
    "speed_rpm": 2950.0,
    "flow_m3h": 80.0,
    "suction_pressure_bar": 0.4,
    "discharge_pressure_bar": 5.3,
    "filter_dp_bar": 0.1,
    "current_a": 28.0,
    "bearing_temperature_degc": 42.0,
    "fluid_temperature_degc": 25.0,
    "ambient_temperature_degc": 20.0,
    "vibration_mm_s": 1.5,
}
"""A pump near its rated point."""
TAG_COUNT: Final = PUMP_COUNT * len(SIGNALS)
SCALE: Final = 0.1
"""Raw numbers are tenths, as registers often are."""
NOISE: Final = 0.002
LIMIT_SHARE: Final = 1.2
"""Each tag's limit, as a part of its usual value."""
DEAD_BAND_SHARE: Final = 0.01
"""Of each alarm, as a part of the usual value."""
NS_PER_S: Final = 1_000_000_000

_ASSETS: Final = tuple(AssetId(f"P-{number:03d}") for number in range(PUMP_COUNT))
_TRAINING_ROWS: Final = 600
_PATTERNS: Final = 16
"""Different frames that are shown in turn."""


RULES: Final = AlarmRules(chatter_raises=0)
"""Every frame switches an alarm: held ones would decide nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpChain:
    """Fresh twins, their detector with a model in force, and their alarms."""

    twin: AssetTwin
    detector: AnomalyDetector
    board: LimitAlarms

    @property
    def derived_tags(self) -> tuple[Tag, ...]:
        """Everything the chain computes."""
        return (*self.twin.derived_tags, *self.detector.derived_tags)


def measured_tags() -> tuple[Tag, ...]:
    """Return the tags of all pumps, one pump after the other."""
    return tuple(
        Tag(id=tag_of(asset, role), low=-usual, high=10 * usual, scale=SCALE)
        for asset in _ASSETS
        for role, usual in SIGNALS.items()
    )


def tag_of(asset: str, role: str) -> TagId:
    """Return the tag of one signal."""
    return TagId(f"plant.{asset}.{role}")


def limits() -> tuple[AlarmLimit, ...]:
    """Return one alarm for each tag, without delay."""
    return tuple(
        alarm_limit(
            asset,
            f"{role}_high",
            AlarmSettings(
                when=f"{role} > {LIMIT_SHARE * usual:g}", dead_band=DEAD_BAND_SHARE * usual
            ),
            signals={role: tag_of(asset, role) for role in SIGNALS},
        )
        for asset in _ASSETS
        for role, usual in SIGNALS.items()
    )


def new_chain(clock: Clock) -> PumpChain:
    """Build the chain as the service does, with a model trained on the spot."""
    settings: dict[AssetId, TwinSettings] = {
        asset: CentrifugalPumpSettings.model_validate(
            {
                "tags": {role: tag_of(asset, role) for role in SIGNALS},
                "commissioning_rows": 0,
                "settling_s": 0,
            }
        )
        for asset in _ASSETS
    }
    (twin,) = build_twins(settings)
    detector = AnomalyDetector(
        model_name="bench",
        asset_type=twin.asset_type,
        assets=twin.assets,
        columns=twin.columns,
        monotonic_ns=clock.monotonic_ns,
    )
    detector.activate(_model([name for name in twin.columns if "_residual" in name]))
    own = default_alarms(twin.assets, columns=twin.columns, has_scores=True)
    return PumpChain(
        twin=twin,
        detector=detector,
        board=LimitAlarms((*limits(), *own), rules=RULES, reasons=[detector]),
    )


class Readings:
    """Frames of raw numbers as a connector gives them, each later than the one before."""

    def __init__(self, indices: IndexArray, *, start_ns: int) -> None:
        """Begin at a whole second.

        Args:
            indices: Positions of the measured tags in the table.
            start_ns: UTC.
        """
        usual = np.tile(np.array(list(SIGNALS.values())), PUMP_COUNT)
        noise = np.random.default_rng(1).normal(0, NOISE, (_PATTERNS, TAG_COUNT))
        self._raw = np.round(usual * (1 + noise) / SCALE, 1)
        self._indices = indices
        self._time_ns = start_ns // NS_PER_S * NS_PER_S
        self._count = 0

    def frame(self, *, step_s: float, factor: float = 1.0) -> Frame:
        """Return all tags, `step_s` later, the first one at so many times its usual value."""
        raw = self._raw[self._count % _PATTERNS].copy()
        raw[0] *= factor
        return self._made(self._indices, raw, step_s)

    def notification(self, position: int, *, step_s: float, factor: float = 1.0) -> Frame:
        """Return one tag, `step_s` later, at so many times its usual value."""
        raw = self._raw[self._count % _PATTERNS, [position]] * factor
        return self._made(self._indices[[position]], raw, step_s)

    def _made(self, indices: IndexArray, raw: FloatArray, step_s: float) -> Frame:
        self._count += 1
        self._time_ns += round(step_s * NS_PER_S)
        return Frame(
            tag_index=index_column(indices),
            time_ns=np.full(len(raw), self._time_ns, dtype=np.int64),
            value=raw,
            status=status_column(np.zeros(len(raw))),
            received_ns=self._time_ns,
        )


def _model(columns: Sequence[str]) -> bytes:
    """Return a model of residuals; what it has learnt does not matter for what it costs."""
    rows = np.random.default_rng(2).normal(0, 1, (_TRAINING_ROWS, len(columns)))
    purpose = Purpose(
        name="bench",
        version="1.0",
        asset_type="centrifugal_pump",
        columns=tuple(columns),
        tolerance=1.0,
    )
    return write_bundle(train_anomaly([rows], purpose).bundle)
