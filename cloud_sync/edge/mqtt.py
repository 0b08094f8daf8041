"""Batches over MQTT 5: one message a batch, confirmed by the cloud's own answer after its commit.

The broker's acknowledgement says that the broker has a batch, and nothing of the cloud: it moves no
cursor. The cloud answers on a topic of the gateway, with the correlation data of the batch, and
only such an answer counts. A broker that loses what it had taken, a cloud that is away and an
answer that is lost all end in the same way: the batch goes once more, and the cloud knows its
records by `(gateway, boot, seq)`. A message expires at the broker when the gateway gives up on it,
so that repetitions do not pile up there.

The session is made with the first batch, and again with the first one after it was lost. While it
stands, a retained message says that the gateway is online; the will says that it is not.
"""

import asyncio
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import BaseModel, Field, SecretStr, ValidationError, model_validator

from cloud_sync.edge.answers import complaint_of, confirmed, encode_aside, refusal
from cloud_sync.edge.delivery import DeliverySettings
from gateway.core.errors import BatchTooLargeError, ConfigError, UplinkError
from gateway.core.ports import Batch, Clock, SendResult
from gateway.core.records import GatewayId
from gateway.wire.batch_topics import BatchTopics, TopicPrefix
from gateway.wire.broker_settings import BrokerLogin, broker_tls, host_and_port, read_password
from gateway.wire.credentials import read_credential

if TYPE_CHECKING:
    from cloud_sync.edge.mqtt_session import BatchSession
    from gateway.wire.broker import Broker
    from gateway.wire.broker_error import BrokerError
    from gateway.wire.mqtt_properties import Publication

ANSWERS_MAX: Final = 100
"""Answers that wait to be looked at; beyond it they are lost, and their batches go again."""
RECEIVE_MAX: Final = 10
"""Answers that the broker sends before the first is acknowledged."""


class MqttUplinkConfig(BrokerLogin):
    """Delivery to the cloud through an MQTT 5 broker."""

    type: Literal["mqtt"] = "mqtt"
    """Selects this uplink."""
    password_credential: str | None = None
    """Name of the systemd credential with the user's password; instead of `password_file`."""
    token_file: Path | None = None
    """File with the token of this gateway, as for HTTP; not needed where the cloud's `identity` is
    `topic`."""
    token_credential: str | None = None
    """Name of the systemd credential with the token; instead of `token_file`."""
    client_id: Annotated[str, Field(max_length=200)] = ""
    """Names us at the broker, where nobody else may use it; empty is the gateway's id."""
    topic_prefix: TopicPrefix = "edgewright/v1"
    """What the topics begin with; the cloud's must be the same."""
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    """For one batch, from its first byte to the cloud's answer."""
    connect_timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    """For the connection, and each answer of the broker while it is made."""
    keep_alive_s: Annotated[int, Field(ge=1, le=3600)] = 30
    """After this silence the gateway and the broker look whether the other is still there; a batch
    must go out in as long."""
    delivery: DeliverySettings = DeliverySettings()
    """How records are put together and outages are waited out."""

    @model_validator(mode="after")
    def _has_one_of_each(self) -> Self:
        if self.token_file is not None and self.token_credential is not None:
            raise ValueError("give token_file or token_credential, not both")
        if self.password_file is not None and self.password_credential is not None:
            raise ValueError("give password_file or password_credential, not both")
        if self.has_token and not self.is_secure and self.login_in_clear == "refuse":
            raise ValueError(
                "the token would travel in the clear: use mqtts://, or set login_in_clear"
            )
        return self

    @property
    def has_token(self) -> bool:
        """Whether it is said where the token is."""
        return self.token_file is not None or self.token_credential is not None

    @property
    def has_password(self) -> bool:
        """Whether it is said where the password is."""
        return self.password_file is not None or self.password_credential is not None

    @property
    def password_options(self) -> str:
        """The options that say so, for a message."""
        return "password_file or password_credential"


class MqttUplink:
    """Implements `Uplink` with the sync API's batches over MQTT 5."""

    def __init__(
        self, name: str, config: MqttUplinkConfig, *, gateway: GatewayId, clock: Clock
    ) -> None:
        """Check everything that can be checked without connecting.

        Raises:
            ConfigError: a secret or a certificate cannot be read.
        """
        self.name = name
        self._config = config
        self._topics = BatchTopics(prefix=config.topic_prefix, gateway=gateway)
        self._clock = clock
        self._tls = broker_tls(f"uplinks.{name}", config, Path())
        self._password, self._token = self._read_secrets()
        self._session: BatchSession | None = None
        self._connecting = asyncio.Lock()

    @property
    def address(self) -> str:
        """Where it delivers to, for a person."""
        return self._config.broker

    async def send(self, batch: Batch) -> SendResult:
        """Deliver one batch and wait for the cloud's commit.

        Raises:
            UplinkError: refused or no answer; nothing is known to have been taken.
            RefusedBatchError: the cloud or the broker will never take it as it is.
        """
        # Made here: aiomqtt is needed only where a broker is configured.
        from gateway.wire.broker_error import BrokerError
        from gateway.wire.mqtt_properties import Publication

        assert batch.gateway == self._topics.gateway, batch.gateway
        data = await encode_aside(batch)
        try:
            session = await self._connected()
            heard = await session.ask(
                data,
                token=self._token.get_secret_value(),
                expiry_s=math.ceil(self._config.timeout_s),
                timeout_s=self._config.timeout_s,
            )
        except BrokerError as error:
            raise self._unreachable(error) from error
        except TimeoutError as error:
            raise UplinkError(
                f"the cloud behind {self.address} does not answer within "
                f"{self._config.timeout_s:g} s: check that it runs",
                detail=f"no answer on {self._topics.answers}",
            ) from error
        if isinstance(heard, Publication):
            raise self._unheard(heard)
        status = _status_of(heard)
        if status is not None:
            raise self._refused(status, heard)
        return confirmed(heard, batch, size_bytes=len(data), detail="MQTT answer")

    async def aclose(self) -> None:
        """Say that the gateway goes offline, and close the session."""
        async with self._connecting:
            await self._drop()

    async def _connected(self) -> "BatchSession":
        """Return the session, made anew where there is none.

        Raises:
            BrokerError: it cannot be made.
        """
        # Made here: aiomqtt is needed only where a broker is configured.
        from cloud_sync.edge.mqtt_session import BatchSession

        async with self._connecting:
            if self._session is not None and self._session.is_lost:
                await self._drop()
            if self._session is None:
                session = BatchSession(self._broker, self._topics, clock=self._clock)
                await session.open()
                self._session = session
            return self._session

    async def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.aclose()

    def _broker(self, will: bytes) -> "Broker":
        """Return what a session is made from."""
        from gateway.wire.broker import Broker, MqttVersion, Will

        config = self._config
        host, port = host_and_port(config.broker)
        return Broker(
            host=host,
            port=port,
            version=MqttVersion.V5,
            tls=self._tls,
            user=config.user,
            password=self._password,
            client_id=config.client_id or self._topics.gateway,
            session_expiry_s=0,
            keep_alive_s=config.keep_alive_s,
            timeout_s=config.connect_timeout_s,
            receive_max=RECEIVE_MAX,
            queue_messages_max=ANSWERS_MAX,
            payload_bytes_max=64 * 1024,
            will=Will(topic=self._topics.state, payload=will),
        )

    def _read_secrets(self) -> tuple[SecretStr, SecretStr]:
        """Return password and token; empty where there is none.

        Raises:
            ConfigError: one cannot be read.
        """
        config = self._config
        password, token = read_password(f"uplinks.{self.name}", config, Path()), SecretStr("")
        if config.password_credential is not None:
            password = read_credential(file=None, credential=config.password_credential)
        if config.has_token:
            token = read_credential(file=config.token_file, credential=config.token_credential)
        return password, token

    def _renew_secrets(self) -> None:
        """Read them again: a person may have renewed one while the gateway runs."""
        try:
            self._password, self._token = self._read_secrets()
        except ConfigError as error:
            raise UplinkError("a secret for the cloud is gone", detail=str(error)) from error

    def _unreachable(self, error: "BrokerError") -> UplinkError:
        """Return what trouble with the broker means."""
        self._renew_secrets()
        check = error.check[0].lower() + error.check[1:].rstrip(".")
        return UplinkError(
            f"the broker {self.address} {error.text}: {check}", detail=f"MQTT {error.detail}"
        )

    def _unheard(self, said: "Publication") -> UplinkError:
        """Return what it means that the broker does not hand a batch on."""
        detail = f"PUBACK 0x{said.code:02x} {said.text}"
        topic = self._topics.batches
        if said.is_too_large:
            return BatchTooLargeError(
                f"the broker {self.address} takes no batch of this size", detail=detail
            )
        if said.is_taken:
            return UplinkError(
                f"the broker {self.address} has the batch, but no cloud listens: check that the "
                "cloud runs, is connected to this broker, and has the same topic_prefix",
                detail=f"{detail} on {topic}",
            )
        return UplinkError(
            f"the broker {self.address} refuses the batch: check what this user may publish",
            detail=f"{detail} on {topic}",
        )

    def _refused(self, status: int, answer: bytes) -> UplinkError:
        """Return what the cloud's refusal means."""
        if status in (401, 403):
            self._renew_secrets()
        complaint = complaint_of(answer)
        return refusal(
            f"the cloud behind {self.address}",
            status,
            complaint=complaint,
            detail=f"MQTT {status} {complaint or answer[:200]!r}",
            retry_after_s=_Refusal.model_validate_json(answer).retry_after_s,
        )


class _Refusal(BaseModel):
    code: Annotated[int, Field(strict=True, ge=400, le=599)]
    retry_after_s: Annotated[float, Field(ge=0)] | None = None


def _status_of(answer: bytes) -> int | None:
    """Return the code of a refusal; None where the answer is none."""
    try:
        return _Refusal.model_validate_json(answer).code
    except ValidationError:
        return None
