"""The configuration of the cloud: one TOML file, with everything in it documented here."""

from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import Field, model_validator

from cloud_sync.cloud.ingest import IngestSettings
from cloud_sync.cloud.lake import LakeSettings
from cloud_sync.cloud.mqtt_settings import MqttSettings
from cloud_sync.cloud.retrain import RetrainSettings
from cloud_sync.cloud.server import ServerSettings
from cloud_sync.cloud.signing import RegistrySettings
from gateway.core.settings import Settings
from gateway.wire.settings_file import beside, read_settings

GATEWAY_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
GatewayName: TypeAlias = Annotated[str, Field(pattern=GATEWAY_PATTERN)]
TokenDigest: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class GatewayAccess(Settings):
    """How the cloud knows one gateway."""

    token_sha256: TokenDigest
    """SHA-256 digest of the gateway's token, hexadecimal; the token itself is kept nowhere."""


class CloudSettings(Settings):
    """The whole configuration."""

    state_folder: Path = Path("/var/lib/edgewright-cloud")
    """Where database, lake and registry are kept; beside the file when relative."""
    operator_token_sha256: TokenDigest
    """SHA-256 digest of the operator's token, hexadecimal."""
    gateways: dict[GatewayName, GatewayAccess]
    """The gateways that may deliver, by their id."""
    server: ServerSettings = ServerSettings()
    """Where it listens."""
    mqtt: MqttSettings | None = None
    """A broker from which batches are taken too; without it, HTTP alone."""
    ingest: IngestSettings = IngestSettings()
    """Bounds on what gateways send."""
    lake: LakeSettings = LakeSettings()
    """How samples become files."""
    registry: RegistrySettings = RegistrySettings()
    """How long signatures hold."""
    retrain: RetrainSettings = RetrainSettings()
    """How models are retrained."""

    @model_validator(mode="after")
    def _tokens_differ(self) -> "CloudSettings":
        digests = [self.operator_token_sha256]
        digests += [access.token_sha256 for access in self.gateways.values()]
        if len(set(digests)) != len(digests):
            raise ValueError("two tokens are the same: every gateway and the operator has its own")
        return self

    @property
    def database_path(self) -> Path:
        """The SQLite file."""
        return self.state_folder / "cloud.sqlite"

    @property
    def lake_folder(self) -> Path:
        """The Parquet files."""
        return self.state_folder / "lake"

    @property
    def registry_folder(self) -> Path:
        """The TUF repository."""
        return self.state_folder / "registry"

    @property
    def keys_folder(self) -> Path:
        """The signing keys."""
        return self.state_folder / "keys"


def read_cloud_settings(path: Path) -> CloudSettings:
    """Return the configuration in a file, its paths meant from the file's own folder.

    Raises:
        ConfigError: one line for each mistake.
    """
    settings = read_settings(CloudSettings, path)
    folder = path.absolute().parent
    return settings.model_copy(
        update={
            "state_folder": folder / settings.state_folder,
            "server": settings.server.resolved(folder),
            "mqtt": None if settings.mqtt is None else beside(settings.mqtt, folder),
        }
    )
