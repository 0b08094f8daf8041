"""`edgewright browse`: what an OPC UA server has, as it is found."""

import asyncio
import json
import math
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from connectors.opcua.address_space import SEPARATOR, NodeClass, path_pattern
from connectors.opcua.nodes import NodeAddress, parse_node
from gateway.cli.opcua_access import Access, Login, access_options, done_within, opened
from gateway.core.errors import DeviceError
from gateway.core.units import printed_unit

if TYPE_CHECKING:
    from connectors.opcua.browse import FoundNode
    from connectors.opcua.variables import Facts

DEPTH_MAX = 100
WITHIN_S = 300.0
EXAMPLES = 3
PIN_NAME = "browse"
"""A certificate trusted at first use is kept under this name; connectors have their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a person looks for."""

    start: NodeAddress | None
    depth_max: int
    search: str
    """In small letters; empty is everything."""
    pattern: re.Pattern[str] | None
    wants_values: bool
    limit: int | None

    @property
    def is_narrow(self) -> bool:
        """Whether only some nodes are shown."""
        return bool(self.search) or self.pattern is not None


@click.command("browse")
@click.argument("endpoint")
@click.option("--node", help="Where to start, such as 'ns=2;s=P101'; the Objects folder without.")
@click.option("--depth", type=click.IntRange(1, DEPTH_MAX), default=DEPTH_MAX, help="Levels down.")
@click.option("--search", default="", help="Text in a name or node id; case does not count.")
@click.option("--filter", "glob", help="Pattern for the whole path, such as '**/P101/*'.")
@click.option("--values", is_flag=True, help="Also type, present value, unit and range.")
@click.option("--limit", type=click.IntRange(1), help="Stop after so many nodes.")
@click.option(
    "--within",
    "within_s",
    type=click.FloatRange(0, min_open=True),
    default=WITHIN_S,
    show_default=True,
    help="Seconds; longest time for all of it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("state"),
    show_default=True,
    help="State folder of the gateway; keeps certificates, when --security asks for them.",
)
@access_options
def command(
    *,
    endpoint: str,
    node: str | None,
    depth: int,
    search: str,
    glob: str | None,
    values: bool,
    limit: int | None,
    within_s: float,
    as_json: bool,
    state: Path,
    login: Login,
) -> None:
    """Show the nodes of the OPC UA server at ENDPOINT, level by level.

    \b
      edgewright browse opc.tcp://10.0.4.20:4840                            how to connect
      edgewright browse opc.tcp://10.0.4.20:4840 --security None --depth 2   the first two levels
      edgewright browse ... --filter '**/P101/*' --values                    what pump P101 says
      edgewright browse ... --search vibration --json | head                 for programs
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    access = Access(endpoint=checked_endpoint(endpoint), login=login, state_folder=state)
    login.settings()  # a wrong set of options is told before anything is connected to
    question = Question(
        start=_start(node),
        depth_max=depth,
        search=search.lower(),
        pattern=path_pattern(glob) if glob else None,
        wants_values=values,
        limit=limit,
    )
    asyncio.run(_browse(access, question, within_s=within_s, as_json=as_json))


def checked_endpoint(text: str) -> str:
    """Return an endpoint that has host and port.

    Raises:
        click.UsageError: it has not.
    """
    if re.fullmatch(r"opc\.tcp://[^/\s@]+:\d+(/\S*)?", text) is None:
        raise click.UsageError(f"{text!r} is no endpoint such as opc.tcp://10.0.4.20:4840")
    return text


def _start(text: str | None) -> NodeAddress | None:
    try:
        return parse_node(text) if text else None
    except ValueError as error:
        raise click.UsageError(str(error)) from error


async def _browse(access: Access, question: Question, *, within_s: float, as_json: bool) -> None:
    finder = Finder(question)
    begun = time.monotonic()
    try:
        notes = await done_within(within_s, _walk(access, question, finder, as_json=as_json))
    except TimeoutError as error:
        raise DeviceError(
            f"not done within {within_s:g} s; {finder.seen_count} nodes so far. Narrow it with "
            "--node or --depth, or raise --within."
        ) from error
    # Beside the answer, so that a program reads nothing but the answer.
    taken_s = time.monotonic() - begun
    click.echo("; ".join((*notes, f"{taken_s:.1f} s")), err=True)
    if not finder.kept_count and question.is_narrow:
        raise DeviceError(finder.nothing_found())


async def _walk(
    access: Access, question: Question, finder: "Finder", *, as_json: bool
) -> list[str]:
    """Print what is found, and return what there is to say about it."""
    from connectors.opcua.browse import BrowseQuery, Browser, Wanted

    query = BrowseQuery(
        start=question.start,
        depth_max=question.depth_max,
        wanted=Wanted.VALUES if question.wants_values else Wanted.NODES,
        keep=finder.keeps,
    )
    shown = 0
    async with opened(access, name=PIN_NAME) as link:
        browser = Browser(link, query, device=access.endpoint)
        async with aclosing(browser.found()) as found:
            async for nodes in found:
                room = len(nodes) if question.limit is None else question.limit - shown
                _print(nodes[:room], question, as_json=as_json)
                shown += len(nodes[:room])
                if shown == question.limit:
                    break
    notes = [f"{shown} of {browser.seen_count} nodes"]
    if shown == question.limit:
        notes.append(f"stopped at --limit {shown}")
    if browser.refused_count:
        notes.append(f"the server let us not look into {browser.refused_count}")
    if browser.is_cut:
        notes.append(f"more than {query.nodes_max} nodes: the rest is left out; use --node")
    return notes


class Finder:
    """Decides which nodes are shown, and remembers some that there are."""

    def __init__(self, question: Question) -> None:
        """Begin with nothing seen."""
        self.seen_count = 0
        """How many nodes were asked about."""
        self.kept_count = 0
        self._question = question
        self._examples: list[str] = []

    def keeps(self, node: "FoundNode") -> bool:
        """Tell whether a node is shown."""
        self.seen_count += 1
        is_kept = self._is_meant(node)
        self.kept_count += is_kept
        if node.node_class is NodeClass.VARIABLE and len(self._examples) < EXAMPLES:
            self._examples.append(node.path)
        return is_kept

    def nothing_found(self) -> str:
        """Return what to tell a person who found nothing."""
        text = "nothing found."
        if self._question.pattern is not None:
            text += (
                " The filter is for the whole path and case counts; `**/` stands for any levels."
            )
        if self._examples:
            text += f" Paths of variables here are such as {', '.join(self._examples)}"
        return text

    def _is_meant(self, node: "FoundNode") -> bool:
        question = self._question
        if question.pattern is not None and not question.pattern.fullmatch(node.path):
            return False
        texts = (node.browse_name, node.display_name, str(node.node), node.index_text)
        return not question.search or any(question.search in text.lower() for text in texts)


def _print(nodes: Sequence["FoundNode"], question: Question, *, as_json: bool) -> None:
    if as_json:
        lines = [json.dumps(_record(node), ensure_ascii=False) for node in nodes]
    elif question.is_narrow:
        lines = list(_table(nodes, [node.path for node in nodes]))
    else:
        lines = []
        for parent, group in groupby(nodes, key=lambda node: node.path.rpartition(SEPARATOR)[0]):
            siblings = list(group)
            lines += ["", f"{parent}/"] if parent else []
            lines += _table(siblings, [f"  {node.browse_name}" for node in siblings])
    if lines:
        click.echo("\n".join(lines))
        sys.stdout.flush()


def _table(nodes: Sequence["FoundNode"], names: Sequence[str]) -> Iterator[str]:
    """Yield a line for each node; names that enter further end with a slash, as `ls -F` does."""
    ends = {NodeClass.VARIABLE: "", NodeClass.METHOD: "()"}
    marked = [
        name + ends.get(node.node_class, "/") for name, node in zip(names, nodes, strict=True)
    ]
    name_width = max(map(len, marked), default=0)
    id_width = max((len(node.index_text) for node in nodes), default=0)
    for name, node in zip(marked, nodes, strict=True):
        about = _about(node.facts) if node.facts else ""
        yield f"{name:{name_width}}  {node.index_text:{id_width}}  {about}".rstrip()


def _about(facts: "Facts") -> str:
    unit = printed_unit(facts.unit) or facts.unit_text
    value = "-" if facts.value is None else facts.value
    shown = f"{value:.6g}" if isinstance(value, float) else str(value)
    parts = [f"{shown} {unit}".rstrip(), facts.data_type]
    if math.isfinite(facts.low) and math.isfinite(facts.high):
        parts.append(f"{facts.low:g} to {facts.high:g}")
    if facts.is_writable:
        parts.append("writable")
    return "  ".join(parts)


def _record(node: "FoundNode") -> dict[str, object]:
    """Return a node for a program; what is not finite is null."""
    record: dict[str, object] = {
        "path": node.path,
        "node": str(node.node),
        "class": node.node_class.value,
        "browse_name": node.browse_name,
        "display_name": node.display_name,
    }
    if node.facts is not None:
        facts = node.facts
        numbers = {"value": facts.value, "low": facts.low, "high": facts.high}
        record |= {
            "data_type": facts.data_type,
            "unit": facts.unit,
            "unit_text": facts.unit_text,
            "writable": facts.is_writable,
        } | {
            name: None if isinstance(number, float) and not math.isfinite(number) else number
            for name, number in numbers.items()
        }
    return record
