"""The Sparkplug B connector: a host application that takes in what edge nodes report.

Births say which metrics there are, data name them by alias, deaths make them stale. What is
missing of a sequence is waited for, then the edge node is asked for a new birth.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from connectors.cancellation import CancellationFirst
from connectors.mqtt.broker import BrokerAccess, BrokerSettings
from connectors.mqtt.broker_connector import BrokerConnector
from connectors.mqtt.sparkplug_tags import read_sparkplug_tags
from connectors.text_watch import TextWatch
from gateway.core.arrays import IndexArray
from gateway.core.ports import Clock, Sink

if TYPE_CHECKING:
    from connectors.mqtt.sparkplug_session import Surroundings

Id = Annotated[str, Field(pattern=r"^[^+/#]*$")]


class SparkplugConfig(BrokerSettings):
    """Edge nodes that speak Sparkplug B through one MQTT broker."""

    type: Literal["sparkplug"]
    """Protocol."""
    tags: Path
    """CSV file with the metrics, beside the configuration file."""
    group_id: Id = ""
    """Group of the edge nodes, for lines of the tag list that name none."""
    role: Literal["listener", "host"] = "listener"
    """A host publishes its STATE, on which edge nodes may wait; a listener publishes none."""
    host_id: Id = ""
    """Names us as host, as the edge nodes know it; nobody else may use it."""
    reorder_s: Annotated[float, Field(ge=0.05, le=60)] = 2.0
    """Longest wait for a message that is missing in a sequence; then a new birth is asked for."""
    rebirth_s: Annotated[float, Field(ge=0.1, le=3600)] = 10.0
    """Shortest time between two requests for a birth to one edge node."""
    birth_s: Annotated[float, Field(ge=0.1, le=3600)] = 10.0
    """Longest wait for the births after connecting; then the tags of a silent node are Bad."""
    read_back_s: Annotated[float, Field(gt=0, le=60)] = 3.0
    """Longest wait for the report that confirms a write."""

    @model_validator(mode="after")
    def _check_host(self) -> Self:
        if (self.role == "host") != bool(self.host_id):
            raise ValueError('role "host" and host_id belong together')
        return self


class SparkplugConnector(BrokerConnector):
    """Implements `Connector`."""

    def __init__(
        self, name: str, config: SparkplugConfig, *, folder: Path, gateway: str, clock: Clock
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
        self._rows = read_sparkplug_tags(folder / config.tags, group_id=config.group_id)
        super().__init__(name, config.broker, [row.entry.tag(name) for row in self._rows])
        self._config = config
        self._access = BrokerAccess(name, config, folder=folder, gateway=gateway)
        self._clock = clock
        self._texts = TextWatch()

    async def session(self, sink: Sink, indices: IndexArray) -> None:
        """Subscribe and hand on reports until cancelled; see `Connector`."""
        # Made here: aiomqtt and protobuf are needed only where such a connector is configured.
        from connectors.mqtt.sparkplug_session import SparkplugReceiver

        assert len(indices) == len(self.tags)
        with CancellationFirst() as cancellation:
            receiver = SparkplugReceiver(self._rows, self._surroundings(sink, indices))
            self._receiver = receiver
            try:
                await receiver.run(cancellation)
            finally:
                self._receiver = None

    def _surroundings(self, sink: Sink, indices: IndexArray) -> "Surroundings":
        from connectors.mqtt.sparkplug_session import Surroundings

        config = self._config
        return Surroundings(
            name=self.name,
            device=self._device,
            access=self._access,
            host_id=config.host_id,
            sink=sink,
            indices=indices,
            texts=self._texts,
            reorder_s=config.reorder_s,
            rebirth_s=config.rebirth_s,
            birth_s=config.birth_s,
            read_back_s=config.read_back_s,
            stop_s=config.stop_s,
            clock=self._clock,
        )
