"""The MQTT connector: subscribes to topics and reads values out of JSON messages.

The session with the broker is kept while we are away, so that the broker keeps what is published
with QoS 1 in the meantime. A message that cannot be used makes its own tag Bad, once, in a frame
that says that it is ours.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from connectors.cancellation import CancellationFirst
from connectors.mqtt.broker import BrokerAccess, BrokerSettings
from connectors.mqtt.broker_connector import BrokerConnector
from connectors.mqtt.json_message import QualityNumbers, TextNumbers
from connectors.mqtt.tags import read_mqtt_tags
from connectors.taglist import check_groups
from gateway.core.arrays import IndexArray, float_column
from gateway.core.ports import Clock, Sink
from gateway.core.settings import Settings

if TYPE_CHECKING:
    from connectors.mqtt.session import HandedOver, Surroundings

Silence = Annotated[float, Field(ge=0, le=31_536_000)]


class SilenceGroup(Settings):
    """Tags that may be silent for a time of their own."""

    silence_s_max: Silence
    """Longest silence of a tag of the group; then its value is old. 0 is for ever."""


class MqttConfig(BrokerSettings):
    """Machines that publish JSON to one MQTT broker."""

    type: Literal["mqtt"]
    """Protocol."""
    tags: Path
    """CSV file with the topics and paths, beside the configuration file."""
    silence_s_max: Silence = 0.0
    """Longest silence of a tag without a group; then its value is old. 0 is for ever."""
    groups: dict[str, SilenceGroup] = Field(default_factory=dict)
    """Silences of the groups that the tag list names."""
    text_numbers: TextNumbers = TextNumbers.REFUSE
    """What is done with a number that is written as text, such as `"12.5"`."""
    quality_numbers: QualityNumbers = QualityNumbers.OPC_UA
    """What a quality that is a number means: a status code of OPC UA, or a quality of OPC DA."""
    session_expiry_s: Annotated[int, Field(ge=0, le=2_592_000)] = 86_400
    """How long the broker keeps messages while we are away; 0 is not at all (with 3.1.1, any other
    value is as long as the broker likes)."""
    read_back_s: Annotated[float, Field(gt=0, le=60)] = 3.0
    """Longest wait for the message that confirms a write."""


class MqttConnector(BrokerConnector):
    """Implements `Connector`."""

    def __init__(
        self, name: str, config: MqttConfig, *, folder: Path, gateway: str, clock: Clock
    ) -> None:
        """Read the tag list, the password and the certificates.

        Args:
            name: Opens the ids of the tags.
            config: Its settings.
            folder: That of the configuration file; files in `config` start there.
            gateway: Id of the gateway.
            clock: Time.
        Raises:
            ConfigError: with all mistakes of the tag list, or a file cannot be used.
        """
        rows = read_mqtt_tags(
            folder / config.tags,
            text_numbers=config.text_numbers,
            quality_numbers=config.quality_numbers,
        )
        check_groups(
            [row.entry for row in rows], config.groups, file=config.tags.name, connector=name
        )
        super().__init__(name, config.broker, [row.entry.tag(name) for row in rows])
        self._config = config
        self._rows = rows
        self._access = BrokerAccess(name, config, folder=folder, gateway=gateway)
        self._clock = clock
        self._handed_over: HandedOver | None = None

    async def session(self, sink: Sink, indices: IndexArray) -> None:
        """Subscribe and hand on readings until cancelled; see `Connector`.

        One thing outlives a session: which messages the sink has, so that those which the broker
        repeats in the next one are not handed over twice.
        """
        # Made here: aiomqtt is needed only where a broker is configured.
        from connectors.mqtt.session import HandedOver, MqttReceiver

        assert len(indices) == len(self.tags)
        if self._handed_over is None:
            self._handed_over = HandedOver()
        with CancellationFirst() as cancellation:
            around = self._surroundings(sink, indices)
            receiver = MqttReceiver(self._rows, around, self._handed_over)
            self._receiver = receiver
            try:
                await receiver.run(cancellation)
            finally:
                self._receiver = None

    def _surroundings(self, sink: Sink, indices: IndexArray) -> "Surroundings":
        from connectors.mqtt.session import Surroundings

        config = self._config
        silences = [
            config.groups[row.entry.group].silence_s_max
            if row.entry.group
            else config.silence_s_max
            for row in self._rows
        ]
        return Surroundings(
            name=self.name,
            device=self._device,
            broker=self._access.broker(session_expiry_s=config.session_expiry_s),
            sink=sink,
            indices=indices,
            silence_s_max=float_column(np.where(np.array(silences) > 0, silences, np.inf)),
            read_back_s=config.read_back_s,
            stop_s=config.stop_s,
            clock=self._clock,
        )
