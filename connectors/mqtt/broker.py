"""How a connector reaches an MQTT broker: its options, and how trouble with it is worded."""

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from connectors.messages import device_error
from gateway.core.errors import ConfigError, DeviceError
from gateway.core.settings import Settings

if TYPE_CHECKING:
    from gateway.wire.broker import Broker, Will
    from gateway.wire.mqtt import BrokerError

PORTS = {"mqtt": 1883, "mqtts": 8883}


class BrokerSettings(Settings):
    """What every connector behind a broker can be told."""

    broker: str
    """Address of the broker, as `mqtt://host:port`, or `mqtts://host:port` for TLS."""
    protocol: Literal["5", "3.1.1"] = "5"
    """Version of MQTT; 3.1.1 for brokers that know no other."""
    client_id: Annotated[str, Field(max_length=200)] = ""
    """Names us at the broker, where nobody else may use it; empty makes it from the gateway's id
    and the connector's name."""
    user: str = ""
    """User name; empty logs in without."""
    password_file: Path | None = None
    """File with the user's password, beside the configuration file."""
    login_in_clear: Literal["refuse", "accept"] = "refuse"
    """Whether the password may be sent to a broker without TLS."""
    ca_file: Path | None = None
    """Certificates (PEM) that may vouch for the broker; without it, the system's."""
    certificate_file: Path | None = None
    """Our own certificate (PEM), for brokers that ask for one."""
    key_file: Path | None = None
    """Key (PEM) of our certificate."""
    keep_alive_s: Annotated[int, Field(ge=1, le=3600)] = 15
    """After this silence we ask for a sign of life; a broker that stays silent as long again is
    lost."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 4.0
    """Longest wait for the connection and for each answer of the broker."""
    receive_max: Annotated[int, Field(ge=1, le=65_535)] = 200
    """Messages that the broker may send before we have taken the first; a full log holds it back
    (MQTT 5; with 3.1.1 the broker has a limit of its own)."""
    queue_messages_max: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Messages that may wait in the gateway; beyond it new ones are dropped and counted."""
    payload_bytes_max: Annotated[int, Field(ge=64, le=64 * 1024 * 1024)] = 1024 * 1024
    """Longest message that is taken."""
    stop_s: Annotated[float, Field(gt=0, le=30)] = 2.0
    """Longest wait at a stop for the log to take what has come."""

    @field_validator("broker")
    @classmethod
    def _check_broker(cls, broker: str) -> str:
        host_and_port(broker)
        return broker

    @model_validator(mode="after")
    def _check_broker_options(self) -> Self:
        is_secure = self.broker.startswith("mqtts:")
        if bool(self.user) != (self.password_file is not None):
            raise ValueError("user and password_file belong together")
        if self.user and not is_secure and self.login_in_clear == "refuse":
            raise ValueError(
                "the password would travel in the clear: use mqtts://, or set login_in_clear"
            )
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together")
        if not is_secure and (self.ca_file or self.certificate_file):
            raise ValueError("ca_file and certificate_file need mqtts://")
        if self.queue_messages_max < self.receive_max:
            raise ValueError(
                f"queue_messages_max {self.queue_messages_max} is below receive_max "
                f"{self.receive_max}"
            )
        return self


def host_and_port(broker: str) -> tuple[str, int]:
    """Return the two parts of `mqtt://host:port`.

    Raises:
        ValueError: it is not of that form.
    """
    parts = urlsplit(broker)
    is_plain = not (parts.path or parts.query or parts.fragment)
    if parts.scheme not in PORTS or not parts.hostname or not is_plain:
        raise ValueError(f"{broker!r} is not mqtt://host:port or mqtts://host:port")
    if parts.username is not None:
        raise ValueError("a user stands in `user`, not in the address")
    return parts.hostname, parts.port or PORTS[parts.scheme]


class BrokerAccess:
    """Everything that a session needs, read from files once."""

    def __init__(self, name: str, settings: BrokerSettings, *, folder: Path, gateway: str) -> None:
        """Read the password and the certificates.

        Args:
            name: Of the connector.
            settings: Its settings.
            folder: That of the configuration file.
            gateway: Id of the gateway; opens the client id where none is given.
        Raises:
            ConfigError: a file cannot be read, or is not what it should be.
        """
        self._settings = settings
        self._client_id = settings.client_id or f"edgewright-{gateway}-{name}"
        self._password = _password(name, settings, folder)
        self._tls = _tls_context(name, settings, folder)

    def broker(self, *, session_expiry_s: int, will: "Will | None" = None) -> "Broker":
        """Return what a session is made from."""
        # Made here: aiomqtt is needed only where a broker is configured.
        from gateway.wire.broker import Broker, MqttVersion

        settings = self._settings
        host, port = host_and_port(settings.broker)
        return Broker(
            host=host,
            port=port,
            version=MqttVersion(settings.protocol),
            tls=self._tls,
            user=settings.user,
            password=self._password,
            client_id=self._client_id,
            session_expiry_s=session_expiry_s,
            keep_alive_s=settings.keep_alive_s,
            timeout_s=settings.timeout_s,
            receive_max=settings.receive_max,
            queue_messages_max=settings.queue_messages_max,
            payload_bytes_max=settings.payload_bytes_max,
            will=will,
        )


def lost_broker(device: str, error: "BrokerError", *, since_ns: int | None) -> DeviceError:
    """Return a broker's error as one of the device behind it."""
    return device_error(
        device, error.text, check=error.check, expert=error.detail, since_ns=since_ns
    )


def _password(name: str, settings: BrokerSettings, folder: Path) -> SecretStr:
    if settings.password_file is None:
        return SecretStr("")
    path = folder / settings.password_file
    try:
        return SecretStr(path.read_text(encoding="utf-8").rstrip("\r\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"connectors.{name}.password_file: {path}: {error}") from error


def _tls_context(name: str, settings: BrokerSettings, folder: Path) -> ssl.SSLContext | None:
    if not settings.broker.startswith("mqtts:"):
        return None
    option = "ca_file"
    try:
        context = ssl.create_default_context(
            cafile=None if settings.ca_file is None else str(folder / settings.ca_file)
        )
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.certificate_file is not None and settings.key_file is not None:
            option = "certificate_file"
            context.load_cert_chain(folder / settings.certificate_file, folder / settings.key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"connectors.{name}.{option}: cannot be used: {error}") from error
    return context
