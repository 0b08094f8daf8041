"""The cloud in one process: puts the parts together, runs them, and stops them cleanly.

    requests ─▶ api ─▶ ingest ─▶ database ─▶ lake ─▶ retrain ─▶ registry ─▶ gateways

Building checks the whole configuration and opens nothing. One task group owns what runs: the
server, the listener at the broker, the steps from inbox to lake, the renewal of signatures,
retraining by the clock, the watchdog. A part that meets an expected failure tells it once, goes on
trying, and tells once more when it is over; anything else is a bug and ends the process, for
systemd to start it again.
"""

import asyncio
import fcntl
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Final

import structlog

from cloud_sync.cloud.api import Api, Parts
from cloud_sync.cloud.database import open_database
from cloud_sync.cloud.ingest import Ingest
from cloud_sync.cloud.lake import Lake
from cloud_sync.cloud.metrics import CloudMetrics
from cloud_sync.cloud.presence import Presence
from cloud_sync.cloud.registry import Registry
from cloud_sync.cloud.requests import Tokens
from cloud_sync.cloud.retrain import RetrainBusyError, Retrainer
from cloud_sync.cloud.server import serving, tls_context
from cloud_sync.cloud.settings import CloudSettings
from gateway.core.errors import ConfigError, GatewayError, StoreError
from gateway.core.ports import Clock
from gateway.health import Notifier, Watchdog, feed_watchdog, watchdog_period_s
from gateway.wire.clock import SystemClock

if TYPE_CHECKING:
    from cloud_sync.cloud.mqtt import BatchListener

log = structlog.get_logger()

LAKE_PERIOD_S: Final = 1.0
"""Between looks at the inbox; whether a file is due is the lake's to say."""
REFRESH_PERIOD_S: Final = 3600.0
"""Between looks at the age of the registry's signatures."""
DRIFT_PERIOD_S: Final = 60.0
"""Between two looks whether a gateway told of a drift."""
PROGRESS_PERIOD_S: Final = 5.0
"""Between proofs that the database still takes transactions."""
PROGRESS_AGE_S_MAX: Final = 60.0
"""Age of the last proof at which the watchdog is fed no more."""
DATABASE: Final = "database"


async def run_cloud(
    settings: CloudSettings,
    *,
    stop: asyncio.Event | None = None,
    started: Callable[[str], None] | None = None,
) -> None:
    """Run until told to stop, then stop cleanly.

    Args:
        settings: As read from a file.
        stop: Ends it when set; without it, SIGTERM and SIGINT do.
        started: Called once with the URL when requests are answered.
    Raises:
        ConfigError: something that a person must mend.
        StoreError: the state cannot be opened.
    """
    stop = stop or _stop_on_signals()
    context = tls_context(settings.server)
    clock = SystemClock()
    notifier = Notifier.from_environment()
    async with AsyncExitStack() as stack:
        stack.enter_context(only_process(settings))
        database = await open_database(settings.database_path)
        stack.push_async_callback(database.aclose)
        lake = Lake(settings.lake_folder, database, settings=settings.lake)
        await lake.recover()
        registry = Registry(
            settings.registry_folder,
            settings.keys_folder,
            settings=settings.registry,
            clock=clock,
        )
        parts = Parts(
            database=database,
            ingest=Ingest(database, settings=settings.ingest, clock=clock),
            registry=registry,
            retrainer=Retrainer(
                database=database,
                lake=lake,
                registry=registry,
                settings=settings.retrain,
                clock=clock,
            ),
            metrics=CloudMetrics(),
            presence=Presence(clock=clock),
        )
        listener = _listener(settings, parts, clock=clock)
        # Leaving the stack stops the server first, then empties the inbox, then closes the file.
        stack.push_async_callback(_compact_last, lake)
        api = Api(parts, tokens=_tokens(settings), ingest=settings.ingest)
        port = await stack.enter_async_context(
            serving(api.application(), settings=settings.server, context=context)
        )
        url = f"{'http' if context is None else 'https'}://{settings.server.host}:{port}"
        log.info("cloud_started", url=url)
        notifier.ready()
        if started is not None:
            started(url)
        await _work_until(
            stop, parts, lake, listener, settings=settings, clock=clock, notifier=notifier
        )
        notifier.stopping()
    log.info("cloud_stopped")


async def _work_until(
    stop: asyncio.Event,
    parts: Parts,
    lake: Lake,
    listener: "BatchListener | None",
    *,
    settings: CloudSettings,
    clock: Clock,
    notifier: Notifier,
) -> None:
    """Run everything that is not an answer to a request, until the stop."""

    async def write_files() -> None:
        if await lake.is_due(now_ns=clock.now_ns()):
            parts.metrics.wrote(await lake.compact())

    async def renew_signatures() -> None:
        roles = await asyncio.to_thread(parts.registry.refresh)
        if roles:
            log.info("registry_renewed", roles=roles)

    async def retrain_all() -> None:
        await parts.retrainer.run_all()

    async def retrain_drifted() -> None:
        with suppress(RetrainBusyError):  # somebody asked for one by hand: look again later
            await parts.retrainer.run_drifted()

    watchdog = Watchdog({DATABASE: PROGRESS_AGE_S_MAX}, now_ns=clock.monotonic_ns())

    async def prove_progress() -> None:
        await parts.database.transact(lambda _: None)
        watchdog.mark(DATABASE, now_ns=clock.monotonic_ns())

    work: dict[str, tuple[Callable[[], Awaitable[None]], float]] = {
        "lake": (write_files, LAKE_PERIOD_S),
        "registry": (renew_signatures, REFRESH_PERIOD_S),
        DATABASE: (prove_progress, PROGRESS_PERIOD_S),
    }
    if settings.retrain.on_drift:
        work["drift"] = (retrain_drifted, DRIFT_PERIOD_S)
    if settings.retrain.period_h is not None:
        work["retrain"] = (retrain_all, settings.retrain.period_h * 3600)
    feeding_s = watchdog_period_s()
    async with asyncio.TaskGroup() as tasks:
        owned = [
            tasks.create_task(_repeat(do, name=name, period_s=period_s, clock=clock), name=name)
            for name, (do, period_s) in work.items()
        ]
        if feeding_s is not None:
            feeding = feed_watchdog(notifier, watchdog, clock=clock, period_s=feeding_s)
            owned.append(tasks.create_task(feeding, name="watchdog"))
        if listener is not None:
            owned.append(tasks.create_task(listener.run(), name="mqtt"))
        await stop.wait()
        for task in owned:
            task.cancel()


async def _repeat(
    work: Callable[[], Awaitable[None]], *, name: str, period_s: float, clock: Clock
) -> None:
    """Do something again and again; expected failures are told once and tried again."""
    failing_since_ns: int | None = None
    while True:
        await asyncio.sleep(period_s)
        try:
            await work()
        except RetrainBusyError:
            continue
        except GatewayError as error:
            if failing_since_ns is None:
                failing_since_ns = clock.monotonic_ns()
                log.error("part_failed", stage="processing", part=name, reason=str(error))
            continue
        if failing_since_ns is not None:
            duration_s = (clock.monotonic_ns() - failing_since_ns) / 1e9
            failing_since_ns = None
            log.info("part_recovered", part=name, duration_s=round(duration_s, 1))


async def _compact_last(lake: Lake) -> None:
    """Write what is in the inbox, so that a stopped cloud has all in files."""
    try:
        await lake.compact()
    except StoreError as error:
        log.warning("lake_not_written", reason=str(error), remedy="it is done at the next start")


def _listener(settings: CloudSettings, parts: Parts, *, clock: Clock) -> "BatchListener | None":
    """Return what takes batches from the broker; None where none is configured.

    Raises:
        ConfigError: the password or a certificate cannot be read.
    """
    if settings.mqtt is None:
        return None
    # Made here: aiomqtt is needed only where a broker is configured.
    from cloud_sync.cloud.mqtt import BatchListener, Reception

    reception = Reception(
        ingest=parts.ingest,
        metrics=parts.metrics,
        presence=parts.presence,
        tokens=_tokens(settings),
        gateways=frozenset(settings.gateways),
        batch_size_bytes_max=settings.ingest.batch_size_bytes_max,
    )
    return BatchListener(settings.mqtt, reception, clock=clock)


def _tokens(settings: CloudSettings) -> Tokens:
    return Tokens(
        operator=settings.operator_token_sha256,
        gateways={name: access.token_sha256 for name, access in settings.gateways.items()},
    )


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


@contextmanager
def only_process(settings: CloudSettings) -> Iterator[None]:
    """Hold the state folder against a second process.

    Raises:
        ConfigError: one has it already, or it cannot be used.
    """
    path = settings.state_folder / "lock"
    try:
        settings.state_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = path.open("ab")
    except OSError as error:
        raise ConfigError(f"state_folder: {settings.state_folder}: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(
                f"state_folder: {settings.state_folder} is in use by another process"
            ) from error
        yield
