"""`edgewright demo`: the whole loop on one machine, with real processes and real sockets."""

import asyncio
import shutil
import sys
import tempfile
import textwrap
from pathlib import Path

import click

from gateway.console.app import ConsoleApp
from gateway.core.errors import GatewayError
from gateway.demo.play import Play
from gateway.demo.report import Report
from gateway.demo.stage import set_stage
from gateway.demo.timeline import DURATION_S_MIN, Timeline, timeline_for

DEFAULT_SEED = 8
"""Draws a worn bearing on a pump and a clogged filter on the compressor."""
NOTICE_S = 8.0
"""How long the console shows what happens."""
NOTICE_LENGTH = 140
"""Characters of it: three lines on 80 columns."""


@click.command("demo")
@click.option("--headless", is_flag=True, help="Without the console: print the report at the end.")
@click.option("--for", "duration", default="180s", show_default=True, help="Length of the play.")
@click.option("--seed", default=DEFAULT_SEED, show_default=True, help="Draws plant and faults.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.option(
    "--state", type=click.Path(path_type=Path), help="Keep all files here instead of removing them."
)
def command(duration: str, seed: int, state: Path | None, *, headless: bool, as_json: bool) -> None:
    """A simulated plant, the gateway, the cloud, and the console, in one go.

    Plays about three minutes: normal running; a machine fault or two, found early; the link to
    the cloud cut and drained; a model retrained, tried in shadow and promoted; three bad models
    that the gateway keeps out. Exits with 1 when a promise is broken.
    """
    timeline = timeline_for(seconds(duration), seed=seed)
    folder = state or Path(tempfile.mkdtemp(prefix="edgewright-demo-"))
    if folder.exists() and any(folder.iterdir()):
        raise GatewayError(f"{folder} is not empty: remove it, or choose another with --state")
    folder.mkdir(parents=True, exist_ok=True)
    watched = not (headless or as_json) and sys.stdout.isatty()
    try:
        report = asyncio.run(play(folder.resolve(), timeline, seed=seed, watched=watched))
    finally:
        if state is None:
            shutil.rmtree(folder, ignore_errors=True)
    click.echo(report.model_dump_json(indent=2) if as_json else as_text(report))
    if not report.is_kept:
        sys.exit(1)


async def play(folder: Path, timeline: Timeline, *, seed: int, watched: bool) -> Report:
    """Set the stage and play; when watched, the console runs beside it until it is left."""
    narrator = Narrator()
    stage = await set_stage(folder, timeline, seed=seed, tell=narrator.tell)
    try:
        performance = Play(stage, timeline, seed=seed, tell=narrator.tell)
        if not watched:
            return await performance.run()
        return await performance.run(audience=lambda: narrator.watch(stage.api_socket))
    finally:
        if not stage.plant.has_stopped:
            await stage.plant.kill()


class Narrator:
    """Says what happens: on standard error, or in the console while it is open."""

    def __init__(self) -> None:
        """Begin without a console."""
        self._app: ConsoleApp | None = None

    def tell(self, text: str) -> None:
        """Say one thing."""
        if self._app is not None and self._app.is_running:
            self._app.notify(textwrap.shorten(text, NOTICE_LENGTH), timeout=NOTICE_S)
        else:
            click.echo(f"· {text}", err=True)

    async def watch(self, socket: Path) -> None:
        """Show the console until the person leaves it."""
        self._app = ConsoleApp(socket)
        await self._app.run_async()


def seconds(text: str) -> float:
    """Return a duration such as `180s` or `3min` in seconds.

    Raises:
        click.BadParameter: it is no duration, or too short for the play.
    """
    number = text.removesuffix("min") if text.endswith("min") else text.removesuffix("s")
    try:
        value = float(number) * (60.0 if text.endswith("min") else 1.0)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no duration such as 180s or 3min") from error
    if value < DURATION_S_MIN:
        raise click.BadParameter(f"the acts need at least {DURATION_S_MIN:g}s")
    return value


def as_text(report: Report) -> str:
    """Return the report for a person."""
    samples, latency = report.samples, report.decision_latency_ms
    lines = [
        f"samples   offered {samples.offered}, in the lake {samples.in_lake}, "
        f"gap {samples.gap}, lost {samples.lost}, twice {samples.duplicated}",
        f"outage    {report.outage.seconds:g} s, {report.outage.buffered} samples waited, "
        f"drained in {report.outage.drained_in_seconds} s",
        f"decision  p50 {latency.p50:.2f} ms, p99 {latency.p99:.2f} ms",
    ]
    for fault in report.faults:
        found = (
            f"found after {fault.delay_s:g} s by {fault.condition}"
            if fault.delay_s is not None
            else "not found"
        )
        lines.append(f"fault     {fault.asset} {fault.name.replace('_', ' ')}: {found}")
    lines += [
        f"model     {model.name} {model.version}: {model.stage}: {model.reason}"
        for model in report.models
    ]
    lines += [f"{'kept' if kept else 'BROKEN':9} {name}" for name, kept in report.promises.items()]
    return "\n".join(lines)
