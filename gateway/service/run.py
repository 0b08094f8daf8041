"""One run of a gateway: start in order, one task group, stop in order.

Start: open the log (one writer, counts the boot), restore the checkpoint and the models in force,
replay what the checkpoint had not seen, then connect. Stop: connectors first, so that nothing new
comes; then the pipeline takes in what waits; then the uplinks deliver once more, with a deadline;
then the checkpoint; then the log closes. Anything unexpected ends the service; systemd restarts it.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from cloud_sync.edge.delivery import Delivery
from cloud_sync.edge.keeper import ModelKeeper
from cloud_sync.edge.models import TufModelStore
from gateway.api import ApiServer
from gateway.commands import CommandDesk
from gateway.config import Config
from gateway.core.errors import StoreError
from gateway.core.ports import Clock
from gateway.core.records import GatewayId
from gateway.core.tags import TagTable
from gateway.health import Notifier, Watchdog, feed_watchdog, watchdog_period_s
from gateway.pipeline import Ingress, LiveValues, Pipeline, Replayable, Timekeeper
from gateway.service.build import Parts, build_parts
from gateway.service.changes import Changes
from gateway.service.clock_watch import build_timekeeper, watch_clock
from gateway.service.devices import device_supervisors
from gateway.service.feed import Feed
from gateway.service.gauge import LogGauge
from gateway.service.uplinks import build_deliveries, cursors_of_all
from gateway.service.view import ServiceView
from gateway.service.vision import Vision
from gateway.store import RecordLog
from gateway.supervisor import DeviceSupervisor
from gateway.wire.clock import WatchedClock
from gateway.wire.kernel_clock import machine_run

log = structlog.get_logger()

Say = Callable[[dict[str, object]], None]
"""Takes what a program that started the gateway wants to know."""

PIPELINE = "pipeline"
STORE = "store"
SILENCE_S_MAX = {PIPELINE: 10.0, STORE: 60.0}
"""Longest time without progress before systemd is no longer told that we live; a disk may stall."""
MARK_PERIOD_S = 1.0
CHANGE_S = 1.0
"""Longest last delivery before another configuration: what is left goes out right after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """All that runs."""

    config: Config
    folder: Path
    clock: Clock
    parts: Parts
    store: RecordLog
    table: TagTable
    ingress: Ingress
    pipeline: Pipeline
    supervisors: tuple[DeviceSupervisor, ...]
    deliveries: tuple[Delivery, ...]
    keeper: ModelKeeper | None
    vision: Vision
    feed: Feed
    gauge: LogGauge
    view: ServiceView
    changes: Changes | None

    @property
    def state_folder(self) -> Path:
        """Where the gateway keeps its state."""
        return self.config.gateway.state_folder


@asynccontextmanager
async def opened(
    config: Config, *, folder: Path, clock: Clock, changes: Changes | None = None
) -> AsyncIterator[Gateway]:
    """Build a gateway with its log open for writing; closes the log in good order.

    Args:
        config: Read from a file.
        folder: The file's; relative paths begin there.
        clock: Time.
        changes: Takes new configurations; None takes none.
    Raises:
        ConfigError: the parts do not fit together.
        StoreError: the log cannot be opened.
    """
    watched = WatchedClock(clock)
    parts = build_parts(config, folder=folder, clock=watched)
    state_folder = config.gateway.state_folder
    state_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = await asyncio.to_thread(
        RecordLog.open,
        state_folder / "log.db",
        config.log,
        gateway=GatewayId(config.gateway.id),
        clock=watched,
        machine=machine_run(),
        cursors=cursors_of_all(changes.uplinks if changes else config.uplinks),
    )
    try:
        table = await asyncio.to_thread(store.intern, parts.tags)
        parts.processor.bind(table)
        yield _assembled(config, parts, store, table, folder=folder, clock=watched, changes=changes)
    finally:
        await store.close()


def _assembled(
    config: Config,
    parts: Parts,
    store: RecordLog,
    table: TagTable,
    *,
    folder: Path,
    clock: WatchedClock,
    changes: Changes | None,
) -> Gateway:
    timekeeper = build_timekeeper(config, store, table, clock=clock)
    ingress = Ingress(size_bytes_max=config.gateway.ingress_size_mib * 1024 * 1024)
    values = LiveValues(table)
    feed = Feed(values)
    gauge = LogGauge(store, config.log, clock=clock, doubt=lambda: timekeeper.reason)
    supervisors, books = device_supervisors(config, parts, table, store, ingress, clock=clock)
    desk = _desk(config, parts, table, store, clock=clock)
    pipeline = Pipeline(
        ingress=ingress,
        table=table,
        processor=parts.processor,
        board=parts.board,
        cases=parts.cases,
        store=store,
        clock=clock,
        values=values,
        listeners=[feed.add, gauge.add_events],
        ledger_listeners=[feed.add_ledger_entry, gauge.add_entry],
        others=_others(supervisors, desk, timekeeper),
        followers={f"gaps.{name}": book for name, book in books.items()},
        timekeeper=timekeeper,
        rebased=supervisors,
    )
    deliveries = build_deliveries(config, store, ingress, clock=clock)
    keeper = _keeper(config, parts, ingress, clock=clock)
    vision = Vision(config, clock=clock, note=ingress.note)
    view = ServiceView(
        config,
        table=table,
        ingress=ingress,
        pipeline=pipeline,
        parts=parts,
        supervisors=supervisors,
        deliveries=deliveries,
        keeper=keeper,
        vision=vision,
        desk=desk,
        feed=feed,
        gauge=gauge,
        changes=changes,
        clock=clock,
    )
    return Gateway(
        config=config,
        folder=folder,
        clock=clock,
        parts=parts,
        store=store,
        table=table,
        ingress=ingress,
        pipeline=pipeline,
        supervisors=supervisors,
        deliveries=deliveries,
        keeper=keeper,
        vision=vision,
        feed=feed,
        gauge=gauge,
        view=view,
        changes=changes,
    )


def _others(
    supervisors: Sequence[DeviceSupervisor], desk: CommandDesk, timekeeper: Timekeeper
) -> dict[str, Replayable]:
    """Return what is checkpointed and replayed beside twins, detectors and alarms, by its name."""
    devices = {f"device.{each.connector.name}": each for each in supervisors}
    return {**devices, "commands": desk, "machine_clocks": timekeeper.machines}


def _desk(
    config: Config, parts: Parts, table: TagTable, store: RecordLog, *, clock: Clock
) -> CommandDesk:
    return CommandDesk(
        config.writes,
        table=table,
        connectors={tag.id: each for each in parts.connectors for tag in each.tags},
        store=store,
        clock=clock,
    )


def _keeper(config: Config, parts: Parts, ingress: Ingress, *, clock: Clock) -> ModelKeeper | None:
    if config.models is None:
        return None
    state_folder = config.gateway.state_folder / "models"
    state_folder.mkdir(parents=True, exist_ok=True)
    return ModelKeeper(
        TufModelStore(config.models, folder=state_folder),
        [*parts.detectors, *parts.lives],
        path=state_folder / "stages.json",
        period_s=config.models.period_s,
        clock=clock,
        note=ingress.note,
    )


async def restore_state(gateway: Gateway) -> None:
    """Bring all state to the end of the log, as if the service had never stopped."""
    seq, checkpoint = await asyncio.to_thread(gateway.store.load_checkpoints)
    earlier: dict[str, bytes] = {}
    if gateway.changes is not None:
        earlier = await asyncio.to_thread(gateway.changes.resumed, checkpoint)
    # What the later one does not have, or cannot give, stays as the earlier one has it.
    gateway.pipeline.restore(earlier)
    for reason in gateway.pipeline.restore(checkpoint):
        if reason.partition(":")[0] not in earlier:
            log.warning("part_starts_afresh", part=reason)
    if gateway.keeper is not None:
        await gateway.keeper.restore()
    entries = gateway.store.replay(after=seq, table=gateway.table)
    count = await asyncio.to_thread(gateway.pipeline.replay, entries)
    await gateway.gauge.refresh()
    log.info("state_restored", checkpoint_seq=seq, replayed_samples=count)


async def serve(gateway: Gateway, stop: asyncio.Event, *, say: Say, begun_ns: int) -> None:
    """Run a restored gateway until told to stop, then stop all parts in order.

    Args:
        gateway: Opened, its state restored.
        stop: Ends it when set.
        say: Told once when all runs.
        begun_ns: When the start began, on the monotonic clock.
    Raises:
        ConfigError: the API's socket is not to be had.
    """
    notifier = Notifier.from_environment()
    server = ApiServer(gateway.config.api, gateway.view)
    async with server.serving(), asyncio.TaskGroup() as group:
        pipeline = _start(group, {"pipeline": gateway.pipeline.run()})
        background = _start(
            group, {"gauge": gateway.gauge.run(), "clock": watch_clock(gateway.pipeline)}
        )
        if gateway.keeper is not None:
            background += _start(group, {"models": gateway.keeper.run()})
        if gateway.changes is not None:
            background += _start(group, {"configuration": _watch_changes(gateway, gateway.changes)})
        background += _start(group, {"watchdog": _watch(gateway, notifier)})
        deliveries = _start(
            group, {f"uplink[{name}]": each.run() for name, each in _named_deliveries(gateway)}
        )
        sources = _start(
            group, {f"connector[{x.connector.name}]": x.run() for x in gateway.supervisors}
        )
        sources += _start(group, {"vision": gateway.vision.run()})
        notifier.ready()
        say(_ready(gateway, begun_ns=begun_ns))
        await stop.wait()
        is_change = gateway.changes is not None and not gateway.changes.is_ended
        log.info("stopping", is_change=is_change)
        # To systemd a change is a reload: after STOPPING=1 it would end the process.
        _ = notifier.reloading() if is_change else notifier.stopping()
        await _end(sources)
        await _end(pipeline)
        await gateway.pipeline.drain()
        await _end(deliveries)
        await _deliver_once_more(gateway, deadline_s=CHANGE_S if is_change else None)
        await _end(background)
        # What the last delivery had to say goes into the log, too.
        await gateway.pipeline.drain()
        await gateway.gauge.refresh()


def _named_deliveries(gateway: Gateway) -> Iterable[tuple[str, Delivery]]:
    return zip(gateway.config.uplinks, gateway.deliveries, strict=True)


def _start(
    group: asyncio.TaskGroup, work: dict[str, Coroutine[object, object, None]]
) -> list[asyncio.Task[None]]:
    return [group.create_task(each, name=name) for name, each in work.items()]


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


async def _deliver_once_more(gateway: Gateway, *, deadline_s: float | None) -> None:
    """Commit what was processed, then deliver it within the stop's deadline, or a shorter one."""
    deadline_s = deadline_s or gateway.config.gateway.stop_s
    with contextlib.suppress(TimeoutError, StoreError):  # a failing disk must not keep us
        async with asyncio.timeout(deadline_s):
            await gateway.store.durable(gateway.store.append([]))
    await asyncio.gather(*(each.finish(deadline_s=deadline_s) for each in gateway.deliveries))


async def _watch_changes(gateway: Gateway, changes: Changes) -> None:
    async def forget(uplink: str) -> None:
        for cursor in cursors_of_all([uplink]):
            await gateway.store.forget(cursor)

    await changes.watch(gateway.view, note=gateway.ingress.note, forget=forget)


async def _watch(gateway: Gateway, notifier: Notifier) -> None:
    """Feed systemd's watchdog from the pipeline's and the log's own progress."""
    period_s = watchdog_period_s()
    if period_s is None:
        return
    clock = gateway.clock
    watchdog = Watchdog(SILENCE_S_MAX, now_ns=clock.monotonic_ns())
    async with asyncio.TaskGroup() as group:
        group.create_task(feed_watchdog(notifier, watchdog, clock=clock, period_s=period_s))
        entries = answers = -1
        while True:
            # A pipeline with nothing to do is not stuck; one with entries waiting must move.
            if gateway.pipeline.progress_count != entries or gateway.ingress.size_bytes == 0:
                watchdog.mark(PIPELINE, now_ns=clock.monotonic_ns())
            if gateway.gauge.answer_count != answers:
                watchdog.mark(STORE, now_ns=clock.monotonic_ns())
            entries = gateway.pipeline.progress_count
            answers = gateway.gauge.answer_count
            await asyncio.sleep(MARK_PERIOD_S)


def _ready(gateway: Gateway, *, begun_ns: int) -> dict[str, object]:
    return {
        "ready": True,
        "pid": os.getpid(),
        "boot": gateway.store.boot,
        "socket": str(gateway.config.api.socket),
        "start_s": round((time.monotonic_ns() - begun_ns) / 1e9, 3),
    }
