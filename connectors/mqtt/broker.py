"""How a connector reaches an MQTT broker: its options, and how trouble with it is worded."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from connectors.messages import device_error
from gateway.core.errors import DeviceError
from gateway.wire.broker_settings import BrokerLogin, broker_tls, host_and_port, read_password

if TYPE_CHECKING:
    from gateway.wire.broker import Broker, Will
    from gateway.wire.broker_error import BrokerError


class BrokerSettings(BrokerLogin):
    """What every connector behind a broker can be told."""

    protocol: Literal["5", "3.1.1"] = "5"
    """Version of MQTT; 3.1.1 for brokers that know no other."""
    client_id: Annotated[str, Field(max_length=200)] = ""
    """Names us at the broker, where nobody else may use it; empty makes it from the gateway's id
    and the connector's name."""
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

    @model_validator(mode="after")
    def _check_queue(self) -> Self:
        if self.queue_messages_max < self.receive_max:
            raise ValueError(
                f"queue_messages_max {self.queue_messages_max} is below receive_max "
                f"{self.receive_max}"
            )
        return self


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
        self._password = read_password(f"connectors.{name}", settings, folder)
        self._tls = broker_tls(f"connectors.{name}", settings, folder)

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
