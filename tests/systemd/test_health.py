import asyncio
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.health import Notifier, Watchdog, feed_watchdog, watchdog_period_s
from gateway.wire.clock import SystemClock

S = 1_000_000_000


class Systemd:
    """The receiving end of systemd's protocol: a real datagram socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.settimeout(5)

    def receive(self) -> str:
        return self.socket.recv(4096).decode()

    def waiting(self) -> list[str]:
        """Return what has arrived so far, without waiting."""
        self.socket.setblocking(False)
        messages = []
        try:
            while True:
                messages.append(self.receive())
        except BlockingIOError:
            return messages
        finally:
            self.socket.settimeout(5)


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    path = tmp_path / "notify"
    manager = Systemd(str(path) if request.param == "path" else f"@edgewright-test-{os.getpid()}")
    yield manager
    manager.socket.close()


def test_each_message_arrives_as_systemd_reads_it(manager: Systemd) -> None:
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": manager.address})
    assert notifier.ready()
    assert notifier.status("3 devices\nok")
    assert notifier.alive()
    assert notifier.stopping()
    received = [manager.receive() for _ in range(4)]
    assert received == ["READY=1", "STATUS=3 devices ok", "WATCHDOG=1", "STOPPING=1"]


def test_a_reload_tells_its_time_as_systemd_compares_it(manager: Systemd) -> None:
    """sd_notify(3): `MONOTONIC_USEC=` belongs to `RELOADING=1`."""
    before_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert Notifier.from_environment({"NOTIFY_SOCKET": manager.address}).reloading()
    state, _, stamp = manager.receive().partition("\n")
    assert state == "RELOADING=1"
    told_us = int(stamp.removeprefix("MONOTONIC_USEC="))
    assert before_us <= told_us <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}])
def test_without_a_manager_it_is_silent(environment: dict[str, str]) -> None:
    assert not Notifier.from_environment(environment).ready()


def test_a_manager_that_is_gone_does_no_harm(tmp_path: Path) -> None:
    assert not Notifier(str(tmp_path / "nobody")).alive()


def test_a_manager_that_does_not_read_does_not_block(tmp_path: Path) -> None:
    """The kernel's queue for datagrams is short; a full one must not stop the event loop."""
    manager = Systemd(str(tmp_path / "notify"))
    notifier = Notifier(manager.address)
    assert not all(notifier.alive() for _ in range(10_000))
    manager.socket.close()


def test_a_part_is_stale_once_its_own_age_is_over() -> None:
    watchdog = Watchdog({"pipeline": 10.0, "store": 30.0}, now_ns=0)
    assert watchdog.stale(now_ns=10 * S) == ()
    assert watchdog.stale(now_ns=10 * S + 1) == ("pipeline",)
    assert watchdog.stale(now_ns=31 * S) == ("pipeline", "store")
    watchdog.mark("pipeline", now_ns=31 * S)
    assert watchdog.stale(now_ns=31 * S) == ("store",)


def test_only_announced_parts_can_make_progress() -> None:
    with pytest.raises(KeyError, match="pipline"):
        Watchdog({"pipeline": 10.0}, now_ns=0).mark("pipline", now_ns=1)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
    ],
)
def test_the_period_is_half_of_what_systemd_asks(
    environment: dict[str, str], expected: float | None
) -> None:
    assert expected == watchdog_period_s(environment)


async def test_the_watchdog_is_fed_by_progress_only(tmp_path: Path) -> None:
    """A part that hangs stops the feed, though the loop and its timers go on."""
    manager = Systemd(str(tmp_path / "notify"))
    clock = SystemClock()
    watchdog = Watchdog({"pipeline": 60.0, "store": 0.1}, now_ns=clock.monotonic_ns())
    feeding = asyncio.create_task(
        feed_watchdog(Notifier(manager.address), watchdog, clock=clock, period_s=0.01)
    )
    assert await asyncio.to_thread(manager.receive) == "WATCHDOG=1"
    # Nobody marks the store any more: after its age only the complaint may follow.
    messages = [""]
    while not messages[-1].startswith("STATUS="):
        messages.append(await asyncio.to_thread(manager.receive))
    assert messages[-1] == "STATUS=no progress in store: systemd will restart the service"
    await asyncio.sleep(0.1)  # ten turns in which nothing may be sent
    assert manager.waiting() == []
    watchdog.mark("store", now_ns=clock.monotonic_ns())
    assert await asyncio.to_thread(manager.receive) == "WATCHDOG=1"
    feeding.cancel()
    manager.socket.close()
