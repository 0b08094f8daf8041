"""How the cloud takes batches from an MQTT 5 broker, beside HTTP."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gateway.wire.batch_topics import TopicPrefix
from gateway.wire.broker_settings import BrokerLogin


class MqttSettings(BrokerLogin):
    """Where batches are fetched from, and how gateways are known there."""

    client_id: Annotated[str, Field(min_length=1, max_length=200)] = "edgewright-cloud"
    """Names the cloud at the broker, where nobody else may use it."""
    topic_prefix: TopicPrefix = "edgewright/v1"
    """What the topics begin with; the gateways' must be the same."""
    share_group: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,100}$")] = "cloud"
    """Group of the shared subscription: of all that name the same, one takes a batch."""
    identity: Literal["token", "topic"] = "token"
    """How a gateway is known: by its token in every batch, or by the topic alone, where the broker
    lets each gateway publish on its own topics only."""
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    """Longest wait for the connection and for each answer of the broker."""
    keep_alive_s: Annotated[int, Field(ge=1, le=3600)] = 15
    """After this silence the cloud asks for a sign of life; a broker that stays silent as long
    again is lost."""
    receive_max: Annotated[int, Field(ge=1, le=100)] = 4
    """Batches that the broker hands over before the first is answered; each is held in memory."""

    @model_validator(mode="after")
    def _tokens_are_safe(self) -> Self:
        is_open = not self.is_secure and self.login_in_clear == "refuse"
        if self.identity == "token" and is_open:
            raise ValueError(
                "tokens would travel in the clear: use mqtts://, or set login_in_clear"
            )
        return self
