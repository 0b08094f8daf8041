"""Commands: refused before anything is written, recorded before and after, carried out once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.commands import CommandDesk, WriteSettings
from gateway.core.arrays import IndexArray
from gateway.core.commands import Command, CommandId, CommandOrigin, CommandState
from gateway.core.device_status import ConnectorReport
from gateway.core.errors import CommandError, DeviceError
from gateway.core.ports import Sink
from gateway.core.records import RecordKind, Seq
from gateway.core.tags import Tag, TagId
from gateway.store import LogReader, RecordLog
from gateway.wire.clock import SystemClock
from gateway.wire.documents import decode_command, draft_command
from tests.gateway.store_cases import open_log, until
from tests.gateway.test_store_faults import refusing_disk

SETPOINT = Tag(id=TagId("pumps.Setpoint"), low=0.0, high=100.0, writable=True)
FLOW = Tag(id=TagId("pumps.Flow"))
ON = WriteSettings(enabled=True, timeout_s=0.2)
SECOND_NS = 1_000_000_000


class Machine:
    """A connector that writes as told, and remembers what it was asked to write."""

    name = "pumps"
    address = "127.0.0.1:4840"
    tags = (SETPOINT, FLOW)

    def __init__(self) -> None:
        self.written: list[float] = []
        self.answer: Callable[[float], Awaitable[float]] = self.as_written

    async def session(self, sink: Sink, indices: IndexArray) -> None:
        raise AssertionError("not needed")

    async def write(self, tag: Tag, value: float) -> float:
        self.written.append(value)
        return await self.answer(value)

    def report(self) -> ConnectorReport:
        return ConnectorReport()

    @staticmethod
    async def as_written(value: float) -> float:
        return value


class Site:
    """A machine, the desk before it, and the log behind it."""

    def __init__(self, log: RecordLog, settings: WriteSettings) -> None:
        self.log = log
        self.machine = Machine()
        self.desk = CommandDesk(
            settings,
            table=log.intern(self.machine.tags),
            connectors={tag.id: self.machine for tag in self.machine.tags},
            store=log,
            clock=SystemClock(),
        )

    def recorded(self) -> list[CommandState]:
        return [
            decode_command(record.body).state
            for record in LogReader(self.log.path).records(after=Seq(0))
            if record.kind is RecordKind.COMMAND
        ]


@asynccontextmanager
async def site_in(folder: Path, settings: WriteSettings = ON) -> AsyncIterator[Site]:
    log = open_log(folder / "log.db")
    try:
        yield Site(log, settings)
    finally:
        await log.close()


def command(value: float = 40.0, *, tag: TagId = SETPOINT.id) -> Command:
    return Command(
        id=CommandId("c-1"),
        tag=tag,
        value=value,
        deadline_ns=SystemClock().now_ns() + 10 * SECOND_NS,
        origin=CommandOrigin.PERSON,
        operator="somebody",
    )


async def test_a_command_is_recorded_before_and_after_the_write(tmp_path: Path) -> None:
    async with site_in(tmp_path) as site:
        states_at_write: list[CommandState] = []

        async def look(value: float) -> float:
            states_at_write.extend(site.recorded())
            return value

        site.machine.answer = look
        final = await site.desk.submit(command())
        assert states_at_write == [CommandState.EXECUTING]
        assert site.recorded() == [CommandState.EXECUTING, CommandState.SUCCESSFUL]
        assert (final.state, final.read_back) == (CommandState.SUCCESSFUL, 40.0)
        assert site.machine.written == [40.0]


@pytest.mark.parametrize(
    ("settings", "wish", "words"),
    [
        (WriteSettings(), command(), "switched off"),
        (
            ON.model_copy(update={"local_only": True}),
            replace(command(), origin=CommandOrigin.CLOUD),
            "only a person on site",
        ),
        (ON, command(tag=TagId("P-101.health")), "no measured tag"),
        (ON, command(tag=FLOW.id), "not declared writable"),
        (ON, command(100.5), "outside 0.0 to 100.0"),
        (ON, command(float("nan")), "outside"),
        (ON, replace(command(), deadline_ns=1), "deadline has passed"),
    ],
)
async def test_a_refused_command_writes_and_records_nothing(
    tmp_path: Path, settings: WriteSettings, wish: Command, words: str
) -> None:
    async with site_in(tmp_path, settings) as site:
        with pytest.raises(CommandError, match=words):
            await site.desk.submit(wish)
        assert (site.machine.written, site.recorded()) == ([], [])


async def test_the_same_id_is_carried_out_once(tmp_path: Path) -> None:
    """Also when it comes again while the first is under way: both get the final state."""
    async with site_in(tmp_path) as site:
        gate = asyncio.Event()

        async def wait(value: float) -> float:
            await gate.wait()
            return value

        site.machine.answer = wait
        first = asyncio.create_task(site.desk.submit(command()))
        await until(lambda: bool(site.machine.written))
        second = asyncio.create_task(site.desk.submit(command(50.0)))
        await asyncio.sleep(0)
        gate.set()
        assert await first == await second == await site.desk.submit(command(60.0))
        assert site.machine.written == [40.0]


async def test_a_deadline_that_passes_in_the_queue_is_kept(tmp_path: Path) -> None:
    async with site_in(tmp_path, ON.model_copy(update={"timeout_s": 5.0})) as site:

        async def slow(value: float) -> float:
            await asyncio.sleep(0.3)
            return value

        site.machine.answer = slow
        first = asyncio.create_task(site.desk.submit(command()))
        await until(lambda: bool(site.machine.written))
        late = replace(
            command(), id=CommandId("c-2"), deadline_ns=SystemClock().now_ns() + SECOND_NS // 10
        )
        with pytest.raises(CommandError, match="deadline has passed"):
            await site.desk.submit(late)
        await first
        assert site.machine.written == [40.0]


async def refuse(_: float) -> float:
    raise DeviceError("pumps refuses a write")


async def not_writable(_: float) -> float:
    raise CommandError("cannot be written as a register")


async def never(_: float) -> float:
    await asyncio.Event().wait()
    raise AssertionError


async def another_value(value: float) -> float:
    return value + 1.0


async def no_number(_: float) -> float:
    return float("nan")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refuse, "refuses a write"),
        (not_writable, "cannot be written"),
        (never, "no answer within 0.2 s"),
        (another_value, "read back 41.0 instead of 40.0"),
        (no_number, "read back nan"),
    ],
)
async def test_what_the_machine_does_not_confirm_has_failed(
    tmp_path: Path, answer: Callable[[float], Awaitable[float]], words: str
) -> None:
    """It is recorded so, and the same id is not written again."""
    async with site_in(tmp_path) as site:
        site.machine.answer = answer
        final = await site.desk.submit(command())
        assert final.state is CommandState.FAILED
        assert words in final.reason
        assert site.recorded() == [CommandState.EXECUTING, CommandState.FAILED]
        assert await site.desk.submit(command()) is final
        assert len(site.machine.written) == 1


async def test_what_cannot_be_recorded_is_not_written(tmp_path: Path) -> None:
    """Not even later, when the disk is back: a person has to ask anew."""
    async with site_in(tmp_path) as site:
        with refusing_disk(), pytest.raises(CommandError, match="nothing was written"):
            await site.desk.submit(command())
        await until(lambda: not site.log.reason)
        assert (await site.desk.submit(command())).state is CommandState.FAILED
        assert site.machine.written == []


async def test_a_write_stands_although_its_record_fails(tmp_path: Path) -> None:
    """The machine has it: the answer says so, and the record follows when the disk is back."""
    async with site_in(tmp_path) as site:
        with ExitStack() as broken:

            async def break_the_disk(value: float) -> float:
                broken.enter_context(refusing_disk())
                return value

            site.machine.answer = break_the_disk
            final = await site.desk.submit(command())
        assert final.state is CommandState.SUCCESSFUL
        await until(lambda: CommandState.SUCCESSFUL in site.recorded())


def restarted(site: Site) -> Site:
    """A desk of the next start, brought up to the end of the log as the service does it."""
    again = Site(site.log, ON)
    table = site.log.intern(again.machine.tags)
    for entry in site.log.replay(after=Seq(0), table=table):
        again.desk.replay(entry)
    return again


async def test_the_same_id_after_a_restart_is_not_written_again(tmp_path: Path) -> None:
    async with site_in(tmp_path) as site:
        done = await site.desk.submit(command())
        again = restarted(site)
        assert done == await again.desk.submit(command())
        assert again.machine.written == []


async def test_a_command_cut_off_by_a_crash_stays_executing(tmp_path: Path) -> None:
    """Whether the machine has it nobody knows: a person decides, nothing repeats it."""
    async with site_in(tmp_path) as site:
        executing = replace(command(), state=CommandState.EXECUTING)
        draft = draft_command(executing, time_ns=SystemClock().now_ns())
        await site.log.durable(site.log.append([draft]))
        again = restarted(site)
        assert executing == await again.desk.submit(command())
        assert again.machine.written == []


async def test_a_checkpoint_keeps_the_ids(tmp_path: Path) -> None:
    async with site_in(tmp_path) as site:
        done = await site.desk.submit(command())
        again = Site(site.log, ON)
        again.desk.restore(site.desk.checkpoint())
        assert done == await again.desk.submit(command())
        assert again.machine.written == []
