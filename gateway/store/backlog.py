"""What waits in memory for the disk: in order, and shed by priority while the disk fails."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NewType

from gateway.core.cursors import Cursor
from gateway.core.records import Draft, LedgerReason, RecordKind, Seq
from gateway.store.database import missing_entry
from gateway.wire.documents import draft_ledger_entry
from gateway.wire.frames import FRAME_KINDS

Ticket = NewType("Ticket", int)
"""Says which `append` is meant; tickets grow in the order of the appends."""

_NEW = Cursor(seq=Seq(0))
_DRAFT_BYTES = 200
"""Memory of a draft beside its body, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The drafts of one append, or the parts of one checkpoint; committed together."""

    ticket: Ticket
    drafts: tuple[Draft, ...] = ()
    checkpoint: Mapping[str, bytes] | None = None
    """Parts of the state as of the drafts before it; None when it is no checkpoint."""

    @property
    def size_bytes(self) -> int:
        """Memory that it takes, about."""
        parts = self.checkpoint.values() if self.checkpoint else ()
        return sum(len(draft.body) + _DRAFT_BYTES for draft in self.drafts) + sum(map(len, parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What was shed and waits to be entered into the ledger."""

    record_count: int = 0
    sample_count: int = 0
    first_ns: int = 0
    last_ns: int = 0

    def entries(self) -> list[Draft]:
        """Return what the ledger says of it; nothing where no raw sample is lost."""
        if self.sample_count == 0:
            return []
        entry = missing_entry(
            LedgerReason.STORE_FAILED,
            first_ns=self.first_ns,
            last_ns=self.last_ns,
            count=self.sample_count,
        )
        return [draft_ledger_entry(entry)]

    def with_draft(self, draft: Draft) -> "Loss":
        """Return the loss with one more draft in it."""
        raw_count = draft.sample_count if draft.kind is RecordKind.FRAME else 0
        counted = replace(self, record_count=self.record_count + 1)
        if raw_count == 0:
            return counted
        is_first = self.sample_count == 0
        return replace(
            counted,
            sample_count=self.sample_count + raw_count,
            first_ns=draft.first_ns if is_first else min(self.first_ns, draft.first_ns),
            last_ns=max(self.last_ns, draft.last_ns),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """What goes to the disk in one transaction; tried unchanged until it is there."""

    groups: tuple[Group, ...]
    loss: Loss
    """What was shed before; goes into the ledger with the groups."""
    ticket: Ticket
    """The newest ticket that is settled with it."""
    cursors: Mapping[str, Cursor] | None
    """All cursors; None when none has moved."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self.groups and self.cursors is None and self.loss.record_count == 0

    @property
    def size_bytes(self) -> int:
        """Memory that it takes, about."""
        return sum(group.size_bytes for group in self.groups)


class Backlog:
    """Groups in order, and the cursors; used under the writer's lock."""

    def __init__(self, cursors: Mapping[str, Cursor]) -> None:
        """Begin without groups."""
        self.cursors: dict[str, Cursor] = dict(cursors)
        """Where each named reader stands, on disk or not yet."""
        self.size_bytes = 0
        """Memory of the groups, about."""
        self.ticket = Ticket(0)
        """The newest one given out."""
        self._groups: deque[Group] = deque()
        self._loss = Loss()
        self._is_moved = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self._groups and not self._is_moved and self._loss.record_count == 0

    def add(
        self, drafts: Sequence[Draft] = (), *, checkpoint: Mapping[str, bytes] | None = None
    ) -> Ticket:
        """Add a group at the end."""
        self.ticket = Ticket(self.ticket + 1)
        group = Group(ticket=self.ticket, drafts=tuple(drafts), checkpoint=checkpoint)
        self._groups.append(group)
        self.size_bytes += group.size_bytes
        return self.ticket

    def move(self, name: str, change: Callable[[Cursor], Cursor]) -> None:
        """Move a cursor, or change its holes."""
        cursor = change(self.cursors.get(name, _NEW))
        if self.cursors.get(name) != cursor:
            self.cursors[name] = cursor
            self._is_moved = True

    def forget(self, name: str) -> None:
        """Take a cursor out."""
        if self.cursors.pop(name, None) is not None:
            self._is_moved = True

    def take(self) -> Flight:
        """Return all of it, and begin anew."""
        flight = Flight(
            groups=tuple(self._groups),
            loss=self._loss,
            ticket=self.ticket,
            cursors=dict(self.cursors) if self._is_moved else None,
        )
        self._groups.clear()
        self.size_bytes = 0
        self._loss = Loss()
        self._is_moved = False
        return flight

    def shed(self, size_bytes_max: int) -> tuple[Ticket, Ticket] | None:
        """Drop the oldest samples until the rest fits; then, if need be, the oldest of all.

        Returns:
            Tickets of the oldest and the newest group that lost something; None for none.
        """
        tickets = []
        kept: list[Group] = []
        while self._groups and self.size_bytes > size_bytes_max:
            group = self._groups.popleft()
            rest = replace(
                group,
                drafts=tuple(draft for draft in group.drafts if draft.kind not in FRAME_KINDS),
            )
            self.size_bytes -= group.size_bytes - rest.size_bytes
            if len(rest.drafts) < len(group.drafts):
                self._lose(draft for draft in group.drafts if draft.kind in FRAME_KINDS)
                tickets.append(group.ticket)
            if rest.drafts or rest.checkpoint is not None:
                kept.append(rest)
        self._groups.extendleft(reversed(kept))
        while self._groups and self.size_bytes > size_bytes_max:
            group = self._groups.popleft()
            self.size_bytes -= group.size_bytes
            self._lose(group.drafts)
            tickets.append(group.ticket)
        return (min(tickets), max(tickets)) if tickets else None

    def _lose(self, drafts: Iterable[Draft]) -> None:
        for draft in drafts:
            self._loss = self._loss.with_draft(draft)
