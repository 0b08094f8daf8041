"""The keeper of the models: looks for releases, runs their trials, and remembers.

Two loops. One looks for new releases, at its period and when told; what it downloads may take
minutes. The other counts rows of the running trials every few seconds and decides them, so that a
bad version is taken back at once, whatever the network does. A change of stage is on disk before
anything is told.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol

import structlog

from cloud_sync.edge.kept_model import REFUSED_SEVERITY, KeptModel
from cloud_sync.edge.lifecycle import version_order
from cloud_sync.edge.models import Release
from cloud_sync.edge.stages import ModelState, dump_states, read_states, write_states
from gateway.core.errors import CommandError, GatewayError, ModelError, StoreError, UplinkError
from gateway.core.events import Event
from gateway.core.models import ModelStatus
from gateway.core.ports import Clock, ModelHost

COUNT_PERIOD_S: Final = 2.0
"""Between two counts of the running trials."""

log = structlog.get_logger()


class ModelStore(Protocol):
    """Where verified bundles come from."""

    async def releases(self) -> Sequence[Release]:
        """Return what the cloud offers now.

        Raises:
            UplinkError: it cannot be reached.
            ModelError: its answer is not to be trusted.
            StoreError: our disk refuses.
        """

    async def fetch(self, name: str, version: str) -> bytes:
        """Return a released bundle, verified; raises as `releases`."""

    async def load(self, name: str, version: str) -> bytes:
        """Return a bundle that is here, verified without the network; raises as `releases`."""

    async def keep_only(self, versions: Iterable[tuple[str, str]]) -> None:
        """Remove all other bundles."""


class ModelKeeper:
    """Implements `ModelReader`: `restore` it before the first row, then `run` it."""

    def __init__(
        self,
        store: ModelStore,
        hosts: Sequence[ModelHost],
        *,
        path: Path,
        period_s: float,
        clock: Clock,
        note: Callable[[Event], None],
        count_period_s: float = COUNT_PERIOD_S,
    ) -> None:
        """Keep the models of these hosts; their stages are remembered in the file `path`.

        Raises:
            StoreError: that file cannot be read.
        """
        self._store = store
        self._path = path
        self._period_s = period_s
        self._count_period_s = count_period_s
        self._note = note
        states, damage = read_states(path, now_ns=clock.now_ns())
        if damage:
            log.error("model_stages_lost", reason=damage)
        self._clock = clock
        self._others = {
            name: state
            for name, state in states.items()
            if name not in {host.model_name for host in hosts}
        }
        self._models = {
            host.model_name: KeptModel(host, states.get(host.model_name, ModelState()), clock=clock)
            for host in hosts
        }
        self._changing = asyncio.Lock()
        self._look_now = asyncio.Event()
        self._trouble = ""

    async def restore(self) -> None:
        """Put the versions in force again that were in force, without the network."""
        async with self._changing:
            for model in self._models.values():
                await self._tell(await model.restore(self._store.load))

    async def run(self) -> None:
        """Look and count until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._look_for_ever(), name="models[look]")
                group.create_task(self._count_for_ever(), name="models[count]")
        finally:
            # A probation goes on where it was.
            self._save(self._dump())

    def check_now(self) -> None:
        """Look for releases at once instead of at the next turn."""
        self._look_now.set()

    async def promote_now(self, name: str, *, operator: str) -> None:
        """Put the version in shadow in force, whatever its rules say.

        Raises:
            CommandError: there is no such model, or no version in shadow.
        """
        async with self._changing:
            await self._tell(self._named(name).promote_now(operator))

    async def roll_back_now(self, name: str, *, operator: str) -> None:
        """Put the former version in force again.

        Raises:
            CommandError: there is no such model, or no former version.
            ModelError: the former version must not be loaded any more.
        """
        async with self._changing:
            await self._tell(await self._named(name).roll_back_now(operator, self._store.load))

    def models(self) -> tuple[ModelStatus, ...]:
        """Return every version known, by name, the newest first."""
        return tuple(
            status for name in sorted(self._models) for status in self._models[name].statuses()
        )

    async def look(self) -> None:
        """Try the newest release of every model, unless it is known already."""
        trouble: GatewayError | None = None
        try:
            releases = await self._store.releases()
        except (ModelError, StoreError, UplinkError) as error:
            self._report(error)
            return
        for model in self._models.values():
            try:
                await self._consider(model, [each for each in releases if each.name == model.name])
            except (ModelError, StoreError, UplinkError) as error:
                trouble = error
        self._report(trouble)

    async def count(self) -> None:
        """Count the running trials, and decide those that can be decided."""
        async with self._changing:
            for model in self._models.values():
                await self._tell(model.count())

    async def _look_for_ever(self) -> None:
        while True:
            self._look_now.clear()
            await self.look()
            try:
                async with asyncio.timeout(self._period_s):
                    await self._look_now.wait()
            except TimeoutError:
                continue

    async def _count_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._count_period_s)
            await self.count()

    async def _consider(self, model: KeptModel, releases: Sequence[Release]) -> None:
        """Try the newest version that is wanted, or repair the one that could not be loaded."""
        wanted = [release.version for release in releases if model.wants(release.version)]
        newest = max(wanted, key=version_order, default=None)
        if newest is not None:
            data = await self._store.fetch(model.name, newest)
            async with self._changing:
                # A person may have taken a version back while the download ran.
                if model.wants(newest):
                    await self._tell(await model.try_release(newest, data))
                    await self._store.keep_only(self._kept())
        elif model.state.active is not None and not model.is_running:
            data = await self._store.fetch(model.name, model.state.active)
            async with self._changing:
                if not model.is_running:
                    await self._tell(await model.repair(data))

    def _kept(self) -> list[tuple[str, str]]:
        states = {name: model.state for name, model in self._models.items()} | self._others
        return [(name, version) for name, state in states.items() for version in state.kept]

    def _named(self, name: str) -> KeptModel:
        if name not in self._models:
            raise CommandError(f"there is no model {name!r} on this gateway")
        return self._models[name]

    async def _tell(self, events: Sequence[Event]) -> None:
        """Put the stages on disk, then tell what happened."""
        if events:
            await asyncio.to_thread(self._save, self._dump())
        for event in events:
            log.info(event.condition, model=event.source, text=event.text)
            self._note(event)

    def _dump(self) -> bytes:
        states = {name: model.state for name, model in self._models.items()} | self._others
        return dump_states(states)

    def _save(self, content: bytes) -> None:
        try:
            write_states(self._path, content)
        except StoreError as error:
            # The decision stands in memory; a restart would find the stage before it.
            log.error("model_stages_unsaved", reason=str(error))

    def _report(self, error: GatewayError | None) -> None:
        """Tell trouble on its edges: a refusal is an event, an unreachable cloud is not."""
        trouble = "" if error is None else str(error)
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if error is None:
            log.info("releases_reached")
            return
        log.warning("releases_not_usable", reason=trouble, stage="receiving")
        if isinstance(error, ModelError):
            self._note(
                Event(
                    time_ns=self._clock.now_ns(),
                    source="gateway",
                    condition="model_refused",
                    severity=REFUSED_SEVERITY,
                    text=f"no new model is taken: {trouble}",
                )
            )
