"""What every connector does, whatever its protocol: subclass and give it a plant."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from gateway.core.arrays import index_column
from gateway.core.errors import CommandError, DeviceError
from gateway.core.ports import Connector
from gateway.core.quality import Quality, Status
from gateway.core.tags import Tag
from tests.connectors.sessions import in_session
from tests.connectors.sinks import KeepingSink
from tests.connectors.wire import Wire, until, within

STALL_S = 0.3
"""Well below every time-out of a connector that is not impatient."""
INDEX_OFFSET = 7
"""Tags of the connector under test stand behind others in the table."""


class Plant(ABC):
    """A real server with changing values, a wire to it, and a connector at its other end.

    Its tags: several that the server knows, one named `unknown` that it does not, and one named
    `setpoint` that may be written, with a scale of 0.1 and an offset of 5.
    """

    connector: Connector
    wire: Wire

    @abstractmethod
    async def stop_server(self) -> None:
        """Stop the server as at a power cut."""

    @abstractmethod
    async def start_server(self) -> None:
        """Start it again on the same port."""

    @abstractmethod
    def impatient(self) -> Connector:
        """Return a connector to the same server that gives it up soon."""

    @abstractmethod
    def offered_count(self) -> int:
        """Values that the server put on the wire, counted there."""

    @property
    def indices(self) -> list[int]:
        return [INDEX_OFFSET + position for position in range(len(self.connector.tags))]

    def tag(self, name: str) -> Tag:
        return next(tag for tag in self.connector.tags if tag.id.endswith(f".{name}"))

    def index(self, name: str) -> int:
        return INDEX_OFFSET + self.connector.tags.index(self.tag(name))


@asynccontextmanager
async def running(plant: Plant, sink: KeepingSink) -> AsyncIterator[asyncio.Task[None]]:
    """Run a session of its connector until the block ends."""
    async with in_session(plant.connector, sink, index_column(plant.indices)) as task:
        yield task


async def failure_of(task: asyncio.Task[None]) -> DeviceError:
    """Wait until a session fails, and return how."""
    await within(asyncio.wait([task]), what="a session without its server")
    error = task.exception()
    assert isinstance(error, DeviceError), error
    return error


class ConnectorContract(ABC):
    """The tests; `opened` is written by the subclass."""

    @abstractmethod
    def opened(self, folder: Path) -> AbstractAsyncContextManager[Plant]:
        """Return a running plant, as a context."""

    @pytest.fixture
    async def plant(self, tmp_path: Path) -> AsyncIterator[Plant]:
        async with self.opened(tmp_path) as plant:
            yield plant
            others = asyncio.all_tasks() - {asyncio.current_task()}
            assert [task for task in others if task.get_name() == "session"] == []

    async def test_building_connects_to_nothing(self, plant: Plant) -> None:
        assert plant.wire.downstream == []
        assert [tag.id for tag in plant.connector.tags]
        assert all(tag.id.startswith(f"{plant.connector.name}.") for tag in plant.connector.tags)

    async def test_values_arrive_sound_and_stay_untouched(self, plant: Plant) -> None:
        sink = KeepingSink()
        async with running(plant, sink):
            await until(lambda: len(sink.received) >= 3, what="three frames")
        sink.assert_sound()
        sink.assert_untouched()
        known = {plant.index(tag.id.split(".", 1)[1]) for tag in plant.connector.tags}
        known.discard(plant.index("unknown"))
        seen = {int(index) for frame in sink.received for index in frame.tag_index}
        assert seen == known

    async def test_connected_is_said_once_and_before_the_first_frame(self, plant: Plant) -> None:
        sink = KeepingSink()
        async with running(plant, sink):
            await until(lambda: len(sink.received) >= 3, what="three frames")
        assert sink.connected_count == 1
        assert sink.frames_before_connected == 0

    async def test_an_unknown_point_is_bad_once_and_alone(self, plant: Plant) -> None:
        """One frame that is ours says it; all that the server gives is Good."""
        sink = KeepingSink()
        async with running(plant, sink):
            await until(lambda: len(sink.received) >= 4, what="four frames")
        [stated] = sink.stated
        assert list(stated.tag_index) == [plant.index("unknown")]
        assert list(stated.status) == [Status.BAD_NODE_ID_UNKNOWN]
        assert all((frame.quality == Quality.GOOD).all() for frame in sink.received)

    async def test_nobody_there_is_a_device_error(self, plant: Plant) -> None:
        await plant.wire.refuse()
        sink = KeepingSink()
        async with running(plant, sink) as task:
            error = await failure_of(task)
        assert plant.connector.name in str(error)
        assert plant.connector.address in str(error)
        assert "keeps trying" in str(error)
        assert sink.connected_count == 0
        assert sink.frames == []

    async def test_a_server_that_accepts_and_is_silent_is_lost(self, plant: Plant) -> None:
        plant.connector = plant.impatient()
        plant.wire.freeze()
        sink = KeepingSink()
        async with running(plant, sink) as task:
            await failure_of(task)
        assert sink.frames == []

    async def test_a_server_that_hangs_later_is_lost(self, plant: Plant) -> None:
        plant.connector = plant.impatient()
        sink = KeepingSink()
        async with running(plant, sink) as task:
            await until(lambda: len(sink.received) >= 2, what="two frames")
            plant.wire.freeze()
            error = await failure_of(task)
        assert "since" in str(error) or "cannot be reached" in str(error)

    @pytest.mark.parametrize("kind", ["cut", "restart"])
    async def test_lost_and_back(self, plant: Plant, kind: str) -> None:
        """After a loss the same connector makes a new session with new values."""
        sink = KeepingSink()
        async with running(plant, sink) as task:
            await until(lambda: len(sink.received) >= 2, what="two frames")
            if kind == "cut":
                plant.wire.cut()
            else:
                await plant.stop_server()
                plant.wire.cut()
            await failure_of(task)
        if kind == "restart":
            await plant.start_server()
        again = KeepingSink()
        async with running(plant, again):
            await until(lambda: len(again.received) >= 2, what="two frames after the loss")
        assert again.connected_count == 1
        again.assert_sound()

    async def test_a_stop_at_any_moment_loses_nothing(self, plant: Plant) -> None:
        """What was offered is received, counted on the wire, wherever the cancellation strikes."""
        total = 0
        for step in range(24):
            sink = KeepingSink()
            plant.wire.downstream.clear()
            async with running(plant, sink):
                await asyncio.sleep(0.013 * step)
            assert sink.sample_count == plant.offered_count(), f"cancelled at step {step}"
            total += sink.sample_count
        assert total > 0

    async def test_a_stop_while_the_connection_breaks_is_still_a_stop(self, plant: Plant) -> None:
        """Else the supervisor would begin a new session instead of ending."""
        for step in range(8):
            sink = KeepingSink()
            async with running(plant, sink) as task:
                await until(lambda: bool(sink.received), what="a frame")  # noqa: B023
                plant.wire.cut()
                for _ in range(step):
                    await asyncio.sleep(0)
                was_running = task.cancel()
                await within(asyncio.wait([task]), what="a cancelled session")
            assert task.cancelled() or not was_running, f"cancelled after {step} steps"

    async def test_a_stop_while_the_sink_is_full_loses_nothing(self, plant: Plant) -> None:
        sink = KeepingSink()
        async with running(plant, sink):
            await until(lambda: len(sink.received) >= 2, what="two frames")
            sink.fill()
            await asyncio.sleep(0.3)
            asyncio.get_running_loop().call_later(0.2, sink.drain)
        await self.check_books(plant, [sink])

    async def test_a_full_sink_holds_the_connector_and_loses_nothing(self, plant: Plant) -> None:
        sink = KeepingSink()
        async with running(plant, sink):
            await until(lambda: len(sink.received) >= 2, what="two frames")
            sink.fill()
            await asyncio.sleep(0.5)
            held = len(sink.frames)
            sink.drain()
            await until(lambda: len(sink.frames) >= held + 3, what="frames after the wait")
        await self.check_books(plant, [sink])
        sink.assert_untouched()

    async def test_what_comes_late_is_neither_lost_nor_repeated_nor_reordered(
        self, plant: Plant
    ) -> None:
        """A network that stalls for a moment and then lets everything through at once."""
        sink = KeepingSink()
        async with running(plant, sink):
            await until(lambda: len(sink.received) >= 2, what="two frames")
            plant.wire.freeze()
            await asyncio.sleep(STALL_S)
            plant.wire.thaw()
            held = len(sink.received)
            await until(lambda: len(sink.received) >= held + 3, what="frames after the stall")
        assert sink.connected_count == 1
        await self.check_books(plant, [sink])
        sink.assert_in_order()

    async def check_books(self, plant: Plant, sinks: list[KeepingSink]) -> None:
        """Compare what the server offered on the wire with what the sinks were given."""
        assert sum(sink.sample_count for sink in sinks) == plant.offered_count()

    async def test_a_write_is_read_back_in_engineering_units(self, plant: Plant) -> None:
        sink = KeepingSink()
        async with running(plant, sink):
            await until(lambda: bool(sink.received), what="a frame")
            assert await plant.connector.write(plant.tag("setpoint"), 17.3) == pytest.approx(17.3)
            index = plant.index("setpoint")
            # (17.3 - 5) / 0.1, as the device holds it.
            await until(
                lambda: any(abs(value - 123.0) < 1e-3 for value in sink.values_of(index)),
                what="the written value",
            )

    async def test_writes_need_a_session_and_permission(self, plant: Plant) -> None:
        with pytest.raises(DeviceError, match="not connected"):
            await plant.connector.write(plant.tag("setpoint"), 1.0)
        with pytest.raises(CommandError, match="not declared writable"):
            await plant.connector.write(plant.tag("unknown"), 1.0)
