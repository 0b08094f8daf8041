"""The uplinks of a configuration, each with the delivery that feeds it."""

from typing import assert_never

from cloud_sync.edge.dead_letters import FolderOfDeadLetters
from cloud_sync.edge.delivery import Delivery
from cloud_sync.edge.http import HttpUplink, HttpUplinkConfig
from cloud_sync.edge.mqtt import MqttUplink, MqttUplinkConfig
from gateway.config import Config, UplinkConfig
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
    gateway = GatewayId(config.gateway.id)
    letters = config.gateway.state_folder / "dead_letters"
    return tuple(
        Delivery(
            build_uplink(name, settings, gateway=gateway, clock=clock),
            gateway=gateway,
            reader=store,
            settings=settings.delivery,
            dead_letters=FolderOfDeadLetters(letters / name),
            clock=clock,
            note=ingress.note,
        )
        for name, settings in config.uplinks.items()
    )


def build_uplink(name: str, settings: UplinkConfig, *, gateway: GatewayId, clock: Clock) -> Uplink:
    """Return the uplink that a table of the configuration describes; connects to nothing.

    Args:
        name: Of the uplink.
        settings: The table.
        gateway: Who delivers.
        clock: For the times of its sessions.
    Raises:
        ConfigError: a secret or a certificate cannot be read.
    """
    match settings:
        case HttpUplinkConfig():
            return HttpUplink(name, settings)
        case MqttUplinkConfig():
            return MqttUplink(name, settings, gateway=gateway, clock=clock)
        case _:
            assert_never(settings)
