"""How requests and answers are put into bytes: what a line asks of each of its formats."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from connectors.modbus.exchange import Request


class Asked(NamedTuple):
    """A request that may still be answered."""

    unit: int
    request: Request


class Found(NamedTuple):
    """An answer found among received bytes."""

    number: int
    """The number of the request that it belongs to."""
    payload: bytes
    """Behind the function code and byte count; empty for an exception."""
    exception_code: int
    """0 for none; see `ExceptionCode`."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What received bytes hold."""

    found: tuple[Found, ...]
    """The answers, in their order."""
    rest: bytes
    """The bytes of an unfinished one."""
    damaged: tuple[int, ...] = ()
    """Numbers of requests whose answer came whole, and does not match its check sum."""
    mistake: str = ""
    """Why nothing behind the answers can be trusted; empty when it can."""


class Framing(Protocol):
    """One format of ADUs. Pure."""

    @property
    def protocol(self) -> str:
        """What a person calls it, such as `Modbus TCP`."""

    def request_adu(self, number: int, asked: Asked) -> bytes:
        """Return the bytes of a request; its number comes back with the answer, where it can."""

    def hear(self, data: bytes, asked: Mapping[int, Asked]) -> Heard:
        """Return the answers in received bytes.

        Args:
            data: What was left over last time, and what came since.
            asked: The requests that may be answered, by their numbers.
        """
