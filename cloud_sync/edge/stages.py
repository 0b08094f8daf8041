"""Where every version of every model stands on this gateway, on disk over restarts.

The file is JSON, replaced as a whole. One that cannot be read is set aside, never deleted; the
gateway then knows nothing of its models and begins with the canary cases of the newest release.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from cloud_sync.edge.lifecycle import version_order
from gateway.core.errors import StoreError
from gateway.core.models import Comparison, ModelStage
from gateway.wire.files import write_durably

VERSIONS_MAX: Final = 50
"""Versions remembered of a model; older ones are forgotten, for they are never tried again."""


@dataclass(slots=True, kw_only=True)
class VersionEntry:
    """What became of one version."""

    stage: ModelStage
    since_ns: int
    """UTC."""
    reason: str
    """In a sentence with the figures."""
    rows: int = 0
    """Rows scored when the stage was decided."""


@dataclass(slots=True, kw_only=True)
class ModelState:
    """The versions of one model; a candidate and a former version are never there together."""

    active: str | None = None
    """In force."""
    candidate: str | None = None
    """In shadow."""
    former: str | None = None
    """Ready to take over again while the active version is on probation."""
    seen: Comparison = field(default_factory=Comparison)
    """Counted in the running trial."""
    versions: dict[str, VersionEntry] = field(default_factory=dict)

    @property
    def previous(self) -> str | None:
        """The version that was in force last and did nothing wrong; to go back to by hand."""
        retired = {
            version: entry.since_ns
            for version, entry in self.versions.items()
            if entry.stage is ModelStage.RETIRED
        }
        return max(retired, key=lambda version: retired[version], default=None)

    @property
    def kept(self) -> tuple[str, ...]:
        """The versions whose bundles must stay on the gateway."""
        named = (self.active, self.candidate, self.former, self.previous)
        return tuple(version for version in named if version is not None)

    def enter(
        self, version: str, stage: ModelStage, reason: str, *, now_ns: int, rows: int = 0
    ) -> None:
        """Note that a version is in a stage from now on."""
        self.versions[version] = VersionEntry(
            stage=stage, since_ns=now_ns, reason=reason, rows=rows
        )
        for old in sorted(self.versions, key=version_order)[:-VERSIONS_MAX]:
            if old not in self.kept:
                del self.versions[old]


_STATES: Final = TypeAdapter(dict[str, ModelState])


def read_states(path: Path, *, now_ns: int) -> tuple[dict[str, ModelState], str]:
    """Return the states by model name, and what was wrong with the file; empty when all is well.

    Raises:
        StoreError: the disk refuses.
    """
    try:
        return _STATES.validate_json(path.read_bytes()), ""
    except FileNotFoundError:
        return {}, ""
    except ValidationError as error:
        aside = path.with_name(f"{path.name}.{now_ns}.damaged")
        path.rename(aside)
        return {}, f"{path} cannot be read and is now {aside.name}: {error.errors()[0]['msg']}"
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error}") from error


def dump_states(states: dict[str, ModelState]) -> bytes:
    """Return the states as the content of the file."""
    return _STATES.dump_json(states, indent=1)


def write_states(path: Path, content: bytes) -> None:
    """Put what `dump_states` made on disk, whole or not at all; blocks.

    Raises:
        StoreError: the disk refuses; what was there stays.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_durably(path, content)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error}") from error
