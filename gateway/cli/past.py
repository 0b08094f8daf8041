"""What commands share that read the past: times on the command line, and the log."""

import time
from collections.abc import Callable
from pathlib import Path

import click

from gateway.config import Config
from gateway.core.records import Seq
from gateway.service.export import parse_time
from gateway.store import LogReader
from gateway.store.bodies import Bodies
from gateway.store.encryption import bodies_of


class Time(click.ParamType[int]):
    """A time in nanoseconds UTC; see `parse_time`."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the time; a mistake is one of the command's usage."""
        try:
            return (
                value if isinstance(value, int) else parse_time(str(value), now_ns=time.time_ns())
            )
        except ValueError as error:
            self.fail(str(error), param, ctx)


def log_of(config: Config, *, on_corrupt: Callable[[Seq], None]) -> LogReader:
    """Return the reader of a gateway's log, whether it runs or not.

    Raises:
        ClickException: there is no log.
        ConfigError: its key cannot be read.
    """
    path = config.gateway.state_folder / "log.db"
    return log_at(path, bodies_of(config.log.encryption), on_corrupt=on_corrupt)


def log_at(path: Path, bodies: Bodies, *, on_corrupt: Callable[[Seq], None]) -> LogReader:
    """Return the reader of a log; raises as `log_of`."""
    if not path.is_file():
        raise click.ClickException(f"{path}: there is no log")
    return LogReader(path, bodies=bodies, on_corrupt=on_corrupt)
