"""Edits one table of a TOML file that belongs to a person: everything else stays as it is. Pure.

Only lines of the form `key = value` in the table itself are touched, and the result is parsed and
compared with what was meant: a file that is written in another way is refused, never mangled.
"""

import json
import re
import tomllib
from collections.abc import Mapping

from gateway.core.errors import ConfigError

Value = str | int
HEAD = """\
# Made by `edgewright init`. `edgewright check` proves it; sample.toml explains every option.
[gateway]
id = {id}
state_folder = "state"
"""

_VALUE = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[^\s#"'\[{]+)"""


def new_config(gateway_id: str) -> str:
    """Return a configuration without machines, which keeps its state beside it."""
    return HEAD.format(id=toml_value(gateway_id))


def toml_value(value: Value) -> str:
    """Return a value as TOML writes it."""
    return json.dumps(value, ensure_ascii=False)


def with_table(text: str, table: str, values: Mapping[str, Value]) -> str:
    """Return a file in which a table has these values; its other keys stay.

    Args:
        text: The file.
        table: Its header, such as `connectors.pumps`; put at the end when it is not there.
        values: Keys and values.
    Raises:
        ConfigError: the file is no TOML, or written so that a person must edit it.
    """
    before = _parsed(text)
    wanted = _merged(before, table.split("."), values)
    present = _at(before, table.split("."))
    if present is None:
        width = max(map(len, values))
        lines = [f"{key:{width}} = {toml_value(value)}" for key, value in values.items()]
        gap = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
        after = f"{text}{gap}[{table}]\n" + "\n".join(lines) + "\n"
    else:
        new = {key: value for key, value in values.items() if present.get(key) != value}
        after = _edited(text, table, new) if new else text
    try:
        is_as_meant = tomllib.loads(after) == wanted
    except tomllib.TOMLDecodeError:
        is_as_meant = False
    if not is_as_meant:
        rows = "\n".join(f"{key} = {toml_value(value)}" for key, value in values.items())
        raise ConfigError(
            f"[{table}] is written in a way that only a person should edit. It needs:\n{rows}"
        )
    return after


def _edited(text: str, table: str, values: Mapping[str, Value]) -> str:
    lines = text.splitlines(keepends=True)
    header = re.compile(rf"\s*\[\s*{re.escape(table)}\s*\]\s*(#.*)?")
    begin = next((i for i, line in enumerate(lines) if header.fullmatch(line.rstrip("\r\n"))), None)
    if begin is None:
        return text
    end = next(
        (i for i in range(begin + 1, len(lines)) if lines[i].lstrip()[:1] == "["), len(lines)
    )
    last = begin
    missing = dict(values)
    for i in range(begin + 1, end):
        if lines[i].strip() and not lines[i].lstrip().startswith("#"):
            last = i
        match = re.fullmatch(rf"(\s*(?P<key>[\w-]+)\s*=\s*){_VALUE}(.*)", lines[i], flags=re.DOTALL)
        if match and match["key"] in missing:
            lines[i] = f"{match[1]}{toml_value(missing.pop(match['key']))}{match[3]}"
    if missing:
        if not lines[last].endswith("\n"):
            lines[last] += "\n"
        # In line with what stands above.
        above = re.match(r"[\w-]+ *(?==)", lines[last])
        width = len(above[0].removesuffix(" ")) if above else 0
        added = [f"{key:{width}} = {toml_value(value)}\n" for key, value in missing.items()]
        lines[last + 1 : last + 1] = added
    return "".join(lines)


def _parsed(text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the configuration is no TOML: {error}") from error


def _at(document: object, names: list[str]) -> dict[str, object] | None:
    for name in names:
        document = document.get(name) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else None


def _merged(
    document: dict[str, object], names: list[str], values: Mapping[str, Value]
) -> dict[str, object]:
    if not names:
        return document | dict(values)
    below = document.get(names[0], {})
    below = below if isinstance(below, dict) else {}
    return document | {names[0]: _merged(below, names[1:], values)}
