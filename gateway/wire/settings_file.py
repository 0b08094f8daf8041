"""Configuration files into settings: every mistake at once, each with its place."""

import json
import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from gateway.core.errors import ConfigError

ModelT = TypeVar("ModelT", bound=BaseModel)

FILE_SIZE_BYTES_MAX = 16 * 1024 * 1024


def read_settings(model: type[ModelT], path: Path) -> ModelT:
    """Return the settings in a TOML file, or a JSON file by its suffix.

    Relative paths inside are meant from the file's own folder: see `beside`.

    Raises:
        ConfigError: the file cannot be read or parsed, or one line for each mistake in it.
    """
    document = read_document(path)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise ConfigError(*mistakes_of(error)) from error


def beside(settings: ModelT, folder: Path) -> ModelT:
    """Return the settings with every relative path in them, however deep, put beside a file.

    Args:
        settings: As read.
        folder: Of the file that they were read from.
    """
    changes = {
        name: _beside(getattr(settings, name), folder) for name in type(settings).model_fields
    }
    return settings.model_copy(update=changes)


def _beside(value: object, folder: Path) -> object:
    if isinstance(value, Path):
        return folder / value
    if isinstance(value, BaseModel):
        return beside(value, folder)
    if isinstance(value, dict):
        return {key: _beside(each, folder) for key, each in value.items()}
    if isinstance(value, tuple):
        return tuple(_beside(each, folder) for each in value)
    return value


def read_document(path: Path) -> dict[str, object]:
    """Return the table or object in a TOML or JSON file.

    Raises:
        ConfigError: the file cannot be read or parsed.
    """
    try:
        if path.stat().st_size > FILE_SIZE_BYTES_MAX:
            raise ConfigError(f"{path}: is larger than {FILE_SIZE_BYTES_MAX // 2**20} MiB")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text: save it as UTF-8") from error
    try:
        document = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: must hold a table at the top")
    return document


def mistakes_of(error: ValidationError) -> list[str]:
    """Return one line for each mistake, `place: what is wrong`, in the order of the file."""
    return [
        f"{_place(each['loc'])}: {_sentence(each['type'], each['msg'], each['input'])}"
        for each in error.errors(include_url=False, include_context=False)
    ]


def _place(location: tuple[int | str, ...]) -> str:
    # pydantic adds the tag of a tagged union, such as `modbus`, right after the entry's own name.
    names = [str(part) for part in location]
    if len(names) > 2 and names[0] in _TAGGED_TABLES:
        del names[2]
    return ".".join(names) or "file"


_TAGGED_TABLES = frozenset({"connectors", "uplinks", "twins", "cameras"})


def _sentence(kind: str, message: str, given: object) -> str:
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is not an option here: check the spelling"
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        return message[0].lower() + message[1:]
    if kind == "value_error":
        # It is our own, and a whole sentence behind the place.
        return message.removeprefix("Value error, ")
    message = message.removeprefix("Input should be ")
    shown = given if isinstance(given, str | int | float | bool) else type(given).__name__
    return f"{shown!r} should be {message}" if not message[0].isupper() else f"{message}"
