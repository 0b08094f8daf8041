"""One JSON message into a reading: value, time and quality at their paths. Pure.

A path is a JSON Pointer (RFC 6901): `/values/0/flow`; `~1` stands for `/` and `~0` for `~` in a
name. The empty path is the whole message, so that a bare `12.5` is read too.

What cannot be used is a `Flaw`, with the status that the tag deserves and a reason for people:
nothing is guessed. A time that cannot be used costs only the time: the value stands, and the time
of its arrival takes its place.
"""

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NoReturn, TypeAlias

from gateway.core.quality import Status

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"

TIME_NS_MAX = 2**63 - 1
SHOWN_CHARACTERS_MAX = 60
"""Longest piece of a foreign value in a reason."""

_ARRAY_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TimeFormat(StrEnum):
    """How a message writes its time."""

    ISO8601 = "iso8601"
    """Text; without a zone it is UTC."""
    S = "s"
    """Since 1970, UTC; also with a fraction."""
    MS = "ms"
    US = "us"
    NS = "ns"


class TextNumbers(StrEnum):
    """What is done with a number that is written as text, such as `"12.5"`."""

    REFUSE = "refuse"
    ACCEPT = "accept"


class QualityNumbers(StrEnum):
    """What a quality that is a number means."""

    OPC_UA = "opc_ua"
    """A status code (OPC 10000-4, 7.39): 0 is Good."""
    OPC_DA = "opc_da"
    """A quality of OPC Classic: 192 and more is Good, 64 and more Uncertain."""


_NS_PER_UNIT = {
    TimeFormat.S: 1_000_000_000,
    TimeFormat.MS: 1_000_000,
    TimeFormat.US: 1000,
    TimeFormat.NS: 1,
}

Pointer: TypeAlias = tuple[str, ...]
"""A parsed path: the names from the outside in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a tag's reading is in a message, and how it is written."""

    value: Pointer
    time: Pointer | None
    """None: the message carries no time."""
    time_format: TimeFormat
    quality: Pointer | None
    """None: the message carries no quality."""
    text_numbers: TextNumbers
    quality_numbers: QualityNumbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a message says of a tag."""

    value: float
    """As the device writes it; NaN only where the status is Bad."""
    status: int
    """OPC UA status code."""
    time_ns: int | None
    """Its own time, UTC; None when it has none."""
    time_flaw: str = ""
    """Why the time in the message is not used; empty when it is, or there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """Why a message says nothing of a tag."""

    status: int
    reason: str


def parse_pointer(text: str) -> Pointer:
    """Return a path as names.

    Raises:
        ValueError: it is no JSON Pointer (RFC 6901, 3).
    """
    if not text:
        return ()
    if not text.startswith("/") or re.search(r"~(?![01])", text):
        raise ValueError(f"path {text!r} is no JSON Pointer, such as /values/0/flow")
    return tuple(name.replace("~1", "/").replace("~0", "~") for name in text[1:].split("/"))


def parse_payload(payload: bytes) -> "JsonValue | Flaw":
    """Return the document in a message; a flaw when it is no JSON (RFC 8259)."""
    try:
        document: JsonValue = json.loads(payload.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        shown = payload[:SHOWN_CHARACTERS_MAX]
        return Flaw(
            status=Status.BAD_DECODING_ERROR, reason=f"the message {shown!r} is no JSON: {error}"
        )
    return document


def read_places(document: "JsonValue", places: Places) -> Reading | Flaw:
    """Return what a document says of a tag."""
    time_ns, time_flaw = None, ""
    if places.time is not None:
        try:
            time_ns = read_time(resolve(document, places.time), places.time_format)
        except (LookupError, ValueError) as error:
            time_flaw = str(error.args[0])
    status = int(Status.GOOD)
    if places.quality is not None:
        try:
            status = read_quality(resolve(document, places.quality), places.quality_numbers)
        except (LookupError, ValueError) as error:
            return Flaw(status=Status.BAD_DECODING_ERROR, reason=str(error.args[0]))
    try:
        found = resolve(document, places.value)
    except LookupError as error:
        return Flaw(status=Status.BAD_NODE_ID_UNKNOWN, reason=str(error.args[0]))
    try:
        value = read_number(found, places.text_numbers)
    except OverflowError as error:
        return Flaw(status=Status.BAD_OUT_OF_RANGE, reason=str(error))
    except ValueError as error:
        if status < Status.BAD:
            return Flaw(status=Status.BAD_TYPE_MISMATCH, reason=str(error))
        # The device itself says that there is no value: that is a reading, not a mistake.
        value = math.nan
    return Reading(value=value, status=status, time_ns=time_ns, time_flaw=time_flaw)


def resolve(document: "JsonValue", pointer: Pointer) -> "JsonValue":
    """Return what stands at a path (RFC 6901, 4).

    Raises:
        LookupError: nothing does.
    """
    found = document
    for depth, name in enumerate(pointer):
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and _ARRAY_INDEX.fullmatch(name) and int(name) < len(found):
            found = found[int(name)]
        else:
            raise LookupError(f"the message has no {pointer_text(pointer[: depth + 1])}")
    return found


def pointer_text(pointer: Pointer) -> str:
    """Return a path as it is written."""
    return "".join(f"/{name.replace('~', '~0').replace('/', '~1')}" for name in pointer)


def read_number(found: "JsonValue", text_numbers: TextNumbers) -> float:
    """Return a value as a number; true is 1, false is 0.

    An integer beyond 2**53 is rounded to the next number that a float64 can hold.

    Raises:
        ValueError: it is none.
        OverflowError: it is beyond the numbers that a float64 can hold.
    """
    number = found
    if isinstance(found, str) and text_numbers is TextNumbers.ACCEPT:
        try:
            number = float(found)
        except ValueError:
            raise ValueError(f"{_shown(found)} is no number") from None
    if not isinstance(number, bool | int | float):
        raise ValueError(f"{_shown(found)} is no number")
    try:
        value = float(number)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise OverflowError(f"{_shown(found)} is beyond every number")
    return value


def read_time(found: "JsonValue", time_format: TimeFormat) -> int:
    """Return a time as nanoseconds since 1970, UTC.

    Raises:
        ValueError: it is not written as it should be, or before 1970 or after 2262.
    """
    unusable = f"the time {_shown(found)} is not written as {time_format}"
    if time_format is TimeFormat.ISO8601:
        if not isinstance(found, str):
            raise ValueError(unusable)
        try:
            moment = datetime.fromisoformat(found)
        except ValueError:
            raise ValueError(unusable) from None
        since = moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH
        time_ns = (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
    elif isinstance(found, bool) or not isinstance(found, int | float):
        raise ValueError(unusable)
    else:
        # Bounded first: a product that overflows is no whole number.
        time_ns = round(found * _NS_PER_UNIT[time_format]) if 0 < found <= TIME_NS_MAX else 0
    if not 0 < time_ns <= TIME_NS_MAX:
        raise ValueError(f"the time {_shown(found)} is not between 1970 and 2262")
    return time_ns


def read_quality(found: "JsonValue", numbers: QualityNumbers) -> int:
    """Return a quality as a status code.

    True and `good` are Good, false and `bad` are Bad, `uncertain` is between them; a number means
    what the configuration says.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(found, bool):
        return Status.GOOD if found else Status.BAD
    if isinstance(found, str):
        by_word = {"good": Status.GOOD, "uncertain": Status.UNCERTAIN, "bad": Status.BAD}
        if found.strip().lower() in by_word:
            return by_word[found.strip().lower()]
    if isinstance(found, int) and 0 <= found < 1 << 32:
        if numbers is QualityNumbers.OPC_UA:
            return found
        if found <= 0xFF:
            # OPC Data Access 3.0, 6.8: the two topmost bits of the low byte are the quality.
            return (Status.BAD, Status.UNCERTAIN, Status.UNCERTAIN, Status.GOOD)[found >> 6]
    raise ValueError(f"{_shown(found)} is no quality")


def _refuse(constant: str) -> NoReturn:
    # RFC 8259, 6: NaN and Infinity are no JSON, though Python's reader takes them.
    raise ValueError(f"{constant} is no JSON")


def _shown(found: "JsonValue") -> str:
    if isinstance(found, dict | list):
        return "an object" if isinstance(found, dict) else "a list"
    text = repr(found) if isinstance(found, str) else json.dumps(found)
    return text if len(text) <= SHOWN_CHARACTERS_MAX else f"{text[:SHOWN_CHARACTERS_MAX]}…"
