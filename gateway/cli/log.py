"""`edgewright log`: what a person does to the record log by hand."""

import os
import secrets
from pathlib import Path

import click

from gateway.store.encryption import KEY_BYTES, fingerprint_of


@click.group("log")
def command() -> None:
    """Look after the record log."""


@command.command("key")
@click.option(
    "--out",
    "target",
    type=click.Path(path_type=Path),
    required=True,
    help="File to write the key to; it must not exist.",
)
def key(target: Path) -> None:
    """Make a key to encrypt the log with, for [log.encryption].

    Keep a copy of it apart from the gateway: without the key, nobody can read the log.
    """
    made = secrets.token_bytes(KEY_BYTES)
    try:
        # An old key may be all that opens a log, so it is never written over.
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{made.hex()}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise click.ClickException(f"{target}: {error.strerror}") from error
    click.echo(f"written to {target}; its fingerprint is {fingerprint_of(made).hex()}")
