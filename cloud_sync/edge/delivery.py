"""Delivery: one uplink's way through the log, in three classes.

    alarms     events, commands and ledger entries, at once and in order
    live       samples, in order, as long as they are of the present
    backfill   samples that were left behind, the oldest first, told as historical

Invariants:
    - Each class goes out in the order of the log (`lane.py`), on a place of its own (`places.py`).
    - Two requests are in flight at most, beside dead letters that a person sends again. The front
      task sends alarms and live samples in turns, the back task the backfill: a slow answer to the
      backlog keeps no alarm waiting.
    - Live samples that are late by more than `live_lag_s` are left to the backfill, and those of
      the present go on. Where the link does not carry both, `backfill_share` divides it.
    - The front task decides whether the far end is there. The back task knocks only while there is
      nothing to say in front; its failure is an outage unless the front got through meanwhile.
    - What the budget of a day does not allow waits in the log; alarms do not.
"""

import asyncio
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from cloud_sync.edge.again import send_again
from cloud_sync.edge.budget import Budget, BudgetFile
from cloud_sync.edge.contact import Contact, asked_wait_s
from cloud_sync.edge.dead_letters import DeadLetters
from cloud_sync.edge.delivery_settings import DeliverySettings
from cloud_sync.edge.lane import Delivered, Lane, Note
from cloud_sync.edge.link import Link
from cloud_sync.edge.pace import Pace
from cloud_sync.edge.places import BackfillPlace, DeliveryLog, LivePlace, NotesPlace
from cloud_sync.edge.share import Share
from cloud_sync.edge.standing import Standing
from gateway.core.errors import StoreError, UplinkError
from gateway.core.events import Event
from gateway.core.ports import Clock, Uplink
from gateway.core.records import GatewayId, Seq
from gateway.core.uplink_status import DeadLetter, DeliveryClass, UplinkStatus
from gateway.wire.backoff import Backoff

__all__ = ["Delivery", "DeliverySettings"]

HOLES_MAX: Final = 64
"""With so many stretches left behind, live samples wait in order until one is filled: every one of
them is written with each commit."""
RESENT_SEVERITY: Final = 200
HELD_LOOK_S: Final = 1.0
"""Between two looks whether samples that must not go out yet may."""
TURN_LOOK_S: Final = 60.0
"""Between two looks of the back task that nobody has woken: a new day has its own budget."""

_NS_PER_S: Final = 1_000_000_000

log = structlog.get_logger()


class Delivery:
    """Delivers the log to one uplink: `run` it, cancel it, then `finish`."""

    def __init__(
        self,
        uplink: Uplink,
        *,
        gateway: GatewayId,
        reader: DeliveryLog,
        settings: DeliverySettings,
        dead_letters: DeadLetters,
        clock: Clock,
        note: Note,
        budget_file: Path | None = None,
    ) -> None:
        """Go on from the uplink's own cursors.

        Args:
            uplink: The far end.
            gateway: Who delivers.
            reader: The log; it must know the cursors of `places.cursors_of`.
            settings: How.
            dead_letters: Takes what the far end never will.
            clock: Time.
            note: Takes events and ledger entries.
            budget_file: Where the count of the day is kept; None forgets it.
        """
        self._uplink = uplink
        self._gateway = gateway
        self._reader = reader
        self._dead_letters = dead_letters
        self._note = note
        self._settings = settings
        self._clock = clock
        self._contact = Contact(
            uplink.name,
            Link(uplink.name, address=uplink.address),
            _backoff(settings),
            clock=clock,
            note=note,
        )
        self._back_off = _backoff(settings)

        self._live_place = LivePlace(reader, uplink.name)
        self._backfill_place = BackfillPlace(reader, uplink.name)
        lane = partial(
            Lane,
            uplink=uplink,
            gateway=gateway,
            reader=reader,
            batch_records_max=settings.batch_records_max,
            dead_letters=dead_letters,
            clock=clock,
            note=note,
        )
        # A live batch that takes long makes late what waits behind it.
        live_target_s = min(settings.batch_target_s, settings.live_lag_s / 2)
        self._alarms = lane(
            NotesPlace(reader, uplink.name), pace=_pace(settings, settings.batch_target_s)
        )
        self._live = lane(self._live_place, pace=_pace(settings, live_target_s))
        self._backfill = lane(self._backfill_place, pace=_pace(settings, settings.batch_target_s))
        self._standing = Standing(reader, uplink.name, clock=clock)
        self._share = Share(settings.backfill_share)
        self._budget = Budget(settings.budget_bytes_per_day)
        self._budget_file = BudgetFile(self._budget, budget_file)
        self._stirred = asyncio.Event()
        self._sending_again = asyncio.Lock()
        self._is_front_idle = False
        self._is_backfill_failing = False
        self._due_ns: int | None = None

    async def run(self) -> None:
        """Deliver until cancelled."""
        await self._budget_file.load()
        await self._standing.recall()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run_front(), name=f"uplink[{self._uplink.name}].front")
            group.create_task(self._run_back(), name=f"uplink[{self._uplink.name}].back")

    async def finish(self, *, deadline_s: float) -> int:
        """Deliver what is left as far as the deadline allows, and close the uplink.

        Returns:
            Positions of the log that stay for the next start.
        """
        try:
            async with asyncio.timeout(deadline_s):
                await self._budget_file.load()
                self._is_front_idle = True
                self._due_ns = None
                while await self._go_on(linger_s=0.0) or await self._deliver(self._backfill):
                    pass
        except (TimeoutError, UplinkError, StoreError) as error:
            log.info("delivery_postponed", uplink=self._uplink.name, reason=repr(error))
        finally:
            await self._budget_file.save(now_ns=self._clock.monotonic_ns(), is_last=True)
            await self._uplink.aclose()
        return self._standing.lag

    def status(self) -> UplinkStatus:
        """Return how the uplink is doing."""
        now_ns = self._clock.now_ns()
        return self._contact.link.status(
            self._standing.waiting(),
            cursor=self._standing.complete_to,
            lag_records=self._standing.lag,
            dead_letters=sum(x.buried for x in (self._alarms, self._live, self._backfill)),
            bytes_today=self._budget.bytes_today(now_ns=now_ns),
            budget_bytes_per_day=self._budget.bytes_per_day,
            now_ns=now_ns,
        )

    async def dead_letters(self, *, count_max: int) -> tuple[DeadLetter, ...]:
        """Return what the far end will never take, the oldest first.

        Raises:
            StoreError: the letters cannot be read.
        """
        kept = await self._dead_letters.kept(count_max=count_max)
        return tuple(each.letter for each in kept)

    async def send_dead_letters_again(self, *, operator: str) -> int:
        """Try the oldest dead letters once more; returns how many were taken.

        Raises:
            UplinkError: the far end does not answer; the letters stay.
            StoreError: the letters cannot be read.
        """
        async with self._sending_again:
            taken = await send_again(
                self._dead_letters, self._uplink, gateway=self._gateway, reader=self._reader
            )
        if taken:
            self._note(
                Event(
                    time_ns=self._clock.now_ns(),
                    source=self._uplink.name,
                    condition="dead_letters_delivered",
                    severity=RESENT_SEVERITY,
                    text=f"{self._uplink.name} has taken {taken} records that it had refused",
                    operator=operator,
                )
            )
        return taken

    async def _run_front(self) -> None:
        """Send alarms and live samples, and decide whether the far end is there."""
        while True:
            await self._contact.pause()
            try:
                seen = self._reader.end
                self._share.front_is_busy()
                if not await self._go_on(linger_s=self._settings.linger_s):
                    self._share.front_is_level()
                    await self._wait_for_more(seen)
            except UplinkError as error:
                self._contact.lost(error)
                await self._standing.look()
            except StoreError as error:
                await asyncio.sleep(self._contact.stalled(error))

    async def _run_back(self) -> None:
        """Send the backfill whenever it is its turn."""
        while True:
            await self._wait_for_turn()
            begun_ns = self._clock.monotonic_ns()
            try:
                await self._deliver(self._backfill)
                self._tell_edges()
                await self._standing.look()
            except UplinkError as error:
                if self._contact.has_answered_since(begun_ns):
                    await asyncio.sleep(self._backfill_failed(error))
                else:
                    self._contact.lost(error)
            except StoreError as error:
                await asyncio.sleep(self._contact.stalled(error))

    async def _go_on(self, *, linger_s: float) -> bool:
        """Send what is next in front; returns whether there was anything to do."""
        self._standing.mark()
        is_any = await self._deliver(self._alarms)
        if self._is_live_due(linger_s):
            await self._stay_in_the_present()
            is_any |= await self._deliver(self._live)
        self._tell_edges()
        self._stirred.set()
        await self._standing.look()
        return is_any

    def _tell_edges(self) -> None:
        """Say what has just become so; the last position may have held nothing to confirm."""
        now_ns = self._clock.now_ns()
        complete_to = self._standing.complete_to
        self._contact.tell(self._contact.link.progressed(complete_to, now_ns=now_ns))
        self._contact.tell(self._budget.edge(self._uplink.name, now_ns=now_ns))

    def _is_live_due(self, linger_s: float) -> bool:
        """Return whether live samples wait, and have waited for others to go with them."""
        now_ns = self._clock.monotonic_ns()
        if self._live_place.next_span() is None:
            self._due_ns = None
        elif self._due_ns is None:
            self._due_ns = now_ns + int(linger_s * _NS_PER_S)
        return self._due_ns is not None and now_ns >= self._due_ns

    async def _stay_in_the_present(self) -> None:
        """Leave live samples that are late to the backfill."""
        hole_count = len(self._backfill_place.holes)
        # Where a link never carries the live rate, the stretches left behind stay few.
        late_s = self._settings.live_lag_s * (1 + hole_count)
        if hole_count < HOLES_MAX and self._standing.live_age_s > late_s:
            await self._live_place.skip_to_the_present()

    async def _deliver(self, lane: Lane) -> bool:
        """Send the next batch of a class; returns whether there was anything to do."""
        span = lane.place.next_span()
        if span is None or not self._budget.allows(lane.kind, now_ns=self._clock.now_ns()):
            return False
        delivered = await lane.deliver(span)
        if delivered is not None:
            await self._took(lane, delivered)
        return True

    async def _took(self, lane: Lane, delivered: Delivered) -> None:
        """Count what the far end has, and tell the edges."""
        result, now_ns = delivered.result, self._clock.now_ns()
        is_behind = lane is self._backfill
        if not is_behind or self._is_front_idle or self._contact.is_connected:
            lag = self._standing.lag + result.accepted
            self._contact.answered(lag=lag, end=self._reader.samples_end)
        self._contact.link.took(lane.kind, result)
        # An uplink that cannot tell what went over the wire is reckoned by what went into it.
        self._budget.sent(result.size_bytes or delivered.size_bytes, now_ns=now_ns)
        if is_behind:
            self._share.back_sent(delivered.size_bytes)
            self._backfill_went_on()
        else:
            self._share.front_sent(delivered.size_bytes)
        await self._budget_file.save(now_ns=self._clock.monotonic_ns())

    async def _wait_for_more(self, seen: Seq) -> None:
        """Wait until there is something to do in front; meanwhile the back task may knock."""
        self._is_front_idle = True
        self._stirred.set()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience_s()):
                    await self._reader.wait_for_records(after=seen)
        finally:
            self._is_front_idle = False

    def _patience_s(self) -> float | None:
        """Return after what time to look again though nothing new is committed."""
        is_allowed = self._budget.allows(DeliveryClass.LIVE, now_ns=self._clock.now_ns())
        if self._due_ns is not None and is_allowed and self._live_place.next_span() is not None:
            return max(self._due_ns - self._clock.monotonic_ns(), 0) / _NS_PER_S
        return HELD_LOOK_S if self._reader.end > self._live_place.seq else None

    async def _wait_for_turn(self) -> None:
        """Return when the backfill may send a batch."""
        while True:
            await self._contact.pause()
            is_allowed = self._budget.allows(DeliveryClass.BACKFILL, now_ns=self._clock.now_ns())
            is_heard = self._contact.is_connected or self._is_front_idle
            if self._backfill_place.holes and is_heard and is_allowed and self._share.may_send:
                return
            self._stirred.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(TURN_LOOK_S):
                    await self._stirred.wait()

    def _backfill_failed(self, error: UplinkError) -> float:
        """Note that the backlog does not get through while the front does; returns the wait."""
        if not self._is_backfill_failing:
            log.warning(
                "backfill_postponed",
                uplink=self._uplink.name,
                reason=error.text,
                detail=error.detail,
                stage="sending",
            )
        self._is_backfill_failing = True
        wait_s = self._back_off.failed(now_ns=self._clock.monotonic_ns())
        return max(wait_s, asked_wait_s(error))

    def _backfill_went_on(self) -> None:
        if self._is_backfill_failing:
            log.info("backfill_resumed", uplink=self._uplink.name)
        self._is_backfill_failing = False
        self._back_off.succeeded(now_ns=self._clock.monotonic_ns())


def _backoff(settings: DeliverySettings) -> Backoff:
    return Backoff(
        first_s=settings.retry_first_s, cap_s=settings.retry_cap_s, healthy_s=settings.healthy_s
    )


def _pace(settings: DeliverySettings, target_s: float) -> Pace:
    return Pace(
        size_bytes_min=settings.batch_size_bytes_min,
        size_bytes_max=settings.batch_size_bytes_max,
        target_s=target_s,
    )
