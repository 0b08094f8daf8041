"""Commands: the only way in which anything reaches a machine, and only because somebody asked.

A command is checked, recorded as executing and committed *before* the first byte is written, read
back after it, and recorded again. It is never repeated on its own: after a crash an executing
command stays executing, and a person decides. This is no safety function (ISO 13849, IEC 61508).
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import structlog
from pydantic import Field, TypeAdapter

from gateway.core.commands import Command, CommandId, CommandOrigin, CommandState
from gateway.core.errors import CommandError, DeviceError, StoreError
from gateway.core.ports import Clock, Connector
from gateway.core.records import LogEntry
from gateway.core.settings import Settings
from gateway.core.tags import Tag, TagId, TagTable
from gateway.store import RecordLog
from gateway.wire.documents import draft_command

log = structlog.get_logger()

REMEMBERED_COMMANDS_MAX = 1_000
_COMMANDS = TypeAdapter(list[Command])


class WriteSettings(Settings):
    """Whether anything may be written to machines at all."""

    enabled: bool = False
    """Nothing is ever written while this is off."""
    local_only: bool = False
    """Refuse every write that a person on site did not ask for."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Longest time for one write with its read-back."""
    tolerance: Annotated[float, Field(ge=0)] = 1e-3
    """Largest relative difference between the value written and the value read back."""


class CommandDesk:
    """Implements `CommandSink`: carries out one command at a time per connector."""

    def __init__(
        self,
        settings: WriteSettings,
        *,
        table: TagTable,
        connectors: Mapping[TagId, Connector],
        store: RecordLog,
        clock: Clock,
    ) -> None:
        """Serve the writable tags of the connectors.

        Args:
            settings: What may be written.
            table: The tags of the running epoch.
            connectors: The connector behind each measured tag.
            store: Records every step of a command.
            clock: For deadlines.
        """
        self._settings = settings
        self._table = table
        self._connectors = connectors
        self._store = store
        self._clock = clock
        self._done: OrderedDict[CommandId, Command] = OrderedDict()
        self._locks = {connector.name: asyncio.Lock() for connector in connectors.values()}

    async def submit(self, command: Command) -> Command:
        """Carry out a command and return it in its final state.

        The same id again returns what became of the first one, also after a restart; nothing is
        written twice.

        Raises:
            CommandError: it is refused before anything was written.
        """
        known = self._done.get(command.id)
        if known is not None and known.state is not CommandState.EXECUTING:
            return known
        tag, connector = self._accept(command)
        async with self._locks[connector.name]:
            known = self._done.get(command.id)
            if known is not None:
                return known
            if self._clock.now_ns() >= command.deadline_ns:
                raise CommandError(f"{command.id}: its deadline has passed; nothing was written")
            executing = replace(command, state=CommandState.EXECUTING)
            self._remember(executing)
            # The intention is on disk before the machine can feel it.
            try:
                await self._record(executing)
            except StoreError as error:
                refused = replace(command, state=CommandState.FAILED, reason=str(error))
                self._remember(refused)
                raise CommandError(
                    f"{command.id}: the log cannot record it, so nothing was written: {error}"
                ) from error
            final = await self._write(executing, tag, connector)
            self._remember(final)
            with contextlib.suppress(StoreError):
                # The machine has it; the record follows when the disk is back.
                await self._record(final)
            return final

    def checkpoint(self) -> bytes:
        """Return the commands that a second request with the same id is answered from."""
        return _COMMANDS.dump_json(list(self._done.values()))

    def restore(self, checkpoint: bytes) -> None:
        """Go on from a checkpoint."""
        for command in _COMMANDS.validate_json(checkpoint):
            self._remember(command)

    def replay(self, entry: LogEntry) -> None:
        """Take in what the log has after the checkpoint; what was executing stays so."""
        if isinstance(entry, Command):
            self._remember(entry)

    def _accept(self, command: Command) -> tuple[Tag, Connector]:
        if not self._settings.enabled:
            raise CommandError(f"{command.id}: writing is switched off: set writes.enabled")
        if self._settings.local_only and command.origin is not CommandOrigin.PERSON:
            raise CommandError(f"{command.id}: writes.local_only lets only a person on site write")
        if command.tag not in self._connectors:
            raise CommandError(f"{command.id}: there is no measured tag {command.tag!r}")
        tag = self._table.tags[self._table.index(command.tag)]
        if not tag.writable:
            raise CommandError(f"{command.id}: {tag.id} is not declared writable in its tag list")
        if not tag.low <= command.value <= tag.high:
            raise CommandError(
                f"{command.id}: {command.value} is outside {tag.low} to {tag.high} {tag.unit}"
            )
        return tag, self._connectors[command.tag]

    async def _write(self, command: Command, tag: Tag, connector: Connector) -> Command:
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                read_back = await connector.write(tag, command.value)
        except (CommandError, DeviceError, TimeoutError) as error:
            reason = str(error) or f"no answer within {self._settings.timeout_s} s"
            return replace(command, state=CommandState.FAILED, reason=reason)
        limit = self._settings.tolerance * max(abs(command.value), 1.0)
        # So written that a read-back that is no number is a difference, too.
        if not abs(read_back - command.value) <= limit:
            return replace(
                command,
                state=CommandState.FAILED,
                reason=f"read back {read_back} instead of {command.value}",
                read_back=read_back,
            )
        return replace(command, state=CommandState.SUCCESSFUL, read_back=read_back)

    async def _record(self, command: Command) -> None:
        draft = draft_command(command, time_ns=self._clock.now_ns())
        await self._store.durable(self._store.append([draft]))
        log.info(
            "command_recorded",
            command=command.id,
            state=command.state,
            tag=command.tag,
            value=command.value,
            operator=command.operator,
        )

    def _remember(self, command: Command) -> None:
        self._done[command.id] = command
        while len(self._done) > REMEMBERED_COMMANDS_MAX:
            self._done.popitem(last=False)
