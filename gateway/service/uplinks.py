"""The uplinks of a configuration, each with the delivery that feeds it."""

from collections.abc import Callable
from typing import assert_never

from cloud_sync.edge.dead_letters import FolderOfDeadLetters
from cloud_sync.edge.delivery import Delivery
from cloud_sync.edge.http import HttpUplink, HttpUplinkConfig
from cloud_sync.edge.influxdb import InfluxdbUplink, InfluxdbUplinkConfig
from gateway.config import Config, UplinkConfig
from gateway.core.events import Event
from gateway.core.ports import Clock, Uplink
from gateway.core.records import GatewayId
from gateway.pipeline import Ingress
from gateway.store import RecordLog


def build_deliveries(
    config: Config, store: RecordLog, ingress: Ingress, *, clock: Clock
) -> tuple[Delivery, ...]:
    """Return the deliveries of all uplinks, in the order of the configuration.

    Raises:
        ConfigError: a secret or a certificate cannot be read.
    """
    letters = config.gateway.state_folder / "dead_letters"
    return tuple(
        Delivery(
            build_uplink(name, settings, note=ingress.note, clock=clock),
            gateway=GatewayId(config.gateway.id),
            reader=store,
            settings=settings.delivery,
            dead_letters=FolderOfDeadLetters(letters / name),
            clock=clock,
            note=ingress.note,
        )
        for name, settings in config.uplinks.items()
    )


def build_uplink(
    name: str, settings: UplinkConfig, *, note: Callable[[Event], None], clock: Clock
) -> Uplink:
    """Return the uplink that a table of the configuration describes; connects to nothing.

    Args:
        name: Of the uplink.
        settings: The table.
        note: Takes what the uplink itself has to tell a person.
        clock: For the times of such events.
    Raises:
        ConfigError: a secret or a certificate cannot be read.
    """
    match settings:
        case HttpUplinkConfig():
            return HttpUplink(name, settings)
        case InfluxdbUplinkConfig():
            return InfluxdbUplink(name, settings, note=note, clock=clock)
        case _:
            assert_never(settings)
