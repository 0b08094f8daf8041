"""What one group reads: its plan, and what becomes of refusals. No I/O.

A scan asks for the blocks of the plan, for points that were set aside and are due, and for parts
of blocks that were refused. While answers come, a refused block is searched (`isolation`) by asking
for parts of it within the same scan, at most `requests_max` of them; what is found is set aside,
the rest of the block has its values. A search that is not at its end goes on in the next scan;
its points are not asked for otherwise, and those of which nothing is known yet are stated Bad when
that takes `PATIENCE_SCANS`. A point that is set aside is stated Bad once.

The group outlives a session: what is set aside stays so when the connection is made anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import structlog

from connectors.modbus.block_read import Read, Search, read_of
from connectors.modbus.bus_time import GroupLoad
from connectors.modbus.exceptions import exception_text, status_of
from connectors.modbus.exchange import Answer, ExceptionCode
from connectors.modbus.isolation import Isolation, parts_of
from connectors.modbus.learned import Learned
from connectors.modbus.plan import (
    Block,
    ReadRules,
    ReadTiming,
    Span,
    block_of,
    plan_blocks,
    plan_cost_ms,
    span_of,
)
from connectors.modbus.registers import Point
from connectors.modbus.set_aside import Place, SetAsidePoints
from gateway.core.arrays import IndexArray, index_column
from gateway.core.device_status import SetAside
from gateway.core.quality import Status
from gateway.core.tags import TagId

REPLAN_GAIN_MIN = 0.1
"""Part of a scan's time that a new plan must save: below, the old one stays."""
REPLAN_GAIN_MS_MIN = 1.0
ALIKE_FACTOR = 1.25
"""Within this factor two turnarounds, in registers, give much the same plan."""
PATIENCE_SCANS = 3
"""Scans in which a point may be without a value because it is being searched."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPoint:
    """A point of a group, and whose it is."""

    point: Point
    tag: TagId
    position: int
    """Among the connector's tags; -1 for text, which has no samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Points that are refused from now on, or are no longer; for events."""

    members: tuple[int, ...]
    exception_code: int
    """0 when they answer again."""


class PointGroup:
    """The points that are read together at one rate."""

    def __init__(
        self,
        members: Sequence[GroupPoint],
        learned: Learned,
        *,
        name: str,
        period_ms: int,
        requests_max: int,
        set_aside: SetAsidePoints,
    ) -> None:
        """Plan the first scan.

        Args:
            members: What to read.
            learned: Of the device, shared with its other groups.
            name: As the configuration has it; empty for the connector's own rate.
            period_ms: From the start of one scan to the next.
            requests_max: Extra requests in a scan, for searches and for points set aside.
            set_aside: Keeps the refused ones, by their position among the members.
        """
        self.members = tuple(members)
        self.name = name
        self.period_ms = period_ms
        self.tag_positions = index_column([member.position for member in members])
        self._points = [member.point for member in members]
        self._learned = learned
        self._requests_max = requests_max
        self._set_aside = set_aside
        self._searches: list[Search] = []
        self._stated = np.zeros(len(members), dtype=np.uint32)
        """Status that was stated of each point since its last value; 0 for none."""
        self._has_stated = False
        """Whether there is any; nearly always false, and cheaper to ask."""
        self._aside = np.zeros(len(members), dtype=np.uint32)
        """Status of the points that are set aside; 0 for the others."""
        self._is_new = True
        """Whether nothing was asked for yet in the session."""
        self._extra_count = 0
        self._changes: list[Change] = []
        self._version = -1
        self._reads: tuple[Read, ...] = ()
        self._timing = learned.timing.timing()
        """What the plan was made with."""
        self._replan()

    @property
    def load(self) -> GroupLoad:
        """What it asks for, without the extra requests."""
        return GroupLoad(
            name=self.name,
            period_ms=self.period_ms,
            blocks=tuple(read.block for read in self._reads),
        )

    @property
    def sample_count(self) -> int:
        """Samples that a scan asks for."""
        return int(np.count_nonzero((self.tag_positions >= 0) & (self._aside == 0)))

    @property
    def set_aside(self) -> tuple[SetAside, ...]:
        """The refused points, for the console."""
        return tuple(
            SetAside(
                tag=self.members[member].tag,
                address=str(self._points[member]),
                reason=exception_text(entry.exception_code),
                since_ns=entry.since_ns,
                retry_ns=entry.retry_ns,
            )
            for entry in self._set_aside.entries
            for member in entry.members
        )

    def begin_session(self) -> None:
        """Forget what was stated: after a loss every tag is Bad for that reason."""
        self._stated[:] = 0
        self._has_stated = False
        self._is_new = True

    def begin(self, *, monotonic_ns: int) -> tuple[Read, ...]:
        """Return what to ask for first in a scan."""
        if self._version != self._learned.version:
            self._replan()
        self._extra_count = 0
        for search in self._searches:
            search.is_paused = False
        retries = self._set_aside.due(monotonic_ns=monotonic_ns, count_max=self._requests_max // 2)
        if self._is_new and not self._reads and not retries:
            # All is set aside: without a request nobody would know that the device is there.
            retries = self._set_aside.entries[:1]
        self._is_new = False
        if not retries and not self._searches:
            return self._reads
        self._extra_count = len(retries)
        tried = [
            replace(
                read_of(self._points, block_of(self._points, entry.members, self._rules)),
                entry=entry,
            )
            for entry in retries
        ]
        return (*self._reads, *tried, *self.follow_up())

    def follow_up(self) -> tuple[Read, ...]:
        """Return what to ask for next in the same scan; nothing when the scan is over."""
        reads = []
        for search in self._searches:
            ask = search.isolation.ask
            if ask is None or search.is_paused or self._extra_count >= self._requests_max:
                continue
            self._extra_count += 1
            start = search.isolation.parts[ask[0]].first
            members = search.isolation.members(ask)
            block = block_of(self._points, members, self._rules, start=start)
            reads.append(replace(read_of(self._points, block), search=search))
        return tuple(reads)

    def answered(self, read: Read, answer: Answer) -> None:
        """Note that a request was answered with values."""
        self._learned.answered(read.block.area)
        if self._has_stated:
            self._stated[read.positions] = 0
        if read.search is not None:
            read.search.isolation.take(is_refused=False)
        if read.entry is not None:
            back = self._set_aside.restored(
                read.entry, now_ns=answer.received_ns, monotonic_ns=answer.arrival_ns
            )
            self._learned.take_back(entry.span for entry in back)
            members = tuple(member for entry in back for member in entry.members)
            self._aside[list(members)] = 0
            self._changes.append(Change(members=members, exception_code=0))

    def refused(self, read: Read, answer: Answer) -> IndexArray:
        """Note that a request was answered with an exception.

        Returns:
            Positions of the points that are to be stated Bad at once, because nothing is to be
            found out; those that nothing was stated of before.
        """
        code, block = answer.exception_code, read.block
        is_about_addresses = self._learned.is_about_addresses(code, block.area)
        is_unknown_function = code == ExceptionCode.ILLEGAL_FUNCTION and not is_about_addresses
        if read.entry is not None:
            self._set_aside.refused(
                read.entry, now_ns=answer.received_ns, monotonic_ns=answer.arrival_ns
            )
        elif read.search is not None:
            if is_about_addresses:
                read.search.isolation.take(is_refused=True)
            else:
                read.search.is_paused = True
        elif is_about_addresses and len(parts := parts_of(block, self._points, self._rules)) > 1:
            self._searches.append(
                Search(isolation=Isolation(parts), block=block, exception_code=code)
            )
            self._version = -1
        elif is_about_addresses or is_unknown_function:
            matter = (block.area, block.start) if is_unknown_function else None
            self._put_aside(block.members, code, answer, matter=matter)
        else:
            return self._to_state(read.positions, status_of(code))
        return index_column([])

    def end(self, answer: Answer) -> list[tuple[IndexArray, Status]]:
        """Take the results of the searches, at the end of a scan.

        Args:
            answer: The last one of the scan.
        Returns:
            Positions of the points that are to be stated Bad, and how.
        """
        for search in self._searches:
            if search.isolation.ask is None:
                self._harvest(search, answer)
        self._searches = [each for each in self._searches if each.isolation.ask is not None]
        found = []
        for search in self._searches:
            search.scan_count += 1
            if search.scan_count < PATIENCE_SCANS:
                continue
            status = status_of(search.exception_code)
            unanswered = index_column(search.isolation.unanswered)
            found.append((self._to_state(unanswered, status), status))
        for number in np.unique(self._aside[self._aside != 0]):
            status = Status(int(number))
            members = index_column(np.flatnonzero(self._aside == number))
            found.append((self._to_state(members, status), status))
        return [(members, status) for members, status in found if len(members)]

    def changes(self) -> tuple[Change, ...]:
        """Return what changed since the last call, what the device says the same of together."""
        members: dict[int, list[int]] = {}
        for change in self._changes:
            members.setdefault(change.exception_code, []).extend(change.members)
        self._changes = []
        return tuple(
            Change(members=tuple(together), exception_code=code)
            for code, together in members.items()
        )

    def retune(self) -> tuple[float, float] | None:
        """Plan anew with the timing as learned, if that pays.

        Returns:
            What a scan takes with the old plan and with the new one, in milliseconds; None when
            the old one stays.
        """
        timing = self._learned.timing.timing()
        if _is_alike(timing, self._timing):
            # Planning takes a while with thousands of points; the same costs give the same plan.
            return None
        self._timing = timing
        old_ms = plan_cost_ms((read.block for read in self._reads), timing)
        new_ms = plan_cost_ms(self._plan(), timing)
        if old_ms - new_ms < max(REPLAN_GAIN_MIN * old_ms, REPLAN_GAIN_MS_MIN):
            return None
        self._replan()
        return old_ms, new_ms

    @property
    def _rules(self) -> ReadRules:
        return self._learned.rules

    def _replan(self) -> None:
        """Plan what is neither set aside nor searched."""
        known = {read.block: read for read in self._reads}
        self._timing = self._learned.timing.timing()
        self._reads = tuple(
            known.get(block) or read_of(self._points, block) for block in self._plan()
        )
        self._version = self._learned.version

    def _plan(self) -> list[Block]:
        searched = {member for search in self._searches for member in search.isolation.unanswered}
        left_out = searched | self._set_aside.members
        wanted = [index for index in range(len(self._points)) if index not in left_out]
        # What is searched is no gap to be read along: the refused address is in there.
        walls = (span_of(self._points[member]) for member in searched)
        rules = self._rules
        blocks = plan_blocks(
            [self._points[index] for index in wanted],
            replace(rules, walls=(*rules.walls, *walls)),
            self._learned.timing.timing(),
        )
        return [
            replace(block, members=tuple(wanted[member] for member in block.members))
            for block in blocks
        ]

    def _put_aside(
        self, members: Sequence[int], code: int, answer: Answer, *, matter: Place | None
    ) -> None:
        added = self._set_aside.add(
            members,
            code,
            matter=matter,
            now_ns=answer.received_ns,
            monotonic_ns=answer.arrival_ns,
        )
        self._aside[list(members)] = status_of(code)
        self._learned.set_aside(entry.span for entry in added)
        self._changes.append(Change(members=tuple(members), exception_code=code))

    def _harvest(self, search: Search, answer: Answer) -> None:
        """Take over what a search found."""
        area, isolation = search.block.area, search.isolation
        blamed = [member for part in isolation.refused for member in part.members]
        for part in isolation.refused:
            if part.is_gap:
                gap = Span(area=area, first=part.first, end=part.end)
                self._learned.wall_off(gap)
                log.info("gap_refused", group=self.name, addresses=str(gap))
        if blamed:
            matter = (area, search.block.start) if isolation.is_given_up else None
            self._put_aside(blamed, search.exception_code, answer, matter=matter)
        elif not isolation.refused:
            rules = self._rules
            size_max = max(
                point.end - rules.start_for(point.address)
                for point in self._points
                if point.area is area
            )
            if self._learned.refused_as_whole(
                area, longest_good=isolation.longest_good, point_size_max=size_max
            ):
                log.info(
                    "request_limit_learned",
                    group=self.name,
                    area=area.word,
                    addresses_max=self._rules.count_max(area),
                )

    def _to_state(self, members: IndexArray, status: Status) -> IndexArray:
        """Return those of some points that this was not stated of yet; text has no status."""
        is_new = (self._stated[members] != status) & (self.tag_positions[members] >= 0)
        found = index_column(members[is_new])
        self._stated[found] = status
        self._has_stated = bool(self._stated.any())
        return found


def _is_alike(one: ReadTiming, other: ReadTiming) -> bool:
    """Return whether a request costs about as many registers in both."""
    # In cross products, for a register may cost nothing.
    left, right = one.request_ms * other.register_ms, other.request_ms * one.register_ms
    return left <= ALIKE_FACTOR * right and right <= ALIKE_FACTOR * left
