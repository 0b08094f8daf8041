"""How bodies lie on the disk: each goes through `Bodies` on its way in and out of the database."""

from typing import Protocol


class Bodies(Protocol):
    """Turns bodies into what is stored, and back."""

    @property
    def fingerprints(self) -> tuple[bytes, ...]:
        """Of the keys, that of new bodies first; empty where there are none."""

    def put(self, body: bytes, *, place: str) -> bytes:
        """Return what is stored of a body.

        Args:
            body: With its version and check sum.
            place: Where it is going to lie, such as `record 17`: it can be read there only.
        """

    def get(self, stored: bytes, *, place: str) -> bytes:
        """Return the body.

        Raises:
            CorruptRecordError: it cannot be read, or was made for another place.
        """


class PlainBodies:
    """Implements `Bodies`: what is stored is the body."""

    fingerprints: tuple[bytes, ...] = ()
    """There are no keys."""

    def put(self, body: bytes, *, place: str) -> bytes:
        """Return the body."""
        return body

    def get(self, stored: bytes, *, place: str) -> bytes:
        """Return the body."""
        return stored


def record_place(seq: int) -> str:
    """Return the place of a record."""
    return f"record {seq}"


def epoch_place(epoch: int) -> str:
    """Return the place of a tag table."""
    return f"epoch {epoch}"


def checkpoint_place(name: str) -> str:
    """Return the place of a part of the checkpoint."""
    return f"checkpoint {name}"


def letter_place(uplink: str, boot: int, seq: int) -> str:
    """Return the place of a record among the dead letters."""
    return f"letter {uplink} {boot} {seq}"
