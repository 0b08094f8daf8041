"""The configurations that a gateway keeps, and what it knows of each: in force, on trial, left.

Each is a folder of the state folder, named after its digest: the file, the tag lists of its
connectors, and a note of where they came from. What else the file names (certificates, tokens, the
root of trust) stays where it is: secrets are not copied. `standing.json` is written as a whole
after the copies that it speaks of; whatever stops the gateway in between, the last good one is
whole. What twins and alarms had learnt before a trial is kept beside the last good one: the trial
may not be able to use it, and overwrites the log's checkpoint.
"""

import hashlib
import json
import shutil
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydantic import ValidationError

from gateway.config import Config, read_config
from gateway.core.errors import ConfigError
from gateway.core.settings import Settings
from gateway.wire.files import PART_SUFFIX, sync_file, sync_folder, write_durably
from gateway.wire.settings_file import beside, read_settings

log = structlog.get_logger()

FOLDER = "configurations"
STANDING = "standing.json"
ORIGIN = "origin.json"
STATE = "state.json"
"""What the parts had learnt when another configuration was put on trial."""
CONNECTOR_SHEET = "tags"
"""Option of a connector that names its tag list."""
DIGEST_DIGITS = 12
"""Hexadecimal digits of a digest: 48 bits tell the few configurations of one gateway apart."""


class OnTrial(Settings):
    """A configuration that has yet to prove itself."""

    digest: str
    since_ns: int
    """When it was applied, UTC."""
    file: str = ""
    """The file that it was read from."""
    operator: str = ""
    """Who applied it; empty when nobody is known."""


class Left(Settings):
    """A configuration that did not prove itself."""

    digest: str
    time_ns: int
    """When it was left, UTC."""
    reason: str


class Standing(Settings):
    """Which configuration is what."""

    in_force: str = ""
    """Digest of the last good one; empty before the first start."""
    since_ns: int = 0
    """When it was put in force, UTC."""
    file: str = ""
    """The file that it was read from."""
    trial: OnTrial | None = None
    """Runs in its place, until it is decided."""
    left: Left | None = None
    """The last one that was left again, unless another has proven itself since."""


def at_start(standing: Standing, given: str, *, file: str, now_ns: int) -> Standing:
    """Return what stands once a start has looked at the file that it was given.

    `in_force` is then what is to run: the file as given, unless it is the one that was left. A
    trial that was not decided when the gateway ended counts as failed.

    Args:
        standing: Of the former start.
        given: Digest of the file.
        file: Its path.
        now_ns: UTC.
    """
    left = standing.left
    if standing.trial is not None:
        reason = "the gateway ended before it had proven itself"
        left = Left(digest=standing.trial.digest, time_ns=now_ns, reason=reason)
    was_left = left is not None and left.digest == given and standing.in_force != ""
    if was_left or given == standing.in_force:
        return standing.model_copy(update={"trial": None, "left": left})
    return Standing(in_force=given, since_ns=now_ns, file=file, left=left)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the files of a copy came from."""

    file: Path
    sheets: Mapping[str, Path]
    """Tag list of each connector that has one, by the connector's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One configuration as its files hold it."""

    digest: str
    origin: Origin
    text: bytes
    """Content of the configuration file."""
    sheets: Mapping[str, bytes]
    """Content of the tag lists, by the connector's name."""


def copy_of(path: Path) -> Copy:
    """Return a configuration file and its tag lists as they are now.

    Raises:
        ConfigError: one line for each mistake in the file, or a tag list cannot be read.
    """
    path = path.resolve()
    config = read_config(path)
    origin = Origin(file=path, sheets=sheets_of(config))
    text, sheets = _read(path), {name: _read(sheet) for name, sheet in origin.sheets.items()}
    digest = hashlib.sha256()
    for part in (str(path.parent).encode(), text, *_flat(sheets)):
        digest.update(len(part).to_bytes(8, "big") + part)
    return Copy(digest=digest.hexdigest()[:DIGEST_DIGITS], origin=origin, text=text, sheets=sheets)


def sheets_of(config: Config) -> dict[str, Path]:
    """Return the tag list of each connector that has one, by the connector's name."""
    found = {
        name: getattr(settings, CONNECTOR_SHEET, None)
        for name, settings in config.connectors.items()
    }
    return {name: path for name, path in found.items() if isinstance(path, Path)}


class ConfigurationFolder:
    """The copies on disk. All methods block."""

    def __init__(self, state_folder: Path) -> None:
        """Remember where; nothing is written before the first copy."""
        self.path = state_folder / FOLDER

    def keep(self, copy: Copy) -> None:
        """Write a copy durably, unless it is there.

        Raises:
            OSError: the disk refuses; nothing is half there.
        """
        target = self.path / copy.digest
        if target.is_dir():
            return
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self.path / (copy.digest + PART_SUFFIX)
        shutil.rmtree(part, ignore_errors=True)
        files = {Path(copy.origin.file.name): copy.text, Path(ORIGIN): _origin_text(copy.origin)}
        for name, content in copy.sheets.items():
            files[_sheet_path(name, copy.origin)] = content
        for place, content in files.items():
            file = part / place
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            file.write_bytes(content)
            sync_file(file)
            sync_folder(file.parent)
        part.rename(target)
        sync_folder(self.path)

    def load(self, digest: str) -> Config:
        """Return a configuration that was kept; its tag lists are the copies.

        Raises:
            ConfigError: the copy is not there or not whole.
        """
        folder = self.path / digest
        try:
            content = json.loads((folder / ORIGIN).read_text(encoding="utf-8"))
            file = Path(content["file"])
            sheets = {str(name): Path(path) for name, path in content["sheets"].items()}
        except (OSError, ValueError, KeyError) as error:
            raise ConfigError(f"{folder}: the copy of the configuration is gone") from error
        origin = Origin(file=file, sheets=sheets)
        config = beside(read_settings(Config, folder / file.name), file.parent)
        connectors = {
            name: settings.model_copy(update={CONNECTOR_SHEET: folder / _sheet_path(name, origin)})
            if name in sheets
            else settings
            for name, settings in config.connectors.items()
        }
        return config.model_copy(update={"connectors": connectors})

    def keep_state(self, digest: str, parts: Mapping[str, bytes]) -> None:
        """Keep what the parts know under a configuration, for the way back to it.

        Raises:
            OSError: the disk refuses.
        """
        content = {name: b64encode(state).decode() for name, state in parts.items()}
        write_durably(self.path / digest / STATE, json.dumps(content).encode(), mode=0o600)

    def state_of(self, digest: str) -> dict[str, bytes]:
        """Return what `keep_state` kept; empty when there is nothing, or it is damaged."""
        try:
            content = json.loads((self.path / digest / STATE).read_bytes())
            return {str(name): b64decode(state) for name, state in content.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            log.error("configuration_state_unreadable", digest=digest, reason=str(error))
            return {}

    def standing(self) -> Standing:
        """Return which configuration is what; of a damaged file nothing is believed."""
        path = self.path / STANDING
        try:
            return Standing.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return Standing()
        except (OSError, ValidationError) as error:
            log.error("configuration_standing_unreadable", path=str(path), reason=str(error))
            return Standing()

    def stand(self, standing: Standing) -> None:
        """Write which configuration is what, and remove the copies that it does not name.

        Raises:
            OSError: the disk refuses; the former standing holds.
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_durably(self.path / STANDING, standing.model_dump_json().encode(), mode=0o600)
        named = {standing.in_force}
        if standing.trial is not None:
            named.add(standing.trial.digest)
        for folder in self.path.iterdir():
            if folder.is_dir() and folder.name not in named:
                shutil.rmtree(folder, ignore_errors=True)


def _sheet_path(connector: str, origin: Origin) -> Path:
    """Return where a tag list is in its copy: under its own name, which mistakes are told by."""
    return Path("tags") / connector / origin.sheets[connector].name


def _origin_text(origin: Origin) -> bytes:
    content = {
        "file": str(origin.file),
        "sheets": {name: str(path) for name, path in origin.sheets.items()},
    }
    return json.dumps(content).encode()


def _flat(sheets: Mapping[str, bytes]) -> list[bytes]:
    return [part for name, content in sheets.items() for part in (name.encode(), content)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
