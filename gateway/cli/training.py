"""What the commands share that train: names, the budget, the file, and what they say of it."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import click

from gateway.core.errors import ConfigError
from gateway.core.manifest import MODEL_NAME_PATTERN, VERSION_PATTERN
from gateway.wire.bundle import Bundle, write_bundle

over_budget_option = click.option(
    "--over-budget", is_flag=True, help="Also write a model above the size or the time."
)


def check_names(name: str, version: str) -> None:
    """Check what a model is to be called: its manifest would tell a mistake too late.

    Raises:
        ConfigError: one line for each mistake.
    """
    mistakes = []
    if not re.match(MODEL_NAME_PATTERN, name):
        mistakes.append(f"--name: {name!r} must be lower-case letters, digits and hyphens")
    if not re.match(VERSION_PATTERN, version):
        mistakes.append(f"--model-version: {version!r} must be major.minor, such as 1.0")
    if mistakes:
        raise ConfigError(*mistakes)


def save(bundle: Bundle, out: Path) -> int:
    """Write a bundle to a file and return its size in bytes.

    Raises:
        ConfigError: the file cannot be written.
        ModelError: the bundle is too large.
    """
    data = write_bundle(bundle)
    try:
        out.write_bytes(data)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written: {error.strerror}") from error
    return len(data)


def tell(
    bundle: Bundle,
    out: Path,
    lines: Sequence[str],
    *,
    notes: Sequence[str],
    size_bytes: int,
    as_json: bool,
) -> None:
    """Print what a training made: one JSON object, or lines for a person and the notes."""
    manifest = bundle.manifest
    if as_json:
        document = {
            "out": str(out),
            "size_bytes": size_bytes,
            "notes": list(notes),
            "manifest": manifest.model_dump(mode="json"),
        }
        click.echo(json.dumps(document, indent=1))
        return
    click.echo(f"{out}: {manifest.name} {manifest.version}, {size_bytes / 1024:.0f} KiB")
    for line in lines:
        click.echo(f"  {line}")
    for note in notes:
        click.echo(f"  note: {note}")
