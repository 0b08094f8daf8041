"""`edgewright cloud`: run the cloud side, and operate one that runs."""

import asyncio
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

import click

from cloud_sync.cloud.client import CloudClient
from cloud_sync.cloud.messages import RetrainOutcome, RetrainRun, Status
from cloud_sync.cloud.registry import Registry
from cloud_sync.cloud.service import only_process, run_cloud
from cloud_sync.cloud.settings import GATEWAY_PATTERN, read_cloud_settings
from cloud_sync.cloud.setup import CONFIGURATION, HAND_OVER, OPERATOR_TOKEN, create_cloud
from gateway.cli import EXIT_FAILED
from gateway.core.errors import ConfigError
from gateway.wire.clock import SystemClock
from gateway.wire.messages import set_up_messages

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
P = ParamSpec("P")


@click.group("cloud")
def command() -> None:
    """Run and operate the cloud side.

    It takes the batches of gateways, keeps them as Parquet files, retrains models and releases
    them, signed. `init` makes keys and a configuration, `run` runs it; the other commands ask a
    cloud that is running.
    """


@command.command("init")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--gateway", "gateways", multiple=True, required=True, help="Id; repeat for more.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8443, show_default=True, type=click.IntRange(0, 65_535))
def init(folder: Path, gateways: tuple[str, ...], host: str, port: int) -> None:
    """Make configuration, tokens and signing keys in a new FOLDER.

    For each gateway, `hand-over/GATEWAY` holds what has to be carried to it.
    """
    mistakes = [
        f"--gateway: {gateway!r} needs letters, digits, `.`, `_` or `-`"
        for gateway in gateways
        if not re.fullmatch(GATEWAY_PATTERN, gateway)
    ]
    if len(set(gateways)) != len(gateways):
        mistakes.append("--gateway: one is given twice")
    if mistakes:
        raise ConfigError(*mistakes)
    create_cloud(folder, gateways=gateways, host=host, port=port, clock=SystemClock())
    click.echo(f"Carry {folder / HAND_OVER}/GATEWAY to each gateway, then delete it here.")
    click.echo(f"Take {folder}/state/keys/root.pem and targets.pem offline: see the manual.")
    click.echo(f"Start it with: edgewright cloud run -c {folder / CONFIGURATION}")


@command.command("run")
@click.option("-c", "--config", "path", type=FILE, required=True, help="Configuration (TOML).")
@click.option("--json", "as_json", is_flag=True, help="Print where it listens, once it does.")
def run(path: Path, *, as_json: bool) -> None:
    """Run the cloud until it is told to stop (SIGTERM, Ctrl-C)."""
    set_up_messages()

    def started(url: str) -> None:
        if as_json:
            click.echo(json.dumps({"url": url, "pid": os.getpid()}))

    asyncio.run(run_cloud(read_cloud_settings(path), started=started))


@command.command("renew")
@click.option("-c", "--config", "path", type=FILE, required=True, help="Configuration (TOML).")
@click.option(
    "--keys", type=FOLDER, required=True, help="Folder with root.pem and targets.pem, from offline."
)
def renew(path: Path, keys: Path) -> None:
    """Sign the registry's root anew, before its signature runs out.

    Stop the cloud first. `status` tells how long signatures hold.
    """
    settings = read_cloud_settings(path)
    with only_process(settings):
        registry = Registry(
            settings.registry_folder,
            settings.keys_folder,
            settings=settings.registry,
            clock=SystemClock(),
        )
        registry.renew(keys)
    click.echo(f"root and targets hold for {settings.registry.root_days} days from now")


def asks_cloud(function: Callable[P, None]) -> Callable[P, None]:
    """Add the options of a command that asks a running cloud."""
    options = (
        click.option(
            "--url", default="http://127.0.0.1:8443", show_default=True, help="Where the cloud is."
        ),
        click.option(
            "--token-file",
            type=FILE,
            required=True,
            help=f"The operator's token: the file `{OPERATOR_TOKEN}` that `init` made.",
        ),
        click.option("--ca-file", type=FILE, help="Certificates (PEM) that may vouch for it."),
        click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@command.command("release")
@click.argument("bundle", type=FILE)
@asks_cloud
def release(
    bundle: Path, url: str, token_file: Path, ca_file: Path | None, *, as_json: bool
) -> None:
    """Sign and release a model BUNDLE (.ewm) to all gateways."""
    released = asyncio.run(_client(url, token_file, ca_file).release(bundle.read_bytes()))
    click.echo(
        released.model_dump_json(indent=1)
        if as_json
        else f"{released.name} {released.version} is released as {released.target}"
    )


@command.command("retrain")
@click.argument("model")
@asks_cloud
def retrain(model: str, url: str, token_file: Path, ca_file: Path | None, *, as_json: bool) -> None:
    """Retrain a MODEL from the lake, and release it if it is better.

    That it was not better, or that there are too few rows, is an answer and not a failure.
    """
    answered = asyncio.run(_client(url, token_file, ca_file).retrain(model))
    click.echo(answered.model_dump_json(indent=1) if as_json else _retraining(answered))
    if answered.outcome is RetrainOutcome.FAILED:
        raise click.exceptions.Exit(EXIT_FAILED)


@command.command("status")
@asks_cloud
def status(url: str, token_file: Path, ca_file: Path | None, *, as_json: bool) -> None:
    """Show what came from the gateways, and what the lake holds."""
    answered = asyncio.run(_client(url, token_file, ca_file).status())
    click.echo(answered.model_dump_json(indent=1) if as_json else _overview(answered))


def _client(url: str, token_file: Path, ca_file: Path | None) -> CloudClient:
    try:
        token = token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{token_file}: the token cannot be read") from error
    return CloudClient(url, token=token, ca_file=ca_file)


def _retraining(run: RetrainRun) -> str:
    figures = [f"   {name:28} {value:g}" for name, value in run.figures.items()]
    return "\n".join([f"{run.model}: {run.text}", *figures])


def _overview(status: Status) -> str:
    lines = ["gateway                   samples  duplicates  losses    gaps  last batch"]
    for each in status.gateways:
        age_s = max(0.0, time.time() - each.last_received_ns / 1e9)
        lines.append(
            f"{each.gateway:20} {each.sample_count:12,} {each.duplicate_count:11,} "
            f"{each.loss_count:7} {each.gap_count:7}  {age_s:,.0f} s ago"
        )
    lake = status.lake
    lines.append(
        f"lake: {lake.file_row_count:,} rows in {lake.file_count} files, "
        f"{lake.file_size_bytes / 2**20:,.1f} MiB; {lake.inbox_row_count:,} rows wait for a file"
    )
    if lake.spoilt_batch_count:
        lines.append(f"{lake.spoilt_batch_count} batches can no longer be read: check the disk")
    role, expiry_s = min(status.registry_expiry_s.items(), key=lambda item: item[1])
    lines.append(f"registry: the next signature to run out is {role}, in {expiry_s / 86_400:.0f} d")
    return "\n".join(lines)
