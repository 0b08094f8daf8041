"""What a Sparkplug host application knows of one edge node: births, order, deaths. Pure.

Theory. An edge node says in its births which metrics it has; data name them by alias. Every message
but the death of the node carries a sequence number, modulo 256. So

- a message that comes early waits, at most `reorder_s`, for those before it; if they do not come,
  the ones that wait are taken as they are and a rebirth is asked for
  (tck-id-operational-behavior-host-reordering-rebirth);
- data before a birth, or of an unknown metric, cannot be understood: a rebirth is asked for;
- requests for a rebirth are never closer together than `rebirth_s`;
- a death of the node counts only when its `bdSeq` is that of the last birth: the broker may
  deliver the will of a connection that the node has long replaced.

Time is handed in: nothing here waits.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from gateway.wire.sparkplug import (
    BD_SEQ,
    SEQ_COUNT,
    Address,
    DataType,
    Metric,
    Payload,
    Verb,
    number_of,
)

NS_PER_S = 1_000_000_000
METRICS_MAX = 100_000
"""So many metrics, and devices, of one edge node are kept in mind; it must not fill our memory."""
LATE_MAX = 128
"""A sequence number up to so far behind the next one is late, not early."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A message, as it came."""

    address: Address
    payload: Payload
    received_ns: int
    """UTC."""
    arrival_ns: int
    """Monotonic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A metric's value, of a known datatype."""

    device: str
    """Empty for the edge node itself."""
    metric: Metric
    """With its name."""
    arrived: Arrived
    """The message that brought it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Born:
    """A birth: which metrics there are; their values follow as reports."""

    device: str
    names: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Died:
    """What is known of a device, or of the node and all its devices, is stale."""

    device: str | None
    """None is the whole edge node."""
    time_ns: int | None
    """When, UTC; None is now."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WantRebirth:
    """The node must be asked to say anew what it has."""

    reason: str


Outcome: TypeAlias = Report | Born | Died | WantRebirth


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What a birth says of a metric."""

    datatype: DataType
    alias: int | None


class EdgeNode:
    """One edge node."""

    def __init__(self, *, reorder_s: float, rebirth_s: float) -> None:
        """Begin with nothing known."""
        self._reorder_ns = round(reorder_s * NS_PER_S)
        self._rebirth_ns = round(rebirth_s * NS_PER_S)
        self._is_born = False
        self._bd_seq: int | None = None
        self._next_seq = 0
        self._waiting: dict[int, Arrived] = {}
        self._definitions: dict[tuple[str, str], Definition] = {}
        self._names: dict[int, tuple[str, str]] = {}
        """Device and metric of each alias."""
        self._living: set[str] = set()
        self._asked_ns: int | None = None
        self._wish = ""
        """Why a rebirth is wanted that may not be asked for yet."""

    @property
    def is_born(self) -> bool:
        """Whether it said which metrics it has, and has not died since."""
        return self._is_born

    @property
    def definitions(self) -> Mapping[tuple[str, str], Definition]:
        """What its births said, by device and metric."""
        return self._definitions

    def take(self, arrived: Arrived) -> list[Outcome]:
        """Take in a message, and return what follows from it, in order."""
        verb, payload = arrived.address.verb, arrived.payload
        if verb in (Verb.NCMD, Verb.DCMD):
            return []
        if verb is Verb.NDEATH:
            return list(self._node_died(payload))
        if verb is Verb.NBIRTH:
            return list(self._node_born(arrived))
        if not self._is_born:
            return self._ask(f"{verb} before a birth", arrived.arrival_ns)
        if payload.seq is None or not 0 <= payload.seq < SEQ_COUNT:
            return self._ask(f"{verb} with the sequence number {payload.seq}", arrived.arrival_ns)
        ahead = (payload.seq - self._next_seq) % SEQ_COUNT
        if ahead > LATE_MAX:
            # It was given up, or the node began anew unheard: its values have their own time.
            late = self._reports(arrived) if verb in (Verb.NDATA, Verb.DDATA) else ()
            return [
                *late,
                *self._ask(f"the sequence went back to {payload.seq}", arrived.arrival_ns),
            ]
        if ahead:
            self._waiting[payload.seq] = arrived
            return []
        return [*self._in_order(arrived), *self._follow()]

    def tick(self, now_ns: int) -> list[Outcome]:
        """Return what follows from time alone.

        Args:
            now_ns: Monotonic.
        """
        outcomes: list[Outcome] = []
        first_ns = min((each.arrival_ns for each in self._waiting.values()), default=now_ns)
        if self._waiting and now_ns - first_ns >= self._reorder_ns:
            missing = self._next_seq
            self._next_seq = min(self._waiting, key=lambda seq: (seq - missing) % SEQ_COUNT)
            outcomes += self._follow()
            outcomes += self._ask(f"the message {missing} of its sequence is missing", now_ns)
        if self._wish:
            outcomes += self._ask(self._wish, now_ns)
        return outcomes

    def ask(self, reason: str, now_ns: int) -> list[Outcome]:
        """Ask for a birth, as often as that is allowed."""
        return self._ask(reason, now_ns)

    def _ask(self, reason: str, now_ns: int) -> list[Outcome]:
        if self._asked_ns is not None and now_ns - self._asked_ns < self._rebirth_ns:
            self._wish = reason
            return []
        self._asked_ns = now_ns
        self._wish = ""
        return [WantRebirth(reason=reason)]

    def _follow(self) -> Iterator[Outcome]:
        """Take the messages that waited for the one before them."""
        while (arrived := self._waiting.pop(self._next_seq, None)) is not None:
            yield from self._in_order(arrived)

    def _in_order(self, arrived: Arrived) -> Iterator[Outcome]:
        self._next_seq = (self._next_seq + 1) % SEQ_COUNT
        device = arrived.address.device
        match arrived.address.verb:
            case Verb.DBIRTH:
                yield from self._define(device, arrived)
            case Verb.DDEATH:
                self._living.discard(device)
                time_ms = arrived.payload.time_ms
                yield Died(
                    device=device,
                    # tck-id-...-host-action-ddeath-devices-tags-stale: the time in the payload.
                    time_ns=None if time_ms is None else time_ms * 1_000_000,
                    reason=f"the edge node has lost {device}",
                )
            case _:
                yield from self._reports(arrived)

    def _node_born(self, arrived: Arrived) -> Iterator[Outcome]:
        bd_seq = _bd_seq(arrived.payload)
        if self._is_born and bd_seq != self._bd_seq:
            # Its death was not delivered; what its devices said before is over.
            for device in sorted(self._living):
                yield Died(device=device, time_ns=None, reason="the edge node began anew")
        self._is_born = True
        self._bd_seq = bd_seq
        self._next_seq = ((arrived.payload.seq or 0) + 1) % SEQ_COUNT
        self._waiting.clear()
        self._wish = ""
        self._definitions.clear()
        self._names.clear()
        self._living.clear()
        yield from self._define("", arrived)

    def _node_died(self, payload: Payload) -> Iterator[Outcome]:
        bd_seq = _bd_seq(payload)
        if self._is_born and (bd_seq is None or self._bd_seq is None or bd_seq == self._bd_seq):
            self._is_born = False
            self._waiting.clear()
            self._living.clear()
            yield Died(device=None, time_ns=None, reason="the edge node is gone")

    def _define(self, device: str, arrived: Arrived) -> Iterator[Outcome]:
        if len(self._living) < METRICS_MAX:
            self._living.add(device)
        names = set()
        for metric in arrived.payload.metrics:
            names.add(metric.name)
            if len(self._definitions) >= METRICS_MAX:
                continue
            definition = Definition(datatype=metric.datatype, alias=metric.alias)
            self._definitions[device, metric.name] = definition
            if metric.alias is not None:
                self._names[metric.alias] = (device, metric.name)
        yield Born(device=device, names=frozenset(names))
        yield from self._reports(arrived)

    def _reports(self, arrived: Arrived) -> Iterator[Outcome]:
        device = arrived.address.device
        if device and device not in self._living:
            yield from self._ask(f"data of {device} before its birth", arrived.arrival_ns)
            return
        for metric in arrived.payload.metrics:
            key = self._key_of(device, metric)
            definition = self._definitions.get(key)
            if definition is None or key[0] != device:
                shown = repr(metric.name) if metric.name else f"alias {metric.alias}"
                yield from self._ask(f"no birth has named {shown}", arrived.arrival_ns)
                continue
            known = Metric(
                name=key[1],
                alias=definition.alias,
                time_ms=arrived.payload.time_ms if metric.time_ms is None else metric.time_ms,
                datatype=definition.datatype,
                is_historical=metric.is_historical,
                is_null=metric.is_null,
                value=metric.value,
                quality=metric.quality,
            )
            yield Report(device=device, metric=known, arrived=arrived)

    def _key_of(self, device: str, metric: Metric) -> tuple[str, str]:
        if not metric.name and metric.alias is not None:
            return self._names.get(metric.alias, (device, ""))
        return device, metric.name


def _bd_seq(payload: Payload) -> int | None:
    """Return the number that ties a death to its birth; None where there is none."""
    for metric in payload.metrics:
        if metric.name == BD_SEQ and not metric.is_null and isinstance(metric.value, int):
            return int(number_of(metric.value, DataType.UINT64))
    return None
