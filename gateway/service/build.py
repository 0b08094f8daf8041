"""Builds the parts of a gateway from its configuration. Checks everything, connects to nothing."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analytics.alarms import LimitAlarms
from analytics.assessment import PHYSICS, SCORE, Assessment, vibration_zone
from analytics.cases import CaseBook
from analytics.defaults import default_alarms, vibration_alarms
from analytics.limits import AlarmLimit, alarm_limit
from analytics.multivariate import AnomalyDetector
from analytics.prognosis.host import LifeHost
from analytics.prognosis.judged_cases import JudgedCases
from analytics.vibration.sensor import Sensor
from analytics.vibration.watch import ZONE, VibrationWatch
from connectors.modbus.connector import ModbusConfig, ModbusConnector
from connectors.modbus.line import Lines
from connectors.mqtt.connector import MqttConfig, MqttConnector
from connectors.mqtt.sparkplug import SparkplugConfig, SparkplugConnector
from connectors.opcua.connector import OpcuaConfig, OpcuaConnector
from connectors.opcua.security import CERTIFICATES_FOLDER
from gateway.config import Config, ConnectorConfig
from gateway.core.errors import ConfigError
from gateway.core.ports import Clock, Connector
from gateway.core.rows import AssetId
from gateway.core.tags import Tag, TagId
from gateway.pipeline import Chain, Processor
from twins import AssetTwin, build_twins

SESSION_MODULES = {
    "opcua": ("connectors.opcua.connect", "connectors.opcua.subscribe"),
    "mqtt": ("connectors.mqtt.session",),
    "sparkplug": ("connectors.mqtt.sparkplug_session",),
}
"""Modules that a connector of a type imports at its first session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a gateway is made of, apart from its log and its connections."""

    connectors: tuple[Connector, ...]
    twins: tuple[AssetTwin, ...]
    detectors: tuple[AnomalyDetector, ...]
    """One for each twin, in the same order; none when no models are configured."""
    lives: tuple[LifeHost, ...]
    """The same for remaining life."""
    board: LimitAlarms
    cases: JudgedCases
    processor: Processor

    @property
    def tags(self) -> tuple[Tag, ...]:
        """Every tag: the measured ones first, in the order of the configuration."""
        measured = tuple(tag for connector in self.connectors for tag in connector.tags)
        return measured + self.processor.derived_tags


def build_parts(config: Config, *, folder: Path, clock: Clock) -> Parts:
    """Return the parts that a configuration describes.

    Args:
        config: Read from a file.
        folder: The file's; relative paths begin there.
        clock: For the connectors and for measuring latencies.
    Raises:
        ConfigError: every mistake that shows when the parts are put together.
    """
    mistakes: list[str] = []
    connectors = _build_connectors(config, mistakes, folder=folder, clock=clock)
    twins = build_twins({AssetId(name): settings for name, settings in config.twins.items()})
    detectors = tuple(_detector(twin, clock) for twin in twins) if config.models else ()
    lives = tuple(_life_host(twin, clock) for twin in twins) if config.models else ()
    sensors = _sensors(config)
    watch = VibrationWatch(sensors)
    assessment = _assessment(twins, sensors, has_scores=bool(detectors))
    limits = _alarm_limits(config, twins, sensors, has_scores=bool(detectors))
    mistakes += _camera_mistakes(config)
    if not mistakes:
        mistakes += _unknown_tags(
            config, connectors, (*twins, *detectors, *lives, watch, assessment), limits
        )
    if mistakes:
        raise ConfigError(*mistakes)
    board = LimitAlarms(
        limits, rules=config.alarms, reasons=(*detectors, watch), advisers=(*twins, watch)
    )
    cases = JudgedCases(_case_book(config, twins, watch), lives)
    chains = [
        Chain(
            name=twin.name,
            twin=twin,
            detector=detectors[k] if detectors else None,
            prognoser=lives[k] if lives else None,
        )
        for k, twin in enumerate(twins)
    ]
    return Parts(
        connectors=connectors,
        twins=twins,
        detectors=detectors,
        lives=lives,
        board=board,
        cases=cases,
        processor=Processor(chains, watch, assessment, board, cases),
    )


def model_name_of(asset_type: str) -> str:
    """Return the name of the anomaly model for a type, such as `centrifugal-pump-anomaly`."""
    return f"{asset_type.replace('_', '-')}-anomaly"


def life_name_of(asset_type: str) -> str:
    """Return the name of the model of remaining life for a type."""
    return f"{asset_type.replace('_', '-')}-life"


def import_protocols(config: Config) -> None:
    """Import what the sessions need, before the first decision is waited for."""
    for settings in config.connectors.values():
        for module in SESSION_MODULES.get(settings.type, ()):
            importlib.import_module(module)


def _build_connectors(
    config: Config, mistakes: list[str], *, folder: Path, clock: Clock
) -> tuple[Connector, ...]:
    connectors: list[Connector] = []
    lines = Lines(clock)
    for name, settings in config.connectors.items():
        try:
            connectors.append(
                _connector(name, settings, config, folder=folder, clock=clock, lines=lines)
            )
        except ConfigError as error:
            mistakes += error.mistakes
    return tuple(connectors)


def _connector(
    name: str,
    settings: ConnectorConfig,
    config: Config,
    *,
    folder: Path,
    clock: Clock,
    lines: Lines,
) -> Connector:
    if isinstance(settings, ModbusConfig):
        return ModbusConnector(name, settings, folder=folder, clock=clock, lines=lines)
    gateway = config.gateway.id
    if isinstance(settings, SparkplugConfig):
        return SparkplugConnector(name, settings, folder=folder, gateway=gateway, clock=clock)
    if isinstance(settings, MqttConfig):
        return MqttConnector(name, settings, folder=folder, gateway=gateway, clock=clock)
    assert isinstance(settings, OpcuaConfig)
    state_folder = folder / config.gateway.state_folder / CERTIFICATES_FOLDER
    return OpcuaConnector(name, settings, folder=folder, state_folder=state_folder, clock=clock)


def _detector(twin: AssetTwin, clock: Clock) -> AnomalyDetector:
    return AnomalyDetector(
        model_name=model_name_of(twin.name),
        asset_type=twin.asset_type,
        assets=twin.assets,
        columns=twin.columns,
        monotonic_ns=clock.monotonic_ns,
    )


def _life_host(twin: AssetTwin, clock: Clock) -> LifeHost:
    return LifeHost(
        model_name=life_name_of(twin.name),
        asset_type=twin.asset_type,
        assets=twin.assets,
        columns=twin.columns,
        monotonic_ns=clock.monotonic_ns,
    )


def _sensors(config: Config) -> tuple[Sensor, ...]:
    return tuple(
        Sensor(asset=AssetId(asset), name=name, settings=settings)
        for asset, twin in config.twins.items()
        for name, settings in twin.vibration.items()
    )


def _assessment(
    twins: Sequence[AssetTwin], sensors: Sequence[Sensor], *, has_scores: bool
) -> Assessment:
    kinds = [PHYSICS, SCORE] if has_scores else [PHYSICS]
    findings = [(asset, kind) for twin in twins for asset in twin.assets for kind in kinds]
    zones = [(sensor.asset, vibration_zone(f"{sensor.name}_{ZONE}")) for sensor in sensors]
    return Assessment([*findings, *zones])


def _case_book(config: Config, twins: Sequence[AssetTwin], watch: VibrationWatch) -> CaseBook:
    twin_of = {asset: twin for twin in twins for asset in twin.assets}
    return CaseBook(
        twin_of,
        settings=config.cases,
        # What a waveform says names the part; what the physics says names the signals.
        diagnose=lambda asset: watch.diagnosis(asset) or twin_of[asset].diagnosis(asset),
    )


def _alarm_limits(
    config: Config, twins: Sequence[AssetTwin], sensors: Sequence[Sensor], *, has_scores: bool
) -> tuple[AlarmLimit, ...]:
    limits: list[AlarmLimit] = [*vibration_alarms(sensors)]
    for twin in twins:
        limits += default_alarms(twin.assets, columns=twin.columns, has_scores=has_scores)
    for name, settings in config.twins.items():
        signals = {str(role): TagId(tag) for role, tag in settings.tags.items()}
        limits += [
            alarm_limit(AssetId(name), condition, alarm, signals=signals)
            for condition, alarm in settings.alarms.items()
        ]
    return tuple(limits)


def _unknown_tags(
    config: Config,
    connectors: Sequence[Connector],
    stages: Sequence[AssetTwin | AnomalyDetector | LifeHost | VibrationWatch | Assessment],
    limits: Sequence[AlarmLimit],
) -> list[str]:
    measured = {tag.id for connector in connectors for tag in connector.tags}
    known = measured | {tag.id for stage in stages for tag in stage.derived_tags}
    # A score may have an alarm before there are models.
    known |= {TagId(f"{asset}.anomaly_score") for asset in config.twins}
    mistakes = [
        f"twins.{asset}.tags.{role}: no connector has the tag {tag!r}"
        for asset, settings in config.twins.items()
        for role, tag in settings.tags.items()
        if tag not in measured
    ]
    mistakes += [
        f"twins.{asset}.vibration.{name}: no connector has the tag {tag!r}"
        for asset, settings in config.twins.items()
        for name, sensor in settings.vibration.items()
        for tag in (sensor.tag, sensor.speed)
        if tag is not None and tag not in measured
    ]
    mistakes += [
        f"twins.{limit.source}.alarms.{limit.condition}.when: there is no tag {limit.tag!r}"
        for limit in limits
        if limit.tag not in known
    ]
    ids = {limit.id for limit in limits}
    mistakes += [
        f"twins.{limit.source}.alarms.{limit.condition}.suppress_when: {each.text!r} names what is "
        "neither a tag nor an alarm"
        for limit in limits
        for each in limit.suppressors
        if (each.tag not in known if each.alarm is None else each.alarm not in ids)
    ]
    return mistakes


def _camera_mistakes(config: Config) -> list[str]:
    mistakes = [
        f"cameras.{name}.asset: there is no twin {camera.asset!r}"
        for name, camera in config.cameras.items()
        if camera.asset not in config.twins
    ]
    if config.models is None:
        mistakes += [
            f"cameras.{name}.model: only released models are loaded, so {camera.model!r} needs a "
            "[models] table that says where they come from"
            for name, camera in config.cameras.items()
        ]
    return mistakes
