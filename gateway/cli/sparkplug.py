"""`edgewright sparkplug`: which metrics the edge nodes behind a broker have."""

import asyncio
from pathlib import Path
from uuid import uuid4

import click
from pydantic import ValidationError

from connectors.mqtt.broker import BrokerAccess, BrokerSettings
from gateway.core.errors import ConfigError
from gateway.wire.clock import SystemClock
from gateway.wire.settings_file import mistakes_of


@click.group("sparkplug")
def command() -> None:
    """Look at what speaks Sparkplug B."""


@command.command("browse")
@click.argument("broker")
@click.option("--group", default="+", help="Only edge nodes of this group.")
@click.option("--for", "wait_s", default=10.0, show_default=True, help="Seconds to listen.")
@click.option("--listen-only", is_flag=True, help="Do not ask edge nodes for their births.")
@click.option("--user", default="", help="User name at the broker.")
@click.option("--password-file", type=click.Path(path_type=Path), help="File with the password.")
@click.option("--ca-file", type=click.Path(path_type=Path), help="Certificates (PEM) to trust.")
@click.option("--login-in-clear", is_flag=True, help="Send the password also without TLS.")
@click.option("--protocol", type=click.Choice(["5", "3.1.1"]), default="5", help="MQTT version.")
def browse(
    broker: str,
    *,
    group: str,
    wait_s: float,
    listen_only: bool,
    user: str,
    password_file: Path | None,
    ca_file: Path | None,
    login_in_clear: bool,
    protocol: str,
) -> None:
    """Print the metrics of the edge nodes at BROKER (mqtt://host:port) as a tag list.

    Edge nodes that are heard are asked for their births. One that says nothing in the whole time
    is not found.
    """
    # Made here: aiomqtt and protobuf are needed for nothing else in this command.
    from connectors.mqtt.sparkplug_browse import browse as find
    from connectors.mqtt.sparkplug_browse import tag_list
    from gateway.wire.broker_error import BrokerError

    try:
        settings = BrokerSettings.model_validate(
            {
                "broker": broker,
                "client_id": f"edgewright-browse-{uuid4().hex[:8]}",
                "user": user,
                "password_file": password_file,
                "ca_file": ca_file,
                "login_in_clear": "accept" if login_in_clear else "refuse",
                "protocol": protocol,
            }
        )
    except ValidationError as error:
        raise ConfigError(*mistakes_of(error)) from error
    access = BrokerAccess("browse", settings, folder=Path.cwd(), gateway="browse")
    searching = find(
        access.broker(session_expiry_s=0),
        group=group,
        wait_s=wait_s,
        asks=not listen_only,
        clock=SystemClock(),
    )
    try:
        found = asyncio.run(searching)
    except BrokerError as error:
        raise click.ClickException(
            f"{broker} {error.text}. {error.check} ({error.detail})"
        ) from error
    click.echo(tag_list(found), nl=False)
    if not found:
        raise click.ClickException("no birth was heard")
