"""The service's health towards systemd: ready, alive, stopping.

systemd restarts a service that stops sending `WATCHDOG=1`. A timer that sends it proves only that
a timer runs; here it is sent while every part that must make progress has said so lately. Each
part marks its own progress where the work is done, also when there is nothing to do: a pipeline
marks every turn of its loop, the store every commit or idle wait. So a hung part, and not only a
hung process, leads to a restart.

Source: sd_notify(3), systemd.service(5). The protocol is a datagram of `KEY=value` lines.
"""

import asyncio
import os
import socket
import time
from collections.abc import Mapping
from typing import Final

import structlog

from gateway.core.ports import Clock

NANOSECONDS_PER_S: Final = 1_000_000_000

log = structlog.get_logger()


class Notifier:
    """Talks to the service manager; without one, and for a manager that is gone, it is silent."""

    def __init__(self, address: str | None) -> None:
        """Keep the address of `NOTIFY_SOCKET`: a path, or `@name` in the abstract namespace."""
        self._address = address

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Notifier":
        """Return the notifier for the manager that started this process."""
        return cls(environment.get("NOTIFY_SOCKET") or None)

    def ready(self) -> bool:
        """Say that the start is done; `systemctl start` returns."""
        return self._send("READY=1")

    def status(self, text: str) -> bool:
        """Show one line in `systemctl status`."""
        return self._send(f"STATUS={' '.join(text.split())}")

    def alive(self) -> bool:
        """Feed the watchdog."""
        return self._send("WATCHDOG=1")

    def reloading(self) -> bool:
        """Say that a new configuration is being put in force; `ready` says that it is done."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        return self._send(f"RELOADING=1\nMONOTONIC_USEC={microseconds}")

    def stopping(self) -> bool:
        """Say that the stop has begun."""
        return self._send("STOPPING=1")

    def _send(self, message: str) -> bool:
        """Send one datagram and return whether the manager has it; never waits for it."""
        if self._address is None:
            return False
        address = self._address
        if address.startswith("@"):
            address = "\0" + address[1:]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            try:
                sender.sendto(message.encode(), address)
            except OSError:
                # A lost message is what the watchdog is for: the manager sees that it stays away.
                return False
        return True


class Watchdog:
    """Knows which parts make progress. Pure: the time is handed in, on the monotonic clock."""

    def __init__(self, age_s_max: Mapping[str, float], *, now_ns: int) -> None:
        """Expect a mark of every named part at least this often, counted from now."""
        self._age_ns_max = {
            name: int(age_s * NANOSECONDS_PER_S) for name, age_s in age_s_max.items()
        }
        self._marked_ns = dict.fromkeys(age_s_max, now_ns)

    def mark(self, name: str, *, now_ns: int) -> None:
        """Note that a part has made progress.

        Raises:
            KeyError: no such part was announced.
        """
        if name not in self._marked_ns:
            raise KeyError(name)
        self._marked_ns[name] = now_ns

    def stale(self, *, now_ns: int) -> tuple[str, ...]:
        """Return the parts whose last mark is too old, in the order announced."""
        return tuple(
            name
            for name, marked_ns in self._marked_ns.items()
            if now_ns - marked_ns > self._age_ns_max[name]
        )


def watchdog_period_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """Return how often to feed systemd's watchdog: half its time; None when it is off or not ours.

    Source: sd_watchdog_enabled(3).
    """
    microseconds = environment.get("WATCHDOG_USEC", "")
    process = environment.get("WATCHDOG_PID", str(os.getpid()))
    if not microseconds.isdecimal() or int(microseconds) == 0 or process != str(os.getpid()):
        return None
    return int(microseconds) / 1e6 / 2


async def feed_watchdog(
    notifier: Notifier, watchdog: Watchdog, *, clock: Clock, period_s: float
) -> None:
    """Feed systemd's watchdog while every part makes progress, until cancelled."""
    stuck: tuple[str, ...] = ()
    while True:
        stale = watchdog.stale(now_ns=clock.monotonic_ns())
        if not stale:
            notifier.alive()
        if stale and stale != stuck:
            log.error("progress_stopped", parts=stale)
            notifier.status(f"no progress in {', '.join(stale)}: systemd will restart the service")
        elif stuck and not stale:
            log.info("progress_resumed", parts=stuck)
            notifier.status("all parts make progress again")
        stuck = stale
        await asyncio.sleep(period_s)
