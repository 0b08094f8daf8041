"""Points in an InfluxDB bucket: a batch is line protocol, in one write or several.

A batch counts as taken only when the database has answered 204 to every write. Everything else
leaves the cursor where it is, and the same batch goes again: the same points, which overwrite
themselves. So what a broken connection or a partial write leaves behind does no harm.

Only an answer in the database's own words can say that a record will never be taken: 400 and 422
with its JSON. The same codes from a proxy in between are an outage.

Points older than the bucket keeps are dropped by the database, which says so and writes the
others. The bucket is then what it would be had they come in time, so they count as taken; an
event tells how many.
"""

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Final, Literal, NoReturn, TypeVar

import structlog
from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator, model_validator

from cloud_sync.edge.addresses import checked_url
from cloud_sync.edge.delivery import DeliverySettings
from cloud_sync.edge.https import read_token, retry_after_s, tls_context
from cloud_sync.edge.influxdb_lines import FIELD_NAMES, TAG_NAMES, BatchLines, SampleLines, Schema
from cloud_sync.edge.influxdb_session import Answer, Place, WriteSession, compressed
from gateway.core.errors import (
    BatchTooLargeError,
    ConfigError,
    CorruptRecordError,
    RefusedBatchError,
    UplinkError,
)
from gateway.core.events import Event, Transition
from gateway.core.ports import Batch, Clock, SendResult
from gateway.core.settings import Settings

EXPIRED_SEVERITY: Final = 300
EXPIRED_QUIET_NS: Final = 60 * 1_000_000_000
"""So long no point was too old until we say that it is over; some tags may have old times only."""
GRACE_S: Final = 5.0
"""Beyond the timeouts of the connection, before a write is given up that still trickles."""
WRITES_UNDER_WAY_MAX: Final = 4
"""Threads that may wait for a database which neither answers nor hangs up."""
THREADS_MAX: Final = WRITES_UNDER_WAY_MAX + 2
"""Threads of one uplink: two batches at once are made into lines beside the writes."""

_UNITS_NS: Final = {"ns": 1, "us": 1_000, "ms": 1_000_000}
_EXPIRED: Final = re.compile(
    r"(?:(?:failure|unexpected error) writing points to database: )?partial write: "
    r"(?:points beyond retention policy|dropped \d+ points outside retention policy of).*"
    r"\bdropped=(\d+)",
    re.DOTALL,
)
"""How InfluxDB 1.3 to 2.7 say that only the age of points was against them, and of how many."""

ArgumentT = TypeVar("ArgumentT")
ResultT = TypeVar("ResultT")

log = structlog.get_logger()


class InfluxdbUplinkConfig(Settings):
    """Delivery to InfluxDB, or to a database that takes its writes."""

    type: Literal["influxdb"] = "influxdb"
    """Selects this uplink."""
    url: str
    """Address of the database, such as `https://influx.example.com:8086`."""
    bucket: Annotated[str, Field(min_length=1)]
    """Bucket that points go to; it must be there."""
    org: str = ""
    """Organization of the bucket; InfluxDB 2 needs it."""
    token_file: Path | None = None
    """File with a token that may write to the bucket."""
    token_credential: str | None = None
    """Name of the systemd credential with the token; instead of `token_file`."""
    ca_file: Path | None = None
    """Certificates (PEM) that may vouch for the database; without it, the system's."""
    measurement: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")] = "edgewright"
    """Measurement of samples; events and the ledger get it with `_events` and `_ledger`."""
    tags: dict[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,62}$")], str] = Field(
        default_factory=dict
    )
    """Further InfluxDB tags of every point, such as `{ site = "ulm" }`."""
    precision: Literal["ns", "us", "ms"] = "ns"
    """Unit of the times; `us` and `ms` are smaller on the wire, for values that come no faster."""
    lines_max: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    """Points in one write; fewer once the database has called a write too large."""
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    """For the answer to one write; a stop waits as long for one under way."""
    connect_timeout_s: Annotated[float, Field(gt=0, le=600)] = 5.0
    """For the connection."""
    delivery: DeliverySettings = DeliverySettings()
    """How records are put together and outages are waited out."""

    @field_validator("url")
    @classmethod
    def _is_safe(cls, url: str) -> str:
        return checked_url(url)

    @field_validator("tags")
    @classmethod
    def _are_free(cls, tags: dict[str, str]) -> dict[str, str]:
        taken = sorted(tags.keys() & (TAG_NAMES | FIELD_NAMES | {"time"}))
        if taken:
            raise ValueError(f"the gateway itself writes {', '.join(taken)}: use another name")
        return tags

    @model_validator(mode="after")
    def _has_one_token(self) -> "InfluxdbUplinkConfig":
        if self.token_file is not None and self.token_credential is not None:
            raise ValueError("give token_file or token_credential, not both")
        return self


class InfluxdbUplink:
    """Implements `Uplink` with the write API of InfluxDB 2."""

    def __init__(
        self,
        name: str,
        config: InfluxdbUplinkConfig,
        *,
        note: Callable[[Event], None],
        clock: Clock,
    ) -> None:
        """Check everything that can be checked without connecting.

        Args:
            name: Of the uplink.
            config: Its settings.
            note: Takes what a person should know; it goes into the log.
            clock: For the times of such events.
        Raises:
            ConfigError: the token or the certificates cannot be read.
        """
        self.name = name
        self._config = config
        self._note = note
        self._clock = clock
        self._place = Place(
            url=config.url,
            org=config.org,
            bucket=config.bucket,
            precision=config.precision,
            tls=tls_context(config.ca_file, place=f"uplinks.{name}.ca_file"),
            connect_timeout_s=config.connect_timeout_s,
            timeout_s=config.timeout_s,
        )
        self._session = WriteSession(self._place, self._read_token())
        self._samples: SampleLines | None = None
        self._lines_max = config.lines_max
        # Threads of its own: one that hangs is none that the log is read with.
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix=f"uplink[{name}]")
        self._under_way: set[asyncio.Future[Answer]] = set()
        self._expired_count = 0
        self._expired_ns = 0

    @property
    def address(self) -> str:
        """Where it delivers to, for a person."""
        return f"{self._config.url} {self._config.bucket}"

    async def send(self, batch: Batch) -> SendResult:
        """Deliver one batch and wait until the database has taken all its points.

        Raises:
            UplinkError: refused or no answer; some of the points may have been written.
            RefusedBatchError: the database will never take one of the records.
        """
        if self._samples is None:
            self._samples = SampleLines(self._schema(batch.gateway))
        lines = BatchLines(batch, self._samples)
        expired = size_bytes = 0
        while part := await self._take(lines):
            written = await self._write(part)
            size_bytes += written[0]
            expired += written[1]
        self._count_expired(expired)
        return SendResult(
            accepted=len(batch.records),
            sample_count=lines.sample_count,
            duplicate_count=0,
            size_bytes=size_bytes,
        )

    async def aclose(self) -> None:
        """Close connections; a write under way ends in its thread, and nobody hears of it."""
        for running in tuple(self._under_way):
            running.cancel()
        self._threads.shutdown(wait=False)
        self._session.close()

    def _schema(self, gateway: str) -> Schema:
        return Schema(
            gateway=gateway,
            measurement=self._config.measurement,
            tags=self._config.tags,
            unit_ns=_UNITS_NS[self._config.precision],
        )

    async def _take(self, lines: BatchLines) -> list[str]:
        """Return the next lines for one write; in a thread, since making them takes its time."""
        try:
            return await self._in_thread(lines.take, self._lines_max)
        except CorruptRecordError as error:
            raise RefusedBatchError(
                "a record cannot be read: it is damaged, or of a newer release", detail=str(error)
            ) from error

    async def _write(self, lines: list[str]) -> tuple[int, int]:
        """Write lines, in halves where they are too many; returns bytes sent and points expired.

        Raises:
            UplinkError: as `send`.
        """
        body = await self._in_thread(compressed, lines)
        answer = await self._post(body)
        if answer.status == 204:
            return len(body), 0
        if answer.status == 413 and len(lines) > 1:
            half = len(lines) // 2
            self._lines_max = min(self._lines_max, half)
            first, second = await self._write(lines[:half]), await self._write(lines[half:])
            return len(body) + first[0] + second[0], first[1] + second[1]
        expired = _dropped_for_age(answer)
        if not 0 < expired <= len(lines):
            self._refuse(answer)
        return len(body), expired

    async def _post(self, body: bytes) -> Answer:
        """Return the answer to one write.

        Raises:
            UplinkError: there is none.
        """
        if len(self._under_way) >= WRITES_UNDER_WAY_MAX:
            raise UplinkError(
                f"{self._config.url} neither answers nor hangs up: look at its logs",
                detail=f"{len(self._under_way)} writes under way",
            )
        running = self._in_thread(self._session.write, body)
        self._under_way.add(running)
        running.add_done_callback(self._landed)
        limit_s = self._config.connect_timeout_s + self._config.timeout_s + GRACE_S
        try:
            async with asyncio.timeout(limit_s):
                return await asyncio.shield(running)
        except TimeoutError as error:
            raise UplinkError(
                f"{self._config.url} does not come to an end with its answer",
                detail=f"not after {limit_s:g} s",
            ) from error

    def _landed(self, running: asyncio.Future[Answer]) -> None:
        self._under_way.discard(running)
        if not running.cancelled():
            running.exception()  # taken note of: nobody may wait any more

    def _in_thread(
        self, work: Callable[[ArgumentT], ResultT], argument: ArgumentT
    ) -> asyncio.Future[ResultT]:
        return asyncio.get_running_loop().run_in_executor(self._threads, work, argument)

    def _count_expired(self, count: int) -> None:
        """Say when points begin to be too old for the bucket, and when that is over for a while."""
        now_ns = self._clock.monotonic_ns()
        if count > 0:
            is_new = self._expired_count == 0
            self._expired_count += count
            self._expired_ns = now_ns
            if is_new:
                self._tell_expired(
                    Transition.RAISED,
                    f"{self._config.bucket} keeps nothing so old: the database drops points that"
                    " are older than the bucket's retention, and writes the newer ones",
                )
        elif self._expired_count > 0 and now_ns - self._expired_ns >= EXPIRED_QUIET_NS:
            count, self._expired_count = self._expired_count, 0
            self._tell_expired(
                Transition.RETURNED,
                f"{self._config.bucket} takes all points again; {count} were too old for it",
            )

    def _tell_expired(self, transition: Transition, text: str) -> None:
        log.info("points_expired", uplink=self.name, transition=transition.value, text=text)
        self._note(
            Event(
                time_ns=self._clock.now_ns(),
                source=self.name,
                condition="points_expired",
                severity=EXPIRED_SEVERITY,
                transition=transition,
                text=text,
            )
        )

    def _read_token(self) -> SecretStr | None:
        return read_token(file=self._config.token_file, credential=self._config.token_credential)

    def _renew_token(self) -> None:
        """Read the token again: a person may have renewed it while the gateway runs."""
        try:
            token = self._read_token()
        except ConfigError as error:
            raise UplinkError("the token for the database is gone", detail=str(error)) from error
        self._session.close()
        self._session = WriteSession(self._place, token)

    def _refuse(self, answer: Answer) -> NoReturn:
        """Raise what an answer other than 204 means."""
        complaint = _complaint(answer.content)
        url, status = self._config.url, answer.status
        detail = f"HTTP {status} {complaint or answer.content[:200]!r}"
        if complaint and status in (400, 422):
            raise RefusedBatchError(f"{url} refuses a point: {complaint}", detail=detail)
        if status == 413:
            raise BatchTooLargeError(f"{url} takes not even one point of this size", detail=detail)
        if status in (401, 403):
            self._renew_token()
            text = f"{url} refuses the token: check it, and that it may write to the bucket"
        elif status == 404 and complaint:
            text = (
                f"{url} has no bucket {self._config.bucket!r} in the organization"
                f" {self._config.org!r}: create it, or check the names"
            )
        elif status == 404:
            text = f"{url} has no InfluxDB API: check the address"
        elif status in (429, 503):
            text = f"{url} cannot take points now"
        elif status >= 500:
            text = f"{url} fails: look at its logs"
        else:
            text = f"{url} answers in an unknown way: is this InfluxDB?"
        raise UplinkError(text, detail=detail, retry_after_s=retry_after_s(answer.retry_after))


class _Complaint(BaseModel):
    """How InfluxDB 2 (`code` and `message`), and 1 and 3 (`error`), say what is wrong."""

    code: str = ""
    message: str = ""
    error: str = ""


def _complaint(content: bytes) -> str:
    """Return the database's own words; empty when something else answered."""
    try:
        read = _Complaint.model_validate_json(content)
    except ValidationError:
        return ""
    return " ".join((read.message if read.code else read.error).split())


def _dropped_for_age(answer: Answer) -> int:
    """Return how many points were dropped for nothing but their age; 0 for any other trouble."""
    if answer.status not in (400, 422, 500):  # InfluxDB 1 says 400, 2.0 said 500
        return 0
    found = _EXPIRED.match(_complaint(answer.content))
    if found is None or "write window" in found.group():
        return 0
    return int(found.group(1))
