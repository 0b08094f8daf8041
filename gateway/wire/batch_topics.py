"""The topics that batches travel on over MQTT, and what is said on them beside the batches.

PREFIX/GATEWAY/batches   an encoded batch, with a response topic and correlation data
PREFIX/GATEWAY/answers   what the cloud says to it after its commit, JSON
PREFIX/GATEWAY/state     retained: whether the gateway is connected; also its will
"""

import json
import re
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

from pydantic import Field

from gateway.core.errors import CorruptRecordError

TOKEN_PROPERTY: Final = "token"  # noqa: S105  # the name of a user property
"""User property that carries the gateway's token."""
STATE_SIZE_BYTES_MAX: Final = 4096

TopicPrefix: TypeAlias = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", max_length=200)
]

_BELOW: Final = re.compile(r"(/[A-Za-z0-9._-]{1,64}){0,2}")
"""What may follow the topic for answers."""
_GATEWAY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTopics:
    """The topics of one gateway, or with `+` as the gateway, of all."""

    prefix: str
    gateway: str

    @property
    def batches(self) -> str:
        """Where batches are published."""
        return f"{self.prefix}/{self.gateway}/batches"

    @property
    def answers(self) -> str:
        """Where the gateway wants its answers."""
        return f"{self.prefix}/{self.gateway}/answers"

    @property
    def state(self) -> str:
        """Where it is told whether the gateway is connected."""
        return f"{self.prefix}/{self.gateway}/state"

    def may_answer_on(self, topic: str) -> bool:
        """Tell whether a response topic is the gateway's own, so that no other is disturbed."""
        rest = topic.removeprefix(self.answers)
        return topic.startswith(self.answers) and _BELOW.fullmatch(rest) is not None


def topics_of(topic: str, *, prefix: str) -> BatchTopics | None:
    """Return the topics of the gateway that published on one; None when it is not one of ours."""
    begin = f"{prefix}/"
    if not topic.startswith(begin):
        return None
    gateway, _, rest = topic.removeprefix(begin).partition("/")
    if rest not in ("batches", "state") or not _GATEWAY.fullmatch(gateway):
        return None
    return BatchTopics(prefix=prefix, gateway=gateway)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayState:
    """Whether a gateway is connected to the broker."""

    is_online: bool
    session: str
    """Random, new with each connection: the will of an older one is known by it."""
    since_ns: int
    """When that connection was made, by the gateway's clock, UTC."""


def encode_state(state: GatewayState) -> bytes:
    """Return a state as it is published, JSON."""
    document = {"online": state.is_online, "session": state.session, "since_ns": state.since_ns}
    return json.dumps(document).encode()


def decode_state(payload: bytes) -> GatewayState:
    """Return the state in bytes from anywhere.

    Raises:
        CorruptRecordError: it is none.
    """
    if len(payload) > STATE_SIZE_BYTES_MAX:
        raise CorruptRecordError(f"a state of {len(payload)} bytes")
    try:
        document: object = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise CorruptRecordError(f"a state is not JSON: {error}") from error
    match document:
        case {"online": bool(is_online), "session": str(session), "since_ns": int(since_ns)}:
            return GatewayState(is_online=is_online, session=session, since_ns=since_ns)
    raise CorruptRecordError(f"a state lacks its parts: {payload[:100]!r}")
