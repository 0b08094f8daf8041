"""`edgewright certs`: whom the gateway believes, and who it is."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from connectors.opcua.certificate_store import (
    Place,
    StoredCertificate,
    export_own,
    reject_certificate,
    stored_certificates,
    trust_certificate,
)
from connectors.opcua.security import CERTIFICATES_FOLDER
from connectors.opcua.trust import grouped
from gateway.cli.local import json_option
from gateway.config import read_config

GROUPS_IN_LINE = 8
NS_PER_S = 1_000_000_000

config_option = click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="Configuration file (TOML), which names the state folder.",
)
state_option = click.option(
    "--state",
    "state_folder",
    type=click.Path(path_type=Path),
    help="The gateway's state folder, instead of a configuration.",
)


@click.group("certs")
def command() -> None:
    """List, trust and reject the certificates of OPC UA servers.

    A server that the gateway does not know is refused, and its certificate kept. Compare its
    SHA-256 with the server's own display, then trust it: the gateway goes on at its next try.
    """


@command.command("list")
@config_option
@state_option
@json_option
def list_certificates(
    config_path: Path | None, state_folder: Path | None, *, as_json: bool
) -> None:
    """List the gateway's own certificate, the trusted and the rejected ones."""
    stored = stored_certificates(_folder(config_path, state_folder))
    if as_json:
        click.echo(json.dumps([_document(each) for each in stored], indent=1))
        return
    for each in stored:
        _print(each)
    if not stored:
        click.echo("no certificates yet: the gateway makes its own at its first secure connection")


@command.command("trust")
@click.argument("prefix", metavar="SHA256-PREFIX")
@config_option
@state_option
def trust(prefix: str, config_path: Path | None, state_folder: Path | None) -> None:
    """Trust the rejected certificate whose SHA-256 begins with SHA256-PREFIX."""
    _print(_moved(trust_certificate, prefix, _folder(config_path, state_folder)))


@command.command("reject")
@click.argument("prefix", metavar="SHA256-PREFIX")
@config_option
@state_option
def reject(prefix: str, config_path: Path | None, state_folder: Path | None) -> None:
    """Trust the certificate whose SHA-256 begins with SHA256-PREFIX no longer.

    A session that stands is not ended by it.
    """
    _print(_moved(reject_certificate, prefix, _folder(config_path, state_folder)))


@command.command("own")
@click.option(
    "--export",
    "target",
    type=click.Path(path_type=Path),
    required=True,
    help="File to write it to (DER).",
)
@config_option
@state_option
def own(target: Path, config_path: Path | None, state_folder: Path | None) -> None:
    """Hand out the gateway's own certificate, for a server to trust; the key stays here."""
    try:
        _print(export_own(_folder(config_path, state_folder), target))
    except LookupError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{target}: {error.strerror}") from error
    click.echo(f"written to {target}")


def _folder(config_path: Path | None, state_folder: Path | None) -> Path:
    """Return where the certificates are."""
    if (config_path is None) == (state_folder is None):
        raise click.UsageError("give either -c FILE or --state FOLDER")
    if config_path is not None:
        state_folder = read_config(config_path).gateway.state_folder
    assert state_folder is not None
    return state_folder / CERTIFICATES_FOLDER


def _moved(
    move: Callable[[Path, str], StoredCertificate], prefix: str, folder: Path
) -> StoredCertificate:
    try:
        return move(folder, prefix)
    except LookupError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from error


def _print(each: StoredCertificate) -> None:
    groups = grouped(each.fingerprint).split()
    lines = [
        " ".join(groups[at : at + GROUPS_IN_LINE]) for at in range(0, len(groups), GROUPS_IN_LINE)
    ]
    click.echo(f"{each.place:<9}{each.subject}")
    click.echo(f"         SHA-256  {lines[0]}")
    for line in lines[1:]:
        click.echo(f"                  {line}")
    click.echo(f"         valid    {_date(each.from_ns)} to {_date(each.to_ns)}")
    if each.seen_ns is not None:
        click.echo(f"         seen     by {each.connector}, {_date(each.seen_ns)}")
    elif each.place is not Place.OWN:
        click.echo("         seen     by no connector yet")


def _document(each: StoredCertificate) -> dict[str, object]:
    return {
        "place": each.place.value,
        "subject": each.subject,
        "sha256": each.fingerprint,
        "valid_from": _time(each.from_ns),
        "valid_to": _time(each.to_ns),
        "connector": each.connector or None,
        "seen": None if each.seen_ns is None else _time(each.seen_ns),
        "file": str(each.path),
    }


def _date(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns / NS_PER_S, UTC):%Y-%m-%d}"


def _time(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / NS_PER_S, UTC).isoformat()
