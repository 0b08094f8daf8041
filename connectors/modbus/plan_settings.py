"""Settings of how a Modbus device is read and written, beside those of its line."""

import re
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from connectors.modbus.plan import BITS_MAX, REGISTERS_MAX, ReadRules, Span
from connectors.modbus.point_text import ADDRESS_MAX, parse_area
from connectors.modbus.registers import Area, NumberType
from connectors.modbus.tags import ModbusRow
from gateway.core.errors import ConfigError
from gateway.core.settings import Settings

_RANGE = re.compile(r"(?P<area>[a-z]+)[: ]\s*(?P<first>\d{1,5})(\s*-\s*(?P<last>\d{1,5}))?")


class PlanSettings(Settings):
    """What a device takes in one request, and what becomes of what it refuses."""

    gap_registers_max: Annotated[int, Field(ge=0, le=120)] | Literal["auto"] = 8
    """Most unlisted registers in a row that one request may read along, where that saves time;
    `auto` is as many as save time."""
    block_registers_max: Annotated[int, Field(ge=4, le=REGISTERS_MAX)] = REGISTERS_MAX
    """Longest request, for devices that take less than the standard's 125."""
    block_bits_max: Annotated[int, Field(ge=8, le=BITS_MAX)] = BITS_MAX
    """Longest request for coils and discrete inputs, for devices that take less than 2000."""
    alignment: Annotated[int, Field(ge=1, le=64)] = 1
    """Requests begin at multiples of this address, for devices that insist on it."""
    forbidden: tuple[str, ...] = ()
    """Addresses that are never read, zero-based, such as `holding:100-120` or `input:7`."""
    isolation_requests_max: Annotated[int, Field(ge=8, le=200)] = 16
    """Extra requests in one scan, for finding refused addresses and for trying them again."""
    retry_first_s: Annotated[float, Field(gt=0, le=86_400)] = 5.0
    """When a refused address is tried again; doubled each time."""
    retry_cap_s: Annotated[float, Field(gt=0, le=604_800)] = 300.0
    """Longest time between two tries of a refused address."""
    bit_writes: Literal["refuse", "mask", "read_modify_write"] = "refuse"
    """How a single bit of a holding register is written: by function 22, or by reading the
    register and writing it back, which loses what the device itself changes in between."""
    write_functions: Literal["single", "multiple"] = "single"
    """Functions 5 and 6 for what is one coil or one register, or always 15 and 16."""

    @field_validator("forbidden")
    @classmethod
    def _check_forbidden(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            parse_range(text)
        return texts

    @model_validator(mode="after")
    def _check_retry(self) -> Self:
        if self.retry_first_s > self.retry_cap_s:
            raise ValueError(
                f"retry_first_s {self.retry_first_s:g} is above retry_cap_s {self.retry_cap_s:g}"
            )
        return self

    @property
    def rules(self) -> ReadRules:
        """The device's rules, before anything was learned."""
        return ReadRules(
            gap_max=None if self.gap_registers_max == "auto" else self.gap_registers_max,
            registers_max=self.block_registers_max,
            bits_max=self.block_bits_max,
            alignment=self.alignment,
            walls=tuple(parse_range(text) for text in self.forbidden),
        )


def parse_range(text: str) -> Span:
    """Return the addresses that a text such as `holding:100-120` names.

    Raises:
        ValueError: it names none.
    """
    match = _RANGE.fullmatch(text.lower().strip())
    if match is None:
        raise ValueError(f"{text!r} is not such as holding:100-120 or input:7")
    first = int(match["first"])
    last = int(match["last"] or first)
    if not first <= last <= ADDRESS_MAX:
        raise ValueError(f"{text!r} does not run from a lower to a higher address up to 65535")
    return Span(area=parse_area(match["area"]), first=first, end=last + 1)


def check_rows(
    rows: Iterable[ModbusRow], settings: PlanSettings, *, file: str, connector: str
) -> None:
    """Check that the register map keeps the device's rules.

    Raises:
        ConfigError: with every line that does not.
    """
    mistakes = [
        f"{file}:{row.entry.line}: {mistake}"
        for row in rows
        for mistake in _mistakes(row, settings, connector)
    ]
    if mistakes:
        raise ConfigError(*mistakes)


def _mistakes(row: ModbusRow, settings: PlanSettings, connector: str) -> list[str]:
    point, rules = row.point, settings.rules
    start = rules.start_for(point.address)
    found = []
    for wall in rules.walls:
        if wall.area is point.area and wall.first < point.end and start < wall.end:
            aligned = "" if wall.end > point.address else f", read from {start} on,"
            found.append(
                f"address {row.address_text}{aligned} is forbidden: "
                f"connectors.{connector}.forbidden has {wall}"
            )
    if point.end - start > rules.count_max(point.area):
        found.append(
            f"{point.type_text} at {row.address_text} does not fit into one request: "
            f"connectors.{connector} allows {rules.count_max(point.area)} addresses from a "
            f"multiple of {rules.alignment} on"
        )
    if row.entry.writable and point.type is NumberType.BIT and settings.bit_writes == "refuse":
        assert point.area is Area.HOLDING_REGISTER
        found.append(
            f'"{row.entry.name}" is writable, but a bit of a register is only written with '
            f'connectors.{connector}.bit_writes = "mask" or "read_modify_write"'
        )
    return found
