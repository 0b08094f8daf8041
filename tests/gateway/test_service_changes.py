"""A new configuration on a running gateway: taken over, refused, left again, also after a kill."""

import asyncio
import contextlib
import json
import signal
import socket
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.api.answers import ConfigurationAnswer
from gateway.api.client import GatewayClient
from gateway.api.errors import GoneError, RefusedError
from gateway.core.events import Event
from gateway.core.records import RecordKind
from gateway.demo.books import read_ledger_and_events
from gateway.simulate.books import read_offered
from gateway.simulate.modbus import ModbusServer
from gateway.store import LogReader
from gateway.store.bodies import PlainBodies
from gateway.store.database import LogDatabase
from gateway.wire.frames import FRAME_KINDS, frames_of
from tests.gateway.service_run import (
    COMPRESSOR_SHEET,
    HEAD,
    alarm_table,
    client_of,
    compressor_table,
)
from tests.gateway.simulate_peers import modbus_server
from tests.gateway.test_service_command import UPLINK, ended, gateway_process, started

DEADLINE_S = 40.0
TRIAL = """
[apply]
hold_off_s = 1
window_s = 1
"""
LONG_TRIAL = TRIAL.replace("window_s = 1", "window_s = 600")
MORE_TAGS = COMPRESSOR_SHEET + "OutletDp,6,float32,mbar,,\n"


def write(folder: Path, *tables: str, sheet: str = COMPRESSOR_SHEET) -> None:
    (folder / "k01.csv").write_text(sheet, encoding="utf-8")
    (folder / "gateway.toml").write_text(HEAD + "".join(tables), encoding="utf-8")


async def until(
    client: GatewayClient, holds: Callable[[ConfigurationAnswer], bool]
) -> ConfigurationAnswer:
    """Wait until the gateway says so of its configuration; it may be away in between."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                configuration = (await client.status()).configuration
            except GoneError:
                configuration = None
            if configuration is not None and holds(configuration):
                return configuration
            await asyncio.sleep(0.05)


async def values_flow(client: GatewayClient) -> None:
    """Wait until every device delivers."""
    async with asyncio.timeout(DEADLINE_S):
        while not all(each.frame_count > 2 for each in (await client.devices()).devices):
            await asyncio.sleep(0.05)


async def stopped(process: Process) -> dict[str, object]:
    """Stop the gateway in good order and return its last line."""
    process.terminate()
    code, output, complaints = await ended(process)
    assert code == 0, complaints
    summary = json.loads(output.splitlines()[-1])
    assert isinstance(summary, dict)
    return summary


def states_told(manager: socket.socket) -> list[str]:
    """Return what systemd was told of the service's state, in order."""
    manager.setblocking(False)
    states: list[str] = []
    with manager, contextlib.suppress(BlockingIOError):
        while True:
            name = manager.recv(4096).decode().partition("=")[0]
            if name not in ("WATCHDOG", "STATUS"):
                states.append(name)
    return states


def events_of(folder: Path, *conditions: str) -> list[Event]:
    _, events = read_ledger_and_events(folder / "state" / "log.db")
    return [event for event in events if event.condition in conditions]


def assert_nothing_lost(folder: Path, server: ModbusServer) -> None:
    """Everything that the server offered is in the log, and the ledger is empty."""
    ledger, _ = read_ledger_and_events(folder / "state" / "log.db")
    assert ledger == []
    stored = sum(
        len(stored.frame)
        for record in LogReader(folder / "state" / "log.db").records()
        if record.kind is RecordKind.BLOCK or record.kind in FRAME_KINDS
        for stored in frames_of(record)[0]
        if stored.kind is RecordKind.FRAME
    )
    assert stored == len(read_offered(folder / "compressor.book").tag_index)


@asynccontextmanager
async def compressor_with(folder: Path, *tables: str) -> AsyncIterator[ModbusServer]:
    """Run a compressor's server, with a configuration for it."""
    async with modbus_server(folder) as server:
        write(folder, compressor_table(server.endpoint), *tables)
        yield server


@pytest.mark.slow
async def test_a_good_change_stays_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two changes in a row, one asked for by SIGHUP; every sample offered is stored.

    To systemd each of them is a reload: after a STOPPING=1 it would end the process.
    """
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    async with (
        compressor_with(tmp_path, TRIAL) as server,
        gateway_process(tmp_path) as process,
        client_of(tmp_path) as client,
    ):
        await values_flow(client)
        before = (await client.status()).configuration
        table = compressor_table(server.endpoint)
        write(tmp_path, table, TRIAL, sheet=MORE_TAGS)
        applied = await client.apply(None)
        assert applied.is_change
        assert applied.digest != before.digest
        after = await until(client, lambda x: x.digest == applied.digest and not x.is_on_trial)
        assert after.left_digest == ""
        await values_flow(client)
        status = await client.status()
        assert status.tag_count == 4
        unchanged = await client.apply(None)
        assert (unchanged.is_change, unchanged.digest) == (False, applied.digest)
        write(tmp_path, table, TRIAL, alarm_table())
        process.send_signal(signal.SIGHUP)
        await until(client, lambda x: x.digest != applied.digest and not x.is_on_trial)
        await values_flow(client)
        summary = await stopped(process)
        assert summary["boot"] == 3
        assert_nothing_lost(tmp_path, server)
    assert states_told(manager) == ["READY", "RELOADING", "READY", "RELOADING", "READY", "STOPPING"]
    told = events_of(tmp_path, "config_applied", "config_returned")
    assert [event.condition for event in told] == ["config_applied"] * 2
    assert applied.digest in told[0].text
    assert "100.0% of the tags Good, before 100.0%" in told[0].text
    assert [bool(event.operator) for event in told] == [True, False]


async def test_a_worse_change_is_left_again(tmp_path: Path) -> None:
    """The new address answers nothing: the former configuration runs again, and says why.

    It goes on from where it was: the new one has no alarm, and the acknowledged one is still so.
    """
    async with (
        compressor_with(tmp_path, TRIAL, alarm_table()) as server,
        gateway_process(tmp_path) as process,
        client_of(tmp_path) as client,
    ):
        await server.show([1.0, 500.0, *[0.0] * 8], 0)
        await values_flow(client)

        async def alarm_is(state: str) -> bool:
            return [x.state for x in (await client.alarms()).alarms] == [state]

        await wait_for(lambda: alarm_is("unacknowledged"))
        await client.acknowledge("K-01/flow_high")
        before = (await client.status()).configuration
        write(tmp_path, compressor_table("127.0.0.1:1"), TRIAL, sheet=MORE_TAGS)
        code, output, complaints = await ended(
            await started("apply", "--socket", str(tmp_path / "api.sock"))
        )
        assert code == 1, complaints
        assert "is on trial" in output
        assert f"returned to {before.digest}: 0.0% of the tags Good, before 100.0%" in complaints
        after = await until(client, lambda x: not x.is_on_trial)
        assert after.digest == before.digest
        assert after.left_digest
        await values_flow(client)
        await wait_for(lambda: alarm_is("acknowledged"))
        await stopped(process)
    [told] = events_of(tmp_path, "config_applied", "config_returned")
    assert told.condition == "config_returned"
    assert after.left_reason in told.text


async def test_a_wrong_change_changes_nothing(tmp_path: Path) -> None:
    """Every mistake at once and exit 2, those of identity among them; SIGHUP leaves an event."""
    async with (
        compressor_with(tmp_path, TRIAL) as server,
        gateway_process(tmp_path) as process,
        client_of(tmp_path) as client,
    ):
        await values_flow(client)
        path = tmp_path / "gateway.toml"
        text = HEAD.replace("pumphouse-1", "pumphouse-2").replace("api.sock", "other.sock")
        path.write_text(text + alarm_table("compressor.Nothing"), encoding="utf-8")
        code, output, complaints = await ended(
            await started("apply", str(path), "--socket", str(tmp_path / "api.sock"))
        )
        lines = complaints.splitlines()
        assert (code, output) == (2, ""), complaints
        assert [line.partition(":")[0] for line in lines] == [
            "gateway.id",
            "api.socket",
            "twins.K-01.tags.flow_m3h",
            "twins.K-01.alarms.flow_high.when",
        ]
        with pytest.raises(RefusedError, match="no whole path"):
            await client.apply(Path("gateway.toml"))
        process.send_signal(signal.SIGHUP)

        async def is_told() -> bool:
            events = (await client.events(limit=20)).events
            return any(event.condition == "config_refused" for event in events)

        await wait_for(is_told)
        assert not (await client.status()).configuration.is_on_trial
        await stopped(process)
        assert_nothing_lost(tmp_path, server)


@pytest.mark.slow
async def test_a_kill_on_trial_starts_with_the_last_good_one(tmp_path: Path) -> None:
    """Also the start after that: what was left is not run by accident, until it is applied."""
    async with compressor_with(tmp_path, TRIAL) as server:
        async with gateway_process(tmp_path) as process, client_of(tmp_path) as client:
            await values_flow(client)
            before = (await client.status()).configuration
            write(tmp_path, compressor_table(server.endpoint), LONG_TRIAL, sheet=MORE_TAGS)
            applied = await client.apply(None)
            trial = await until(client, lambda x: x.trial_until is not None)
            assert trial.digest == applied.digest
            with pytest.raises(RefusedError, match="on trial"):
                await client.apply(None)
            process.kill()
            await process.wait()
        for _ in range(2):
            async with gateway_process(tmp_path) as process, client_of(tmp_path) as client:
                await values_flow(client)
                now = (await client.status()).configuration
                assert (now.digest, now.left_digest) == (before.digest, applied.digest)
                assert not now.is_on_trial
                assert (await client.status()).tag_count == 3
                await stopped(process)
    assert len(events_of(tmp_path, "config_returned")) == 1


@pytest.mark.slow
async def test_an_uplink_that_is_tried_without_keeps_its_place(tmp_path: Path) -> None:
    """Until the trial is over the log keeps what the uplink has not had; then it does not."""
    (tmp_path / "token").write_text("secret", encoding="ascii")
    uplink = UPLINK.format(address="127.0.0.1:1")
    trial = TRIAL.replace("hold_off_s = 1", "hold_off_s = 3")
    async with (
        compressor_with(tmp_path, TRIAL, uplink) as server,
        gateway_process(tmp_path) as process,
        client_of(tmp_path) as client,
    ):
        await values_flow(client)
        write(tmp_path, compressor_table(server.endpoint), trial)
        applied = await client.apply(None)
        await until(client, lambda x: x.trial_until is not None)
        assert cursors_in(tmp_path) == {"cloud", "cloud/alarms"}
        await until(client, lambda x: x.digest == applied.digest and not x.is_on_trial)
        await stopped(process)
        assert cursors_in(tmp_path) == set()


async def test_a_start_that_fails_leaves_the_last_good_one_in_force(tmp_path: Path) -> None:
    """The list is wrong at one start; at the next one it is as before, and all goes on."""
    async with compressor_with(tmp_path, TRIAL):
        async with gateway_process(tmp_path) as process, client_of(tmp_path) as client:
            await values_flow(client)
            before = (await client.status()).configuration
            await stopped(process)
        (tmp_path / "k01.csv").write_text(COMPRESSOR_SHEET + "Flow,8,float32,,,\n", "utf-8")
        code, _, complaints = await ended(
            await started("run", "-c", str(tmp_path / "gateway.toml"), "--json")
        )
        assert code == 2, complaints
        assert "k01.csv:5: " in complaints
        (tmp_path / "k01.csv").write_text(COMPRESSOR_SHEET, "utf-8")
        async with gateway_process(tmp_path) as process, client_of(tmp_path) as client:
            after = (await client.status()).configuration
            assert (after.digest, after.since) == (before.digest, before.since)
            await stopped(process)


def cursors_in(folder: Path) -> set[str]:
    reader = LogDatabase.open(folder / "state" / "log.db", PlainBodies())
    names = {name for (name,) in reader.connection.execute("SELECT name FROM cursor")} - {""}
    reader.close()
    return names


async def wait_for(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await condition():
            await asyncio.sleep(0.05)
