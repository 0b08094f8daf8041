"""A folder with a configuration and its tag lists, and what a run would change in it."""

import re
import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from gateway.commission.config_text import Value, new_config, with_table
from gateway.commission.merge import Cells, Merged, Sheets, merged, read_rows, rendered
from gateway.commission.proposal import FileChange, Proposal, read_text
from gateway.config import NAME_PATTERN, Config
from gateway.core.errors import ConfigError
from gateway.wire.settings_file import mistakes_of

CONFIG_NAME = "gateway.toml"
MEMORY_FOLDER = ".edgewright-init"
"""Beside the configuration: what each machine said when it was last asked."""
DEFAULT_STATE_FOLDER = "state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a machine says, on its way into a tag list."""

    name: str
    """Of the connector."""
    table: Mapping[str, Value]
    """Its options, without `tags`."""
    fresh: tuple[Cells, ...]
    """A line for each value."""
    gone: frozenset[str]
    """Keys of lines whose node or address is there no more."""
    sheets: Sheets
    check: Callable[[Path], object]
    """Reads a tag list, or raises `ConfigError` with its mistakes."""
    notes: tuple[str, ...] = ()
    drops_mistakes: bool = False
    """Whether a fresh line with a mistake becomes a comment: a vendor's map may hold any."""


class Site:
    """A folder as it is."""

    def __init__(self, folder: Path, *, gateway_id: str | None) -> None:
        """Read the configuration, or begin one.

        Raises:
            ConfigError: there is none and no id for it, or it is damaged.
        """
        self.folder = folder
        self.config_path = folder / CONFIG_NAME
        before, _ = read_text(self.config_path)
        if before is None and not gateway_id:
            raise ConfigError(f"{self.config_path} is not there yet: name the gateway with --id")
        self._before = before
        self._text = new_config(gateway_id or "") if before is None else before
        try:
            self._document = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{self.config_path}: {error}") from error
        if before is not None and gateway_id and gateway_id != self._option("gateway", "id"):
            raise ConfigError(
                f"{self.config_path} is of the gateway {self._option('gateway', 'id')!r}: "
                "use another --out for another gateway"
            )

    @property
    def state_folder(self) -> Path:
        """Where the gateway will keep its certificates."""
        return self.folder / (self._option("gateway", "state_folder") or DEFAULT_STATE_FOLDER)

    def tags_path(self, name: str) -> Path:
        """Return where a connector's tag list is, or will be."""
        return self.folder / (self._option("connectors", name, "tags") or f"{name}.csv")

    def lines(self, name: str) -> list[Cells]:
        """Return the lines of a connector's tag list; none when there is no list yet."""
        text, _ = read_text(self.tags_path(name))
        return read_rows(text) if text is not None else []

    def previous(self, name: str) -> list[Cells]:
        """Return the lines that the last run made for a connector; none at the first."""
        text, _ = read_text(self._memory_path(name))
        return read_rows(text) if text is not None else []

    def proposal(self, machine: Machine) -> Proposal:
        """Return what to write for a machine. Writes nothing.

        Raises:
            ConfigError: the result would not pass the check.
        """
        if not re.fullmatch(NAME_PATTERN, machine.name):
            raise ConfigError(f"{machine.name!r} is no name: use letters, digits, _ and -")
        path = self.tags_path(machine.name)
        before, encoding = read_text(path)
        result = self._merged(machine, before)
        text, dropped = _checked(machine, result.text, path.name)
        relative = path.relative_to(self.folder) if path.is_relative_to(self.folder) else path
        table = {**machine.table, "tags": str(relative)}
        config_text = with_table(self._text, f"connectors.{machine.name}", table)
        try:
            Config.model_validate(tomllib.loads(config_text))
        except ValidationError as error:
            raise ConfigError(*mistakes_of(error)) from error
        return Proposal(
            changes=(
                FileChange(path=self.config_path, before=self._before, after=config_text),
                FileChange(path=path, before=before, after=text, encoding=encoding),
            ),
            memory=FileChange(
                path=self._memory_path(machine.name),
                before=None,
                after=rendered(machine.fresh, machine.sheets.columns),
            ),
            summary=f"{path.name}: {result}"
            + (f"; {len(dropped)} of them left out as comments" if dropped else ""),
            notes=(*machine.notes, *dropped),
        )

    def _memory_path(self, name: str) -> Path:
        return self.folder / MEMORY_FOLDER / f"{name}.csv"

    def _merged(self, machine: Machine, before: str | None) -> Merged:
        if before is None:
            text = rendered(machine.fresh, machine.sheets.columns)
            return Merged(text=text, added=len(machine.fresh))
        return merged(
            before,
            machine.fresh,
            previous=self.previous(machine.name),
            gone=machine.gone,
            sheets=machine.sheets,
        )

    def _option(self, *names: str) -> str:
        """Return an option that is text; empty when it is not there."""
        found: object = self._document
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, str) else ""


def _checked(machine: Machine, text: str, file: str) -> tuple[str, list[str]]:
    """Return a list that can be read, and what had to be left out of it.

    Raises:
        ConfigError: a person's line has a mistake, or nothing is left.
    """
    dropped: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file
        while True:
            path.write_text(text, encoding="utf-8")
            try:
                machine.check(path)
            except ConfigError as error:
                lines = _lines_named(error.mistakes, file)
                if not machine.drops_mistakes or not lines:
                    raise
                text = _commented(text, lines)
                dropped += error.mistakes
                continue
            return text, dropped


def _lines_named(mistakes: Sequence[str], file: str) -> set[int]:
    """Return the lines below the header that mistakes name, from 1."""
    matches = (re.match(rf"{re.escape(file)}:(\d+):", mistake) for mistake in mistakes)
    return {int(match[1]) for match in matches if match and int(match[1]) > 1}


def _commented(text: str, lines: set[int]) -> str:
    rows = text.splitlines(keepends=True)
    marked = {n for n in lines if n <= len(rows) and not rows[n - 1].startswith("#")}
    return "".join(f"# {row}" if n in marked else row for n, row in enumerate(rows, 1))
