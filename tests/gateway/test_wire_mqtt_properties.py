"""Properties of messages, through the bytes of the library."""

from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.wire.mqtt_properties import (
    NO_PROPERTIES,
    MessageProperties,
    from_library,
    packet_size_bytes,
    to_library,
)

TEXT = st.text(st.characters(codec="ascii", min_codepoint=32), max_size=20)
PROPERTIES = st.builds(
    MessageProperties,
    response_topic=TEXT,
    correlation=st.binary(max_size=20),
    content_type=TEXT,
    expiry_s=st.none() | st.integers(0, 2**32 - 1),
    user=st.lists(st.tuples(TEXT, TEXT), max_size=5).map(tuple),
)


@given(PROPERTIES)
def test_properties_survive_the_wire(properties: MessageProperties) -> None:
    packed: bytes = to_library(properties).pack()  # type: ignore[no-untyped-call]  # paho's
    read = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's
    read.unpack(packed)  # type: ignore[no-untyped-call]  # paho's
    assert from_library(read) == properties


def test_a_message_of_the_older_version_has_none() -> None:
    assert from_library(None) == NO_PROPERTIES


@given(st.text(max_size=300), st.integers(0, 300_000), PROPERTIES)
def test_the_size_of_a_packet_is_never_reckoned_too_small(
    topic: str, size: int, properties: MessageProperties
) -> None:
    """Against the lengths of MQTT 5.0, 3.3: at most three bytes too much."""
    made = to_library(properties)
    packed: bytes = made.pack()  # type: ignore[no-untyped-call]  # paho's
    remaining = 2 + len(topic.encode()) + 2 + len(packed) + size
    length_bytes = next(count for count in range(1, 5) if remaining < 128**count)
    exact = 1 + length_bytes + remaining
    assert exact <= packet_size_bytes(topic, bytes(size), made) <= exact + 3
