"""Commands: a wish to change something on a machine, and what became of it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from gateway.core.tags import TagId

CommandId = NewType("CommandId", str)
"""Chosen by whoever asks; the same id is carried out once at the most."""


class CommandState(StrEnum):
    """Life of a command (the words of thin-edge.io)."""

    INIT = "init"
    EXECUTING = "executing"
    """Committed to the log before the first byte goes to the machine."""
    SUCCESSFUL = "successful"
    """Written, and read back as written."""
    FAILED = "failed"


class CommandOrigin(StrEnum):
    """Who asks. A local-only switch refuses everything that is not from a person on site."""

    PERSON = "person"
    CLOUD = "cloud"
    TWIN = "twin"
    INTERLOCK = "interlock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A wish to write one value to one tag."""

    id: CommandId
    """Makes it idempotent."""
    tag: TagId
    """A tag declared `writable`."""
    value: float
    """In engineering units; within the tag's range."""
    deadline_ns: int
    """UTC; after it the command fails instead of acting late."""
    origin: CommandOrigin
    """Who asks."""
    operator: str = ""
    """The person's name as the local API knows it; empty for the cloud, a twin, an interlock."""
    state: CommandState = CommandState.INIT
    """How far it got."""
    reason: str = ""
    """Why it failed, in a sentence; empty otherwise."""
    read_back: float | None = None
    """The value read after the write; None is not read."""
