"""What MQTT 5 carries beside a message's topic and payload, and what a broker says of it."""

from dataclasses import dataclass
from typing import Final

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

NO_SUBSCRIBERS: Final = 0x10
"""Reason code of an acknowledgement (MQTT 5.0, 3.4.2.1): taken, and nobody subscribes to it."""
REFUSED: Final = 0x80
"""Reason codes from here on are failures (MQTT 5.0, 2.4)."""
PACKET_TOO_LARGE: Final = 0x95
"""Reason code of a message that is larger than the broker takes."""

_FIXED_SIZE_BYTES: Final = 1 + 4 + 2 + 2
"""Type, remaining length at its longest, length of the topic, packet identifier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageProperties:
    """Properties of a message; those left empty are not sent, and with MQTT 3.1.1 none is."""

    response_topic: str = ""
    """Where an answer is expected."""
    correlation: bytes = b""
    """What the answer repeats, so that it is known which message it answers."""
    content_type: str = ""
    """Media type of the payload."""
    expiry_s: int | None = None
    """After so long the broker gives up on delivering it; None is never."""
    user: tuple[tuple[str, str], ...] = ()
    """Names and values of our own."""

    def of_user(self, name: str) -> str:
        """Return the first value of our own under a name; empty where there is none."""
        return next((value for each, value in self.user if each == name), "")


NO_PROPERTIES: Final = MessageProperties()


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What the broker said of a message; with QoS 0 and MQTT 3.1.1 it says nothing, and is code 0.

    That the broker has taken it does not say that anybody else has.
    """

    code: int
    """Reason code (MQTT 5.0, 2.4)."""
    text: str
    """The code in words."""

    @property
    def is_taken(self) -> bool:
        """Whether the broker has it."""
        return self.code < REFUSED

    @property
    def has_subscribers(self) -> bool:
        """Whether somebody gets it, as far as the broker tells."""
        return self.code != NO_SUBSCRIBERS

    @property
    def is_too_large(self) -> bool:
        """Whether a smaller message could pass."""
        return self.code == PACKET_TOO_LARGE


def to_library(properties: MessageProperties) -> Properties:
    """Return properties as the library wants them."""
    made = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's
    if properties.response_topic:
        made.ResponseTopic = properties.response_topic
    if properties.correlation:
        made.CorrelationData = properties.correlation
    if properties.content_type:
        made.ContentType = properties.content_type
    if properties.expiry_s is not None:
        made.MessageExpiryInterval = properties.expiry_s
    if properties.user:
        made.UserProperty = list(properties.user)
    return made


def from_library(properties: Properties | None) -> MessageProperties:
    """Return properties as the library gives them; None is a message of MQTT 3.1.1."""
    if properties is None:
        return NO_PROPERTIES
    return MessageProperties(
        response_topic=getattr(properties, "ResponseTopic", ""),
        correlation=bytes(getattr(properties, "CorrelationData", b"")),
        content_type=getattr(properties, "ContentType", ""),
        expiry_s=getattr(properties, "MessageExpiryInterval", None),
        user=tuple(getattr(properties, "UserProperty", ())),
    )


def packet_size_bytes(topic: str, payload: bytes, properties: Properties) -> int:
    """Return the size of a PUBLISH packet with QoS 1, at most three bytes too much."""
    packed: bytes = properties.pack()  # type: ignore[no-untyped-call]  # paho's
    return _FIXED_SIZE_BYTES + len(topic.encode()) + len(packed) + len(payload)
