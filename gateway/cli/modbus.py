"""`edgewright modbus`: look into a Modbus device, without a configuration."""

import asyncio
import json
import math
import re
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import click
from pydantic import ValidationError

from connectors.modbus.exceptions import exception_text
from connectors.modbus.line_settings import LineSettings
from connectors.modbus.order_guess import OrderGuess, guess_order
from connectors.modbus.plan import BITS_MAX, REGISTERS_MAX, Span
from connectors.modbus.point_text import ADDRESS_MAX, parse_point
from connectors.modbus.probe import AreaFound, Probe, find_addresses, is_there, probing
from connectors.modbus.registers import Area, BlockDecoder, ByteOrder, Point, decode_text
from gateway.cli.local import json_option
from gateway.core.errors import DeviceError
from gateway.wire.clock import SystemClock

GUESS_PAUSE_S = 0.5
"""Between the two readings that a guess compares."""
UNIT_MAX = 255

_RANGE = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?")
_REMEDIES = {
    1: "The device does not have this kind of address: try input: in place of holding:.",
    2: "The device does not have this address, or not so many: maps often count from 1.",
    3: "The device does not take so many at once: use a smaller --count.",
    6: "The device is busy: try again.",
}

unit_option = click.option(
    "--unit", type=click.IntRange(0, UNIT_MAX), default=1, show_default=True, help="Unit number."
)
timeout_option = click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, 60, min_open=True),
    default=2.0,
    show_default=True,
    help="Seconds to wait for the connection, and for each answer.",
)


def line_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say what kind of line the device is on."""
    for option in (
        click.option(
            "--framing",
            type=click.Choice(["tcp", "rtu"]),
            help="rtu: a converter that passes the bytes of a serial line through.",
        ),
        click.option("--baud", "baud_bd", type=int, help="Speed of a serial port; else 19200."),
        click.option("--parity", type=click.Choice(["none", "even", "odd"]), help="Else even."),
        click.option("--stop-bits", type=click.IntRange(1, 2), help="Else 1."),
    ):
        command = option(command)
    return command


@click.group("modbus")
def command() -> None:
    """Look into a Modbus device, without a configuration.

    Reads only. A device that takes a single connection may refuse while the gateway has it.
    """


@command.command("read")
@click.argument("device")
@click.argument("address")
@unit_option
@click.option("--type", "type_text", default="uint16", show_default=True, help="As in a tag list.")
@click.option(
    "--order",
    type=click.Choice(list(ByteOrder), case_sensitive=False),
    help="Of the bytes; without it, all four are shown and the plausible one is marked.",
)
@click.option(
    "--count",
    type=click.IntRange(1, BITS_MAX),
    default=1,
    show_default=True,
    help="Values, one behind the other.",
)
@click.option("--low", type=float, help="Least value that makes sense, for the guess.")
@click.option("--high", type=float, help="Greatest value that makes sense, for the guess.")
@click.option("--watch", is_flag=True, help="Read again and again, until Ctrl-C.")
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(0.05, 3600),
    default=1.0,
    show_default=True,
    help="Seconds between two readings of --watch.",
)
@timeout_option
@line_options
@json_option
def read(
    device: str,
    address: str,
    unit: int,
    type_text: str,
    order: str | None,
    count: int,
    low: float | None,
    high: float | None,
    every_s: float,
    timeout_s: float,
    *,
    watch: bool,
    as_json: bool,
    **line: str | int | None,
) -> None:
    """Read values at ADDRESS of DEVICE: host, host:port, or the path of a serial port.

    ADDRESS is zero-based (68), or as register maps write it (40069), or with the area in words
    (input:10), as in a tag list.
    """
    settings = _line_settings(device, line)
    try:
        first = parse_point(address, type_text, ByteOrder(order or ByteOrder.ABCD))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    points = [replace(first, address=first.address + index * first.size) for index in range(count)]
    span = Span(area=first.area, first=first.address, end=points[-1].end)
    longest = BITS_MAX if first.area.is_bits else REGISTERS_MAX
    if span.end - span.first > longest or span.end > ADDRESS_MAX + 1:
        raise click.UsageError(f"{span} is more than one request can read: use a smaller --count")
    is_guess = order is None and first.size > 1 and not first.is_text

    async def run() -> None:
        async with probing(
            settings, unit=unit, timeout_s=timeout_s, pause_s=0.0, clock=SystemClock()
        ) as probe:
            before = await _payload(probe, device, span) if is_guess else b""
            pause_s = GUESS_PAUSE_S if is_guess else 0.0
            while True:
                await asyncio.sleep(pause_s)
                payload = await _payload(probe, device, span)
                if is_guess:
                    guess = guess_order(points, [before, payload], low=low, high=high)
                    _print_guess(span, payload, guess, as_json=as_json)
                else:
                    _print_values(points, span, payload, as_json=as_json)
                if not watch:
                    return
                before, pause_s = payload, every_s

    _run(run())


@command.command("scan")
@click.argument("device")
@click.option(
    "--units", default="1-16", show_default=True, help="Unit numbers to try, such as 1-16,247,255."
)
@click.option(
    "--last",
    type=click.IntRange(0, ADDRESS_MAX),
    default=999,
    show_default=True,
    help="Last address to look for.",
)
@click.option(
    "--requests",
    "requests_max",
    type=click.IntRange(1, 10_000),
    default=400,
    show_default=True,
    help="Most requests to a unit, for each kind of address.",
)
@click.option(
    "--pause",
    "pause_s",
    type=click.FloatRange(0, 10),
    default=0.05,
    show_default=True,
    help="Seconds of rest after each answer, so that the device's own work goes on.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0, 60, min_open=True),
    default=0.5,
    show_default=True,
    help="Seconds to wait for a unit; nobody answers for one that is not there.",
)
@line_options
@json_option
def scan(
    device: str,
    units: str,
    last: int,
    requests_max: int,
    pause_s: float,
    timeout_s: float,
    *,
    as_json: bool,
    **line: str | int | None,
) -> None:
    """Find which units of DEVICE answer, and which addresses they have.

    It reads only, one request at a time. Addresses are found by samples: small islands may be
    missed. Ends with 1 when no unit answers.
    """
    settings = _line_settings(device, line)
    numbers = _unit_numbers(units)
    found: dict[int, tuple[AreaFound, ...]] = {}

    async def run() -> None:
        reason = ""
        for unit in numbers:
            try:
                async with probing(
                    settings, unit=unit, timeout_s=timeout_s, pause_s=pause_s, clock=SystemClock()
                ) as probe:
                    if not await is_there(probe):
                        continue
                    found[unit] = ()
                    found[unit] = await find_addresses(
                        probe, areas=list(Area), last=last, requests_max=requests_max
                    )
            except DeviceError as error:
                # Silence is how most devices say that they are not this unit.
                reason = str(error)
            if unit in found and not as_json:
                _print_unit(unit, found[unit], reason)
        if as_json:
            click.echo(json.dumps({"units": [_unit_document(*each) for each in found.items()]}))
        if not found:
            raise DeviceError(f"No unit of {units} answers. {reason}")

    _run(run())


def _run(work: Coroutine[object, object, None]) -> None:
    """Run it; Ctrl-C is how a watch ends."""
    try:
        asyncio.run(work)
    except KeyboardInterrupt:
        raise click.exceptions.Exit(0) from None


def _line_settings(device: str, given: dict[str, str | int | None]) -> LineSettings:
    """Return the line of a device, and check what was given of it."""
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        return LineSettings.model_validate({"address": device} | chosen)
    except ValidationError as error:
        raise click.UsageError("; ".join(each["msg"] for each in error.errors())) from error


def _unit_numbers(text: str) -> list[int]:
    """Return the numbers that a text such as `1-16,247` names, each once, in its order."""
    numbers: dict[int, None] = {}
    for part in text.replace(" ", "").split(","):
        match = _RANGE.fullmatch(part)
        first = int(match[1]) if match else -1
        last = int(match[2] or first) if match else -1
        if not 0 <= first <= last <= UNIT_MAX:
            raise click.BadParameter(
                f"{part!r} is not such as 3 or 1-16, up to {UNIT_MAX}", param_hint="--units"
            )
        numbers |= dict.fromkeys(range(first, last + 1))
    return list(numbers)


async def _payload(probe: Probe, device: str, span: Span) -> bytes:
    """Return the bytes of some addresses.

    Raises:
        DeviceError: refused, or no answer.
    """
    answer = await probe.read(span)
    if answer.exception_code:
        remedy = _REMEDIES.get(answer.exception_code, "Look at the device's own display.")
        raise DeviceError(
            f"{device} refuses to read {span}. {remedy}\n{exception_text(answer.exception_code)}"
        )
    return answer.payload


def _print_values(points: Sequence[Point], span: Span, payload: bytes, *, as_json: bool) -> None:
    values = [_value(point, payload, start=span.first) for point in points]
    if as_json:
        click.echo(json.dumps(_head(span, payload) | {"values": values}))
        return
    click.echo(f"{_time_text()}   {_raw_text(span, payload)}")
    for point, value in zip(points, values, strict=True):
        text = repr(value) if isinstance(value, str) else _number_text(value)
        click.echo(f"   {point!s:16}   {point.type_text:9}   {text}")


def _print_guess(span: Span, payload: bytes, guess: OrderGuess, *, as_json: bool) -> None:
    if as_json:
        orders = {
            reading.order.value: {
                "values": [_finite(value) for value in reading.values],
                "is_plausible": reading.is_plausible,
            }
            for reading in guess.readings
        }
        click.echo(json.dumps(_head(span, payload) | {"orders": orders, "best": guess.best}))
        return
    click.echo(f"{_time_text()}   {_raw_text(span, payload)}")
    for reading in guess.readings:
        mark = "   <- plausible" if reading.order is guess.best else ""
        numbers = "   ".join(f"{_number_text(_finite(value)):>14}" for value in reading.values)
        click.echo(f"   {reading.order}   {numbers}{mark}")
    if guess.best is None:
        click.echo("   nothing tells the orders apart: read while the value is not 0, or give")
        click.echo("   its range with --low and --high")


def _print_unit(unit: int, areas: Sequence[AreaFound], reason: str) -> None:
    click.echo(f"unit {unit} answers")
    if not areas:
        click.echo(f"   and stopped while its addresses were looked for. {reason}")
    for found in areas:
        if found.exception_code:
            text = f"refused as a whole ({exception_text(found.exception_code)})"
        else:
            text = ", ".join(_span_text(span) for span in found.spans) or "none found"
        unfinished = "" if found.is_complete else " (not at the end: raise --requests)"
        click.echo(f"   {found.area.word:9}   {text}{unfinished}")


def _unit_document(unit: int, areas: Sequence[AreaFound]) -> dict[str, object]:
    return {
        "unit": unit,
        "areas": {
            found.area.word: {
                "addresses": [[span.first, span.end - 1] for span in found.spans],
                "exception": found.exception_code,
                "is_complete": found.is_complete,
            }
            for found in areas
        },
    }


def _value(point: Point, payload: bytes, *, start: int) -> float | str | None:
    """Return a value; None when it is no number."""
    if point.is_text:
        return decode_text(point, payload, start=start)
    [value] = BlockDecoder([point], start=start).decode(payload)
    return _finite(float(value))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number_text(value: float | None) -> str:
    return "no number" if value is None else f"{value:.9g}"


def _span_text(span: Span) -> str:
    last = span.end - 1
    return f"{span.first}" if last == span.first else f"{span.first} to {last}"


def _head(span: Span, payload: bytes) -> dict[str, object]:
    return {"time": _time_text(), "address": str(span), "raw": payload.hex()}


def _raw_text(span: Span, payload: bytes) -> str:
    """Return the bytes as they came, by registers where there are some."""
    return f"{span}: {payload.hex(' ') if span.area.is_bits else payload.hex(' ', 2)}"


def _time_text() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
