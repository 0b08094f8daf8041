"""Writes `sample.toml`: every option of a gateway, explained, from the models themselves.

`python -m gateway.sample > sample.toml` makes it anew; a test compares the two.
"""

import json
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gateway.config import Config

HEAD = """\
## Every option of an Edgewright gateway. `##` explains, `#` shows a default: take the mark away to
## change it. What has no mark must be given. Paths are meant from this file's own folder.
"""
WIDTH = 100
ENTRY_NAMES = {"connectors": "pumps", "twins": "P-101", "cameras": "gate", "uplinks": "cloud"}
"""A name for the example of each table of tables."""


def sample() -> str:
    """Return the text of `sample.toml`."""
    return "\n".join([HEAD, *_table(Config, "")]).rstrip() + "\n"


def _table(model: type[BaseModel], place: str) -> Iterator[str]:
    """Yield the lines of one table: its options first, then the tables inside it."""
    inner: list[tuple[str, FieldInfo]] = []
    for name, field in model.model_fields.items():
        if _models_in(field.annotation):
            inner.append((name, field))
        else:
            yield from _option(name, field)
    for name, field in inner:
        yield from _inner_table(name, field, place)


def _inner_table(name: str, field: FieldInfo, place: str) -> Iterator[str]:
    is_mapping = get_origin(field.annotation) is dict
    for model in _models_in(field.annotation):
        key = f"{place}{name}"
        if is_mapping:
            key += f".{ENTRY_NAMES.get(name, 'NAME')}"
        yield ""
        yield from _explained(f"{_sentence(model.__doc__)}")
        if field.description and not is_mapping:
            yield from _explained(field.description)
        yield f"[{key}]"
        yield from _table(model, f"{key}.")


def _option(name: str, field: FieldInfo) -> Iterator[str]:
    yield from _explained(field.description or "")
    if field.is_required():
        choices = _literals(field.annotation)
        example = choices[0] if choices else _example(field.annotation)
        yield f"{name} = {_toml(example)}"
        return
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is None or default is PydanticUndefined:
        yield f"# {name} ="
    else:
        yield f"# {name} = {_toml(default)}"


def _explained(text: str) -> Iterator[str]:
    line = "##"
    for word in text.split():
        if len(line) + 1 + len(word) > WIDTH:
            yield line
            line = "##"
        line += f" {word}"
    if line != "##":
        yield line


def _sentence(text: str | None) -> str:
    return (text or "").strip().partition("\n\n")[0]


def _models_in(annotation: Any) -> tuple[type[BaseModel], ...]:  # an annotation is of any type
    """Return the settings classes that a field holds: itself, in a union, or in a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    origin = get_origin(annotation)
    if origin is dict:
        return _models_in(get_args(annotation)[1])
    if origin is Annotated:
        return _models_in(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return tuple(model for part in get_args(annotation) for model in _models_in(part))
    return ()


def _literals(annotation: Any) -> tuple[object, ...]:  # an annotation is of any type
    values = tuple(value for value in get_args(annotation) if isinstance(value, str))
    return values if get_origin(annotation) is not dict else ()


def _example(annotation: Any) -> object:  # an annotation is of any type
    if get_origin(annotation) is dict:
        return {}
    return "…"


def _toml(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str() | Path():
            return json.dumps(str(value), ensure_ascii=False)
        case tuple() | list():
            return "[" + ", ".join(_toml(each) for each in value) + "]"
        case dict():
            inside = ", ".join(f"{key} = {_toml(each)}" for key, each in value.items())
            return f"{{ {inside} }}" if inside else "{}"
        case _:
            return str(value)


if __name__ == "__main__":
    print(sample(), end="")  # noqa: T201  # the text is its output
