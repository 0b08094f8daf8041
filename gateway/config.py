"""The configuration of a gateway: one TOML file, and a tag list beside it for each machine.

Reading checks the form, building (`gateway.service.build`) checks what only the parts together can
know, such as a twin that names a tag which no connector has. Both report every mistake at once and
neither connects to anything.
"""

from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import Field

from analytics.alarms import AlarmRules
from analytics.cases import CaseSettings
from analytics.limits import AlarmSettings
from analytics.vibration.sensor import SensorSettings
from cloud_sync.edge.http import HttpUplinkConfig
from cloud_sync.edge.influxdb import InfluxdbUplinkConfig
from cloud_sync.edge.models import ModelSourceConfig
from cloud_sync.edge.mqtt import MqttUplinkConfig
from connectors.camera import FolderCameraSettings
from connectors.modbus.connector import ModbusConfig
from connectors.mqtt.connector import MqttConfig
from connectors.mqtt.sparkplug import SparkplugConfig
from connectors.opcua.connector import OpcuaConfig
from gateway.api import ApiConfig
from gateway.commands import WriteSettings
from gateway.core.manifest import MODEL_NAME_PATTERN
from gateway.core.settings import Settings
from gateway.pipeline import ClockSettings
from gateway.store import LogSettings
from gateway.trial import ApplySettings
from gateway.wire.settings_file import beside, read_settings
from twins import CentrifugalPumpSettings, CompressorSettings, GenericSettings

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$"
Name: TypeAlias = Annotated[str, Field(pattern=NAME_PATTERN)]

ConnectorConfig: TypeAlias = Annotated[
    OpcuaConfig | ModbusConfig | MqttConfig | SparkplugConfig, Field(discriminator="type")
]

UplinkConfig: TypeAlias = Annotated[
    HttpUplinkConfig | MqttUplinkConfig | InfluxdbUplinkConfig, Field(discriminator="type")
]


class GatewaySettings(Settings):
    """Which gateway this is, and where it keeps its state."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
    """Name of the gateway, unique at the cloud."""
    site: str = ""
    """Where it stands, as `enterprise/site/area/line` (ISA-95)."""
    state_folder: Path = Path("/var/lib/edgewright")
    """Where the log, certificates and models are kept; beside the file when relative."""
    ingress_size_mib: Annotated[int, Field(ge=1, le=1024)] = 16
    """Memory for samples that wait to be processed; then connectors wait."""
    stop_s: Annotated[float, Field(gt=0, le=80)] = 10.0
    """Longest time for the last delivery when the service stops."""


class Watched(Settings):
    """What the gateway adds to a twin's own settings."""

    alarms: dict[Name, AlarmSettings] = Field(default_factory=dict)
    """Alarms of this asset, by the name of their condition, beside those of its type."""
    vibration: dict[Name, SensorSettings] = Field(default_factory=dict)
    """Vibration sensors of this asset that give waveforms, by where they sit."""


class PumpConfig(CentrifugalPumpSettings, Watched):
    """A centrifugal pump, its alarms and vibration sensors."""


class CompressorConfig(CompressorSettings, Watched):
    """A compressor, its alarms and vibration sensors."""


class GenericConfig(GenericSettings, Watched):
    """Any asset without physics, its alarms and vibration sensors."""


TwinConfig: TypeAlias = Annotated[
    PumpConfig | CompressorConfig | GenericConfig, Field(discriminator="type")
]


class CameraConfig(FolderCameraSettings):
    """A camera, the model that looks at its pictures, and the asset it looks at."""

    asset: str
    """The twin that detections are reported on."""
    model: Annotated[str, Field(pattern=MODEL_NAME_PATTERN)]
    """Name of the detector; its newest release is used, so it needs `[models]`."""


class Config(Settings):
    """A whole gateway."""

    gateway: GatewaySettings
    """Which gateway this is."""
    connectors: dict[Name, ConnectorConfig] = Field(default_factory=dict)
    """The machines, by name; the name opens the ids of their tags."""
    twins: dict[Name, TwinConfig] = Field(default_factory=dict)
    """The assets, by name."""
    alarms: AlarmRules = AlarmRules()
    """What holds for all alarms: targets, floods, chattering and shelving."""
    cameras: dict[Name, CameraConfig] = Field(default_factory=dict)
    """The cameras, by name."""
    uplinks: dict[Name, UplinkConfig] = Field(default_factory=dict)
    """Where records are delivered, by name."""
    models: ModelSourceConfig | None = None
    """Where anomaly and vision models come from; without it, none is ever loaded."""
    cases: CaseSettings = CaseSettings()
    """When alarms of an asset become a case for a technician."""
    log: LogSettings = LogSettings()
    """The record log."""
    clock: ClockSettings = ClockSettings()
    """How far the gateway's own clock is relied on."""
    api: ApiConfig = ApiConfig()
    """The local API."""
    apply: ApplySettings = ApplySettings()
    """How a new configuration must prove itself on the running gateway."""
    writes: WriteSettings = WriteSettings()
    """Whether anything may be written to machines."""


def read_config(path: Path) -> Config:
    """Return the configuration in a TOML file, its relative paths put beside it.

    Raises:
        ConfigError: one line for each mistake in it.
    """
    return beside(read_settings(Config, path), path.resolve().parent)
