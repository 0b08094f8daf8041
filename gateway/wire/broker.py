"""Where an MQTT broker is, what a session with it is like, and the library's client for it."""

import ssl
from dataclasses import dataclass
from enum import StrEnum

import aiomqtt
from paho.mqtt import client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from pydantic import SecretStr


class MqttVersion(StrEnum):
    """Version of the protocol."""

    V5 = "5"
    V311 = "3.1.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """A message that the broker publishes when the connection breaks; QoS 1, retained."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where a broker is, and what a session with it is like."""

    host: str
    port: int
    version: MqttVersion
    tls: ssl.SSLContext | None
    """None speaks in the clear."""
    user: str
    """Empty gives no name."""
    password: SecretStr
    client_id: str
    """Names the session at the broker: stable, and used by nobody else."""
    session_expiry_s: int
    """How long the broker keeps the session while we are away; 0 begins a clean one each time."""
    keep_alive_s: int
    timeout_s: float
    """Longest wait for the connection and for each answer."""
    receive_max: int
    """Messages that the broker may send before the first is acknowledged (MQTT 5)."""
    queue_messages_max: int
    """Messages that wait to be taken; not below `receive_max`."""
    payload_bytes_max: int
    """A longer message is not wanted (MQTT 5), or dropped and counted."""
    will: Will | None = None


def client_for(broker: Broker) -> aiomqtt.Client:
    """Return an unconnected client; needs a running loop."""
    is_v5 = broker.version is MqttVersion.V5
    is_clean = broker.session_expiry_s == 0
    will = None
    if broker.will is not None:
        will = aiomqtt.Will(broker.will.topic, broker.will.payload, qos=1, retain=True)
    return aiomqtt.Client(
        broker.host,
        broker.port,
        username=broker.user or None,
        password=broker.password.get_secret_value() if broker.user else None,
        identifier=broker.client_id,
        protocol=aiomqtt.ProtocolVersion.V5 if is_v5 else aiomqtt.ProtocolVersion.V311,
        clean_session=None if is_v5 else is_clean,
        clean_start=is_clean if is_v5 else mqtt.MQTT_CLEAN_START_FIRST_ONLY,
        properties=_connect_properties(broker) if is_v5 else None,
        keepalive=broker.keep_alive_s,
        timeout=broker.timeout_s,
        tls_context=broker.tls,
        will=will,
    )


def _connect_properties(broker: Broker) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's
    properties.SessionExpiryInterval = broker.session_expiry_s
    properties.ReceiveMaximum = broker.receive_max
    # A PUBLISH has up to 65,535 bytes of topic, and its properties, beside the payload.
    properties.MaximumPacketSize = broker.payload_bytes_max + (1 << 17)
    return properties
