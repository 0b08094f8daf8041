"""The gateway goes and comes back: the console says since when and why, and finds it by itself."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.api.server import ApiConfig, ApiServer
from gateway.console.last_words import describe
from tests.gateway.fake_view import FakeView
from tests.pictures.screen import console_at


@pytest.fixture
def socket() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ew") as folder:
        yield Path(folder) / "s"


async def test_gone_and_back(socket: Path) -> None:
    async def ask_systemd() -> str:
        return "failed (failed), exit-code, exit code 1"

    server = ApiServer(ApiConfig(socket=socket), FakeView())
    async with console_at(socket, ask_systemd=ask_systemd) as console:
        await console.shows("waiting for the gateway")
        await console.shows("No answer since")
        async with server.serving():
            await console.shows("P-101 · why 51 %")
            await console.shows(lambda text: "No answer" not in text)
        text = await console.shows("No answer since")
        assert "There is no gateway" in text
        assert "systemd: failed (failed), exit-code, exit code 1" in text
        assert "P-101" in text, "what was known last stays on the screen"
        async with server.serving():
            await console.shows(lambda text: "No answer" not in text)


async def test_an_action_on_a_gateway_that_has_gone_is_not_lost_silently(socket: Path) -> None:
    async with console_at(socket) as console:
        async with ApiServer(ApiConfig(socket=socket), FakeView()).serving():
            await console.press("3")
            await console.shows("filter clogged")
        await console.press("a")
        await console.shows("Not done")


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"LoadState": "not-found"}, ""),
        ({}, ""),
        (
            {"LoadState": "loaded", "ActiveState": "inactive", "SubState": "dead"},
            "inactive (dead)",
        ),
        (
            {
                "LoadState": "loaded",
                "ActiveState": "activating",
                "SubState": "auto-restart",
                "Result": "exit-code",
                "ExecMainStatus": "2",
                "NRestarts": "5",
            },
            "activating (auto-restart), exit-code, exit code 2, restarted 5 times",
        ),
    ],
)
def test_systemd_s_words_are_one_sentence(properties: dict[str, str], words: str) -> None:
    assert describe(properties) == words
