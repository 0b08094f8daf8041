"""`edgewright status`: how the gateway is, in a few lines."""

from collections.abc import Iterator
from pathlib import Path

import click
from pydantic import BaseModel

from gateway.api.answers import StatusAnswer
from gateway.api.client import GatewayClient
from gateway.api.device_answers import DeviceAnswer
from gateway.api.uplink_answers import UplinkAnswer
from gateway.cli.local import ask, json_option, socket_option
from gateway.console.format import age, duration, plural, size

ADDRESSES_MAX = 5
"""Addresses that are named in a line."""


class Overview(BaseModel):
    """What the command prints."""

    status: StatusAnswer
    devices: tuple[DeviceAnswer, ...]
    uplinks: tuple[UplinkAnswer, ...]


@click.command("status")
@socket_option
@json_option
def command(socket: Path, *, as_json: bool) -> None:
    """Tell how the gateway is, in a few lines.

    Devices, deliveries, how long the buffer lasts, and whether the sample counts balance.
    """
    overview = ask(socket, _overview)
    click.echo(overview.model_dump_json(indent=1) if as_json else "\n".join(_lines(overview)))


async def _overview(client: GatewayClient) -> Overview:
    return Overview(
        status=await client.status(),
        devices=(await client.devices()).devices,
        uplinks=(await client.uplinks()).uplinks,
    )


def _lines(overview: Overview) -> Iterator[str]:
    status = overview.status
    up = age(status.started, status.now)
    yield f"{status.gateway}  {status.site}  version {status.version}, up {up}"
    yield f"{'assets':<10}{status.asset_count}, {plural(status.tag_count, 'tag')}"
    alarms = status.alarms
    yield (
        f"{'alarms':<10}{alarms.unacknowledged} new, {alarms.acknowledged} acknowledged, "
        f"{alarms.shelved} shelved, {alarms.suppressed} suppressed, "
        f"{alarms.out_of_service} out of service"
    )
    for device in overview.devices:
        since = age(device.since, status.now)
        yield f"{'device':<10}{device.name}  {device.state} for {since}  {device.reason}".rstrip()
        if device.set_aside:
            addresses = ", ".join(point.address for point in device.set_aside[:ADDRESSES_MAX])
            yield f"{'':<10}{len(device.set_aside)} set aside: {addresses}"
    for uplink in overview.uplinks:
        behind = f"{duration(uplink.lag_s)} behind, {plural(uplink.lag_records, 'record')}"
        yield f"{'uplink':<10}{uplink.name}  {uplink.state}  {behind}  {uplink.reason}".rstrip()
        yield from _uplink_lines(uplink)
    log = status.log
    yield (
        f"{'buffer':<10}{duration(log.buffer_s)} left without delivery, "
        f"about {duration(log.buffer_thinned_s)} with thinning, "
        f"{size(log.size_bytes)} of {size(log.size_bytes_max)} used"
    )
    if log.written_bytes_per_day is not None:
        yield f"{'flash':<10}{size(log.written_bytes_per_day)} a day written by the log"
    if log.fault:
        yield f"{'log':<10}nothing can be written: {log.fault}"
    if log.doubt:
        yield f"{'clock':<10}times are in doubt: {log.doubt}"
    yield from _configuration_lines(status)
    books = status.books
    yield (
        f"{'samples':<10}received {books.received}, stored {books.stored}, "
        f"acknowledged {books.acknowledged}, lost {books.lost}, thinned {books.thinned}, "
        f"gaps {books.gap_count}, healed with {books.healed}"
    )


def _uplink_lines(uplink: UplinkAnswer) -> Iterator[str]:
    for each in uplink.classes:
        if each.name == "backfill" and each.lag_records:
            line = f"{'':<10}{plural(each.lag_records, 'record')} of the past to deliver"
            line += f", {duration(each.lag_s)} back"
            yield line if each.drain_s is None else f"{line}, done in {duration(each.drain_s)}"
    if uplink.budget_bytes_per_day is not None:
        figures = f"{size(uplink.bytes_today)} of {size(uplink.budget_bytes_per_day)}"
        yield f"{'':<10}{figures} of today's budget are sent"


def _configuration_lines(status: StatusAnswer) -> Iterator[str]:
    configuration = status.configuration
    if not configuration.digest:
        return
    since = age(configuration.since, status.now)
    line = f"{'config':<10}{configuration.digest}  {configuration.file}  for {since}"
    if configuration.is_on_trial:
        line += ", on trial"
        if configuration.trial_until is not None:
            left_s = (configuration.trial_until - status.now).total_seconds()
            line += f" for {duration(max(left_s, 0.0))} more"
    yield line
    if configuration.left_at is not None:
        ago = age(configuration.left_at, status.now)
        yield f"{'':<10}left {configuration.left_digest} {ago} ago: {configuration.left_reason}"
