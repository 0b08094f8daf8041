"""The commands that ask the running gateway, against a real socket."""

import asyncio
import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from gateway.api.server import ApiConfig, ApiServer
from gateway.cli import alarms, apply, deadletters, models, status, tail, twin
from gateway.core.errors import ConfigError, GatewayError
from tests.gateway.fake_situation import LOG_OF_THE_PLANT
from tests.gateway.fake_view import FakeView
from tests.gateway.serving import client_of


@pytest.fixture
def socket() -> Iterator[Path]:
    with served(FakeView()) as path:
        yield path


@contextmanager
def served(view: FakeView) -> Iterator[Path]:
    """Serve a plant from a thread: a command has an event loop of its own."""
    with tempfile.TemporaryDirectory(prefix="ew") as folder:
        path = Path(folder) / "s"
        loop = asyncio.new_event_loop()
        started, stopping = threading.Event(), asyncio.Event()

        async def serve() -> None:
            async with ApiServer(ApiConfig(socket=path), view).serving():
                started.set()
                await stopping.wait()

        thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
        thread.start()
        assert started.wait(10)
        yield path
        loop.call_soon_threadsafe(stopping.set)
        thread.join(10)
        loop.close()


def run(command: click.Command, *arguments: str, socket: Path) -> Result:
    environment = {"EDGEWRIGHT_SOCKET": str(socket)}
    return CliRunner().invoke(command, arguments, env=environment)


def test_status_tells_losses_as_a_number(socket: Path) -> None:
    text = run(status.command, socket=socket).output
    assert "lost 0, thinned 0, gaps 1" in text
    assert "station  lost for 3 min" in text
    assert "1 set aside: holding 120" in text


def test_status_tells_that_times_are_in_doubt() -> None:
    doubtful = replace(LOG_OF_THE_PLANT, doubt="the clock shows 1970")
    with served(FakeView(log_status=doubtful)) as socket:
        text = run(status.command, socket=socket).output
    assert "clock     times are in doubt: the clock shows 1970" in text


def test_status_for_programs(socket: Path) -> None:
    overview = json.loads(run(status.command, "--json", socket=socket).output)
    assert overview["status"]["books"]["lost"] == 0
    assert [device["state"] for device in overview["devices"]] == ["ok", "ok", "lost"]


def test_status_tells_which_configuration_runs(socket: Path) -> None:
    text = run(status.command, socket=socket).output
    assert "3fa9c1d20b7e  /etc/edgewright/gateway.toml  for 12 d" in text


def test_apply_tells_what_became_of_it(socket: Path) -> None:
    """In force already, or proven, with what the next start would take."""
    done = run(apply.command, socket=socket)
    assert (done.exit_code, done.output) == (0, "configuration 3fa9c1d20b7e is in force already\n")
    done = run(apply.command, "/srv/other.toml", socket=socket)
    assert "b07c1d22f7a9 has proven itself and stays" in done.output
    assert "the next start takes /etc/edgewright/gateway.toml" in done.output
    answer = run(apply.command, "--json", socket=socket)
    assert json.loads(answer.output)["is_change"] is False


def test_apply_tells_every_mistake(socket: Path) -> None:
    done = run(apply.command, "/srv/wrong.toml", socket=socket)
    assert isinstance(done.exception, ConfigError), "main makes it lines and exit 2"
    assert len(done.exception.mistakes) == 2


def test_alarms_are_listed_acknowledged_and_shelved(socket: Path) -> None:
    listed = run(alarms.command, socket=socket).output
    assert "P-101/filter_clogged" in listed
    done = run(alarms.command, "acknowledge", "P-101/filter_clogged", socket=socket)
    assert "acknowledged by" in done.output
    done = run(alarms.command, "shelve", "P-101/filter_clogged", "--for", "2h", socket=socket)
    assert "shelved for 2 h" in done.output
    found = json.loads(run(alarms.command, "--json", socket=socket).output)["alarms"]
    assert found[0]["state"] == "shelved"


def test_a_wrong_duration_is_wrong_usage(socket: Path) -> None:
    done = run(alarms.command, "shelve", "P-101/filter_clogged", "--for", "3y", socket=socket)
    assert done.exit_code == 2


def test_models_are_promoted_by_name_and_version(socket: Path) -> None:
    assert "420/600 rows" in run(models.command, "list", socket=socket).output
    answer = run(models.command, "promote", "pump-anomaly", "1.5", "--json", socket=socket)
    stages = {m["version"]: m["stage"] for m in json.loads(answer.output)["models"]}
    assert stages["1.5"] == "active"
    refused = run(models.command, "rollback", "pump-anomaly", "1.4", socket=socket)
    assert isinstance(refused.exception, GatewayError), "main makes it a message and exit 1"


def test_twins_are_shown_in_lines_or_whole(socket: Path) -> None:
    assert len(run(twin.command, "show", socket=socket).output.splitlines()) == 3
    text = run(twin.command, "show", "P-101", socket=socket).output
    assert "0.12 ±0.04" in text
    assert "→ Clean or change" in text


async def test_tail_prints_what_becomes_new(capsys: pytest.CaptureFixture[str]) -> None:
    view = FakeView()
    async with asyncio.timeout(20), client_of(view) as client:
        following = asyncio.create_task(
            tail.follow(client.socket, "pumps.P101.F", events_only=False, as_json=False)
        )
        printed = ""
        while "52." not in printed:
            view.take_frame(view.frame_at(23, of=24))
            view.news.take_events(view.events(1))
            await asyncio.sleep(0.05)
            printed += capsys.readouterr().out
        following.cancel()
    assert "pumps.P101.Flow" in printed
    assert "m³/h" in printed
    assert "The device station does not answer." in printed
    assert "pumps.P102" not in printed


def test_tail_ends_with_an_error_when_the_gateway_is_not_there(tmp_path: Path) -> None:
    done = run(tail.command, socket=tmp_path / "none")
    assert isinstance(done.exception, GatewayError)
    assert "does not exist" in str(done.exception)


def test_dead_letters_are_listed_with_their_reason_and_sent_again(socket: Path) -> None:
    listed = run(deadletters.command, "list", "cloud", socket=socket).output
    assert "3/2988120" in listed
    assert "a value is out of range" in listed
    again = run(deadletters.command, "retry", "cloud", socket=socket).output
    assert again == "1 record taken, 0 left\nno dead letters\n"
    answer = run(deadletters.command, "list", "cloud", "--json", socket=socket).output
    assert json.loads(answer) == {"letters": []}


def test_dead_letters_of_an_unknown_uplink_are_refused(socket: Path) -> None:
    result = run(deadletters.command, "retry", "claud", socket=socket)
    assert isinstance(result.exception, GatewayError)
    assert "there is no uplink 'claud'" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "said", "state"),
    [
        (("ack", "P-101/filter_clogged"), "acknowledged by", "acknowledged"),
        (
            ("out-of-service", "P-101/filter_clogged", "--reason", "repair"),
            "taken out of service by",
            "out_of_service",
        ),
        (("return", "P-101/filter_clogged"), "put into service again by", "unacknowledged"),
        (("unshelve", "P-101/filter_clogged"), "no longer shelved by", "unacknowledged"),
        (("shelve", "P-101/filter_clogged", "--reason", "noise"), "shelved for 8 h", "shelved"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_alarms_are_dealt_with(
    socket: Path, arguments: tuple[str, ...], said: str, state: str
) -> None:
    assert said in run(alarms.command, *arguments, socket=socket).output
    found = json.loads(run(alarms.command, "list", "--json", socket=socket).output)["alarms"]
    assert found[0]["state"] == state


def test_an_alarm_goes_out_of_service_only_with_a_reason(socket: Path) -> None:
    done = run(alarms.command, "out-of-service", "P-101/filter_clogged", socket=socket)
    assert done.exit_code == 2


def test_a_reset_alarm_is_gone_from_the_list(socket: Path) -> None:
    assert "reset by" in run(alarms.command, "reset", "P-101/filter_clogged", socket=socket).output
    listed = run(alarms.command, "list", socket=socket).output
    assert "normal" in listed


def test_the_figures_of_the_alarms_are_told(socket: Path) -> None:
    text = run(alarms.command, "metrics", socket=socket).output
    assert "12 in the last hour, target 6" in text
    assert "2.5 an hour, 59 a day; within the target of 6 an hour, over 7 d" in text
    assert "K-01/flow_low  160 times, 25 %" in text
    answer = json.loads(run(alarms.command, "metrics", "--json", socket=socket).output)
    assert (answer["announced"], answer["raised"]) == (412, 640)
    assert answer["is_within_target"] is True
