"""The uplinks of a configuration, each with the delivery that feeds it."""

from collections.abc import Callable, Iterable, Mapping
from typing import assert_never

from cloud_sync.edge.dead_letters import FolderOfDeadLetters
from cloud_sync.edge.delivery import Delivery
from cloud_sync.edge.http import HttpUplink, HttpUplinkConfig
from cloud_sync.edge.influxdb import InfluxdbUplink, InfluxdbUplinkConfig
from cloud_sync.edge.mqtt import MqttUplink, MqttUplinkConfig
from cloud_sync.edge.places import cursors_of
from gateway.config import Config, UplinkConfig
from gateway.core.cursors import Scope
from gateway.core.errors import ConfigError
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
    gateway = GatewayId(config.gateway.id)
    letters = config.gateway.state_folder / "dead_letters"
    return tuple(
        Delivery(
            build_uplink(name, settings, gateway=gateway, note=ingress.note, clock=clock),
            gateway=gateway,
            reader=store,
            settings=settings.delivery,
            dead_letters=FolderOfDeadLetters(letters / name, bodies=store.bodies),
            clock=clock,
            note=ingress.note,
            budget_file=config.gateway.state_folder / "budgets" / f"{name}.json",
        )
        for name, settings in config.uplinks.items()
    )


def cursors_of_all(uplinks: Iterable[str]) -> Mapping[str, Scope]:
    """Return the cursors in the log of some uplinks, by name, and what each is for."""
    return {name: scope for uplink in uplinks for name, scope in cursors_of(uplink).items()}


def uplink_mistakes(config: Config, *, clock: Clock) -> list[str]:
    """Return what would keep uplinks from being built: secrets and certificates in files.

    Credentials are not looked for: only the running service is shown them.
    """
    mistakes: list[str] = []
    for name, settings in config.uplinks.items():
        options = dict(settings)
        if any(value is not None for key, value in options.items() if key.endswith("_credential")):
            continue
        try:
            build_uplink(
                name,
                settings,
                gateway=GatewayId(config.gateway.id),
                note=lambda _: None,
                clock=clock,
            )
        except ConfigError as error:
            mistakes += [_placed(name, mistake) for mistake in error.mistakes]
    return mistakes


def _placed(name: str, mistake: str) -> str:
    place = f"uplinks.{name}"
    return mistake if mistake.startswith(place) else f"{place}: {mistake}"


def build_uplink(
    name: str,
    settings: UplinkConfig,
    *,
    gateway: GatewayId,
    note: Callable[[Event], None],
    clock: Clock,
) -> Uplink:
    """Return the uplink that a table of the configuration describes; connects to nothing.

    Args:
        name: Of the uplink.
        settings: The table.
        gateway: Who delivers.
        note: Takes what the uplink itself has to tell a person.
        clock: For the times of its sessions and of what it tells.
    Raises:
        ConfigError: a secret or a certificate cannot be read.
    """
    match settings:
        case HttpUplinkConfig():
            return HttpUplink(name, settings)
        case MqttUplinkConfig():
            return MqttUplink(name, settings, gateway=gateway, clock=clock)
        case InfluxdbUplinkConfig():
            return InfluxdbUplink(name, settings, note=note, clock=clock)
        case _:
            assert_never(settings)
