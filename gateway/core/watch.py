"""The port of what computes samples from samples, beside the twins: vibration, for example."""

from typing import Protocol

from gateway.core.frame import Frame
from gateway.core.tags import Tag, TagTable


class Watch(Protocol):
    """Watches tags of any kind. Pure: time comes from the data, no I/O."""

    @property
    def derived_tags(self) -> tuple[Tag, ...]:
        """The tags of its frames."""

    def bind(self, table: TagTable) -> None:
        """Resolve tag ids to positions, once, before the first frame."""

    def update(self, frame: Frame) -> Frame | None:
        """Take in a frame of any tags and return what was computed of it; None is nothing."""

    def rebase(self, shift_ns: int) -> None:
        """Move every remembered time: the clock that the data's times come from was set."""

    def checkpoint(self) -> bytes:
        """Return all that `restore` needs to go on exactly from here."""

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint made under the same configuration.

        Raises:
            ValueError: it was made under another one; the state is unchanged.
        """
