"""`edgewright bench analytics`: how good the analytics are, on public recordings."""

import json
import sys
import time
from pathlib import Path

import click

from gateway.cli.bench_subject import Product
from gateway.cli.local import json_option
from gateway.core.errors import ConfigError
from gateway.proof.run import SETS, measure_sets
from gateway.proof.table import tables
from gateway.proof.workers import processes


@click.command("analytics")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder with a folder for each set, as they are published.",
)
@click.option(
    "--set", "names", type=click.Choice(list(SETS)), multiple=True, help="Only these.  [all]"
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1, max=64),
    default=2,
    show_default=True,
    help="Processes, of one thread each.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 when a gate does not hold.")
@json_option
def analytics(
    data: Path, names: tuple[str, ...], jobs: int, *, strict: bool, as_json: bool
) -> None:
    """Measure how good the analytics are on public recordings, beside plain and blind ways.

    Trains, scores and diagnoses as the commands of these names do without options. Labels are for
    judging alone. A set that is not in the folder gives rows without values.

    Try: edgewright bench analytics --data recordings --set skab
    """
    if not data.is_dir():
        raise ConfigError(f"--data: there is no folder {data}")
    begun_s = time.monotonic()

    def tell(text: str) -> None:
        click.echo(f"  {time.monotonic() - begun_s:4.0f} s  {text}", err=True)

    with processes(jobs) as workers:
        rows = measure_sets(data, names or tuple(SETS), Product(), workers, tell)
    if as_json:
        document = {"rows": [row.as_document() for row in rows]}
        click.echo(json.dumps(document, indent=1, ensure_ascii=False))
    else:
        click.echo(tables(rows))
    broken = [f"{row.set_name} {row.metric}" for row in rows if row.gate_held is False]
    if broken:
        click.echo(f"gates that do not hold: {', '.join(broken)}", err=True)
        if strict:
            sys.exit(1)
