"""`edgewright check`: is this configuration right, what will it cost, and what say the devices?"""

import asyncio
import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from gateway.api.client import GatewayClient
from gateway.cli import EXIT_FAILED
from gateway.cli.live import LiveAnswer, load_text, path_advice, tight_texts
from gateway.config import Config, read_config
from gateway.console.format import plural
from gateway.core.errors import ConfigError
from gateway.service.build import Parts, build_parts
from gateway.service.forecast import SLOWER_COMMIT, Forecast, forecast_of
from gateway.service.live_check import LiveResult, ask_running, check_live, devices_running, is_held
from gateway.service.uplinks import uplink_mistakes
from gateway.wire.clock import SystemClock
from gateway.wire.messages import silence_messages

FOR_S = 15.0


@click.command("check")
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--live",
    "is_live",
    is_flag=True,
    help="Connect to the devices and read every tag once; nothing is written.",
)
@click.option(
    "--for",
    "for_s",
    type=click.FloatRange(1, 600),
    default=FOR_S,
    show_default=True,
    help="With --live: longest wait for the values of a device, in seconds.",
)
@click.option(
    "--allow-unknown",
    "allows_unknown",
    is_flag=True,
    help="With --live: what the devices do not have is listed, but is no problem.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    path: Path, for_s: float, *, is_live: bool, allows_unknown: bool, as_json: bool
) -> None:
    """Check a configuration, without connecting to anything unless --live is given.

    Prints every mistake at once and exits with 2, or says what to expect. With --live all devices
    are connected to side by side; it exits with 1 when something is wrong there. A connection that
    the running gateway has already is not made again: the gateway is asked what it reads.
    """
    config = read_config(path)
    clock = SystemClock()
    parts = build_parts(config, folder=path.resolve().parent, clock=clock)
    if mistakes := uplink_mistakes(config, clock=clock):
        raise ConfigError(*mistakes)
    forecast = forecast_of(config, parts)
    if not is_live:
        tight = {each.name: texts for each in parts.connectors if (texts := tight_texts(each))}
        if as_json:
            click.echo(json.dumps({"ok": True, **asdict(forecast), "too_tight": tight}))
            return
        _tell_connectors(
            {
                connector.name: _joined(
                    f"{connector.address}   {load_text(connector)}",
                    path_advice(config.connectors[connector.name]),
                    *(f"too tight, as estimated: {x}" for x in tight.get(connector.name, ())),
                )
                for connector in parts.connectors
            }
        )
        _tell_rest(config, forecast)
        click.echo("no mistakes found")
        return
    silence_messages()
    answers = asyncio.run(_live(config, parts, for_s=for_s))
    now = datetime.now(UTC)
    problems = [problem for answer in answers for problem in answer.problems(now=now)]
    counted = [each for each in problems if not (each.is_unknown and allows_unknown)]
    if as_json:
        document = {
            "ok": not counted,
            **asdict(forecast),
            "connectors": [answer.document(now=now) for answer in answers],
        }
        click.echo(json.dumps(document))
    else:
        _tell_connectors({each.connector.name: _text(each, now) for each in answers})
        _tell_rest(config, forecast)
        click.echo(_outcome(len(counted), has_unknown=any(each.is_unknown for each in counted)))
    if counted:
        raise click.exceptions.Exit(EXIT_FAILED)


async def _live(config: Config, parts: Parts, *, for_s: float) -> tuple[LiveAnswer, ...]:
    """Ask every device, or the running gateway where it has the connection."""
    async with GatewayClient(config.api.socket) as client:
        running = await devices_running(client)
        held = [each for each in parts.connectors if is_held(each, running)]
        found = list(await check_live(parts.connectors, deadline_s=for_s, running=running))
        found += [await ask_running(client, each, running[each.name]) for each in held]
    results: dict[str, LiveResult] = {result.name: result for result in found}
    return tuple(
        LiveAnswer.of(connector, settings, results[connector.name])
        for connector, settings in zip(parts.connectors, config.connectors.values(), strict=True)
    )


def _text(answer: LiveAnswer, now: datetime) -> str:
    problems = [problem.text for problem in answer.problems(now=now)]
    return _joined(answer.head(), path_advice(answer.settings), *problems)


def _joined(*lines: str) -> str:
    """Return the lines that say something, under one another."""
    return "\n".join(line for line in lines if line)


def _tell_connectors(texts: dict[str, str]) -> None:
    """Print each connector's lines under one another, its name beside the first."""
    width = max(map(len, texts), default=0)
    for name, text in texts.items():
        first, *others = text.splitlines()
        click.echo(f"{name:{width}}   {first}")
        for line in others:
            click.echo(f"{'':{width}}   {line}")


def _tell_rest(config: Config, forecast: Forecast) -> None:
    width = max(map(len, config.twins), default=0)
    for name, twin in config.twins.items():
        click.echo(f"{name:{width}}   {twin.type}, {len(twin.alarms)} alarms of its own")
    click.echo(f"load     {forecast.samples_per_s:.4g} samples a second at the most")
    click.echo(
        f"buffer   {config.log.backlog_bytes_max / 2**30:.1f} GiB lasts "
        f"{forecast.buffer_days:.0f} days without the cloud, "
        f"about {forecast.buffer_thinned_days:.0f} with thinning; "
        f"{forecast.bytes_per_day / 1e6:.0f} MB a day up"
    )
    click.echo(f"power    a power cut can cost the last {forecast.power_cut_s:g} s")
    slower_s = SLOWER_COMMIT * forecast.power_cut_s
    click.echo(
        f"flash    {forecast.flash_bytes_per_day / 1e6:.0f} MB a day are written; with "
        f"log.group_commit_s = {slower_s:g}, {forecast.flash_bytes_per_day_slower / 1e6:.0f} MB,"
        f" and a power cut can cost {slower_s:g} s"
    )


def _outcome(count: int, *, has_unknown: bool) -> str:
    if not count:
        return "no mistakes found, and every device is as it should be"
    advice = "fix them"
    if has_unknown:
        advice += ", or let what the devices do not have pass with --allow-unknown"
    return f"{plural(count, 'problem')}: {advice}"
