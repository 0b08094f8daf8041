"""The client of the local API, for the console and the commands."""

import asyncio
import errno
import os
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import aiohttp
from pydantic import ValidationError

from gateway.api.alarm_answers import AlarmList, AlarmMetricsAnswer
from gateway.api.answers import (
    Answer,
    AppliedAnswer,
    AssetDetail,
    AssetList,
    CommandAnswer,
    EventAnswer,
    EventList,
    LedgerList,
    ModelList,
    Refusal,
    StatusAnswer,
    StreamLine,
    TagList,
    TrendAnswer,
)
from gateway.api.case_answers import CaseAnswer, CaseList
from gateway.api.device_answers import DeviceList, DeviceTags
from gateway.api.errors import AbsentError, GoneError, RefusedError
from gateway.api.requests import CommandRequest, TagsRequest
from gateway.api.stream import HEARTBEAT_S
from gateway.api.uplink_answers import DeadLetterList, ResentAnswer, UplinkList
from gateway.core.cases import Verdict

TIMEOUT_S = 5.0
"""Longest time for one answer; the gateway answers from memory."""
ACTION_TIMEOUT_S = 30.0
"""Longest time for an action: it may write to a machine, or load a model."""
LINE_BYTES_MAX = 16 * 1024 * 1024
"""Longest line of the stream: tens of thousands of tags at once."""

AnswerT = TypeVar("AnswerT", bound=Answer)


class GatewayClient:
    """Asks the gateway that listens on a Unix socket; to be used as a context.

    Every method raises `GoneError` when nobody answers, and `RefusedError` when the gateway
    refuses.
    """

    def __init__(self, socket: Path, *, timeout_s: float = TIMEOUT_S) -> None:
        """Remember where; nothing is opened before the context is entered."""
        self.socket = socket
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Get ready; the first request connects."""
        self._session = aiohttp.ClientSession(
            base_url="http://gateway",
            connector=aiohttp.UnixConnector(path=str(self.socket)),
            read_bufsize=LINE_BYTES_MAX,
        )
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def status(self) -> StatusAnswer:
        """Return the state of the gateway at one glance."""
        return await self._get("/v1/status", StatusAnswer)

    async def assets(self) -> AssetList:
        """Return every asset."""
        return await self._get("/v1/assets", AssetList)

    async def asset(self, asset: str) -> AssetDetail:
        """Return one asset with its signals."""
        return await self._get(f"/v1/assets/{_quoted(asset)}", AssetDetail)

    async def tags(self, request: TagsRequest) -> TagList:
        """Return a page of tags."""
        query = request.model_dump(exclude_defaults=True)
        return await self._get("/v1/tags", TagList, query)

    async def trend(self, tag: str) -> TrendAnswer:
        """Return the last samples of a tag."""
        return await self._get(f"/v1/tags/{_quoted(tag)}/trend", TrendAnswer)

    async def alarms(self) -> AlarmList:
        """Return every alarm that is not normal."""
        return await self._get("/v1/alarms", AlarmList)

    async def alarm_metrics(self) -> AlarmMetricsAnswer:
        """Return how the alarms did in the last days."""
        return await self._get("/v1/alarms/metrics", AlarmMetricsAnswer)

    async def acknowledge(self, alarm: str) -> EventAnswer:
        """Note that a person has seen an alarm."""
        return await self._act_on(alarm, "acknowledge")

    async def reset(self, alarm: str) -> EventAnswer:
        """Let a latched alarm go whose condition is gone."""
        return await self._act_on(alarm, "reset")

    async def shelve(self, alarm: str, *, for_s: float, reason: str = "") -> EventAnswer:
        """Silence an alarm for a time."""
        return await self._act_on(alarm, "shelve", {"for_s": for_s, "reason": reason})

    async def unshelve(self, alarm: str) -> EventAnswer:
        """Let a shelved alarm speak again before its time."""
        return await self._act_on(alarm, "unshelve")

    async def take_out(self, alarm: str, *, reason: str) -> EventAnswer:
        """Take an alarm out of service, until a person puts it back."""
        return await self._act_on(alarm, "out-of-service", {"reason": reason})

    async def put_back(self, alarm: str) -> EventAnswer:
        """Put an alarm into service again."""
        return await self._act_on(alarm, "return-to-service")

    async def cases(self) -> CaseList:
        """Return the cases, open ones first."""
        return await self._get("/v1/cases", CaseList)

    async def decide(self, case: str, verdict: Verdict, *, note: str = "") -> CaseAnswer:
        """Say what was behind a case."""
        path = f"/v1/cases/{_quoted(case)}/verdict"
        return await self._post(path, CaseAnswer, {"verdict": verdict, "note": note})

    async def devices(self) -> DeviceList:
        """Return every device."""
        return await self._get("/v1/devices", DeviceList)

    async def device_tags(self, device: str, *, limit: int) -> DeviceTags:
        """Return the newest values of one device, trouble first."""
        path = f"/v1/devices/{_quoted(device)}/tags"
        return await self._get(path, DeviceTags, {"limit": limit})

    async def trust(self, device: str, sha256: str) -> EventAnswer:
        """Trust the certificate that a device has shown."""
        path = f"/v1/devices/{_quoted(device)}/trust"
        return await self._post(path, EventAnswer, {"sha256": sha256})

    async def uplinks(self) -> UplinkList:
        """Return every uplink."""
        return await self._get("/v1/uplinks", UplinkList)

    async def dead_letters(self, uplink: str) -> DeadLetterList:
        """Return what an uplink will never take."""
        return await self._get(f"/v1/uplinks/{_quoted(uplink)}/dead-letters", DeadLetterList)

    async def send_dead_letters_again(self, uplink: str) -> ResentAnswer:
        """Try the oldest of them once more."""
        path = f"/v1/uplinks/{_quoted(uplink)}/dead-letters/retry"
        return await self._post(path, ResentAnswer, {})

    async def ledger(self, *, limit: int) -> LedgerList:
        """Return the latest losses and gaps."""
        return await self._get("/v1/ledger", LedgerList, {"limit": limit})

    async def models(self) -> ModelList:
        """Return every version of every model."""
        return await self._get("/v1/models", ModelList)

    async def promote(self, model: str, version: str) -> ModelList:
        """Put the version in shadow in force."""
        path = f"/v1/models/{_quoted(model)}/promote"
        return await self._post(path, ModelList, {"version": version})

    async def roll_back(self, model: str, version: str) -> ModelList:
        """Take the version in force out again."""
        path = f"/v1/models/{_quoted(model)}/rollback"
        return await self._post(path, ModelList, {"version": version})

    async def submit(self, request: CommandRequest) -> CommandAnswer:
        """Write one value to one tag."""
        return await self._post("/v1/commands", CommandAnswer, request.model_dump())

    async def apply(self, file: Path | None) -> AppliedAnswer:
        """Put a configuration on trial; None is the file that the gateway was started with.

        Args:
            file: Its whole path.
        """
        body = {"file": str(file) if file else ""}
        return await self._post("/v1/configuration/apply", AppliedAnswer, body)

    async def events(self, *, limit: int) -> EventList:
        """Return the latest events."""
        return await self._get("/v1/events", EventList, {"limit": limit})

    async def stream(self, *, prefix: str = "") -> AsyncGenerator[StreamLine, None]:
        """Yield what becomes new, until the gateway goes away (`GoneError`)."""
        # The gateway sends a line every `HEARTBEAT_S`; after twice that it is not there.
        timeout = aiohttp.ClientTimeout(total=None, sock_read=2 * HEARTBEAT_S)
        try:
            async with self._open().get(
                "/v1/stream", params={"prefix": prefix}, timeout=timeout
            ) as response:
                if response.status != 200:
                    raise _refused(response.status, await response.text())
                async for line in response.content:
                    yield StreamLine.model_validate_json(line)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._gone(error) from error
        raise GoneError("the gateway has ended the stream: it is stopping")

    async def _act_on(
        self, alarm: str, action: str, body: Mapping[str, object] | None = None
    ) -> EventAnswer:
        return await self._post(f"/v1/alarms/{_quoted(alarm)}/{action}", EventAnswer, body or {})

    async def _get(
        self, path: str, answer: type[AnswerT], query: Mapping[str, str | int] | None = None
    ) -> AnswerT:
        return await self._ask("GET", path, answer, query=query, timeout_s=self._timeout_s)

    async def _post(self, path: str, answer: type[AnswerT], body: Mapping[str, object]) -> AnswerT:
        return await self._ask("POST", path, answer, body=body, timeout_s=ACTION_TIMEOUT_S)

    async def _ask(
        self,
        method: str,
        path: str,
        answer: type[AnswerT],
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, object] | None = None,
        timeout_s: float,
    ) -> AnswerT:
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._open().request(method, path, params=query, json=body) as response,
            ):
                status, text = response.status, await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._gone(error) from error
        if status != 200:
            raise _refused(status, text)
        return answer.model_validate_json(text)

    def _open(self) -> aiohttp.ClientSession:
        assert self._session is not None, "use the client as a context"
        return self._session

    def _gone(self, error: Exception) -> GoneError:
        if isinstance(error, TimeoutError):
            return GoneError(f"the gateway on {self.socket} does not answer in time")
        code = error.errno if isinstance(error, OSError) else None
        if code == errno.ENOENT:
            return AbsentError(f"there is no gateway: {self.socket} does not exist")
        if code == errno.ECONNREFUSED:
            return AbsentError(f"there is no gateway: nobody listens on {self.socket}")
        if code == errno.EACCES:
            return GoneError(f"{self.socket}: access denied; join the group that owns it")
        reason = os.strerror(code) if code else str(error) or type(error).__name__
        return GoneError(f"the gateway on {self.socket} went away: {reason}")


def _refused(status: int, text: str) -> RefusedError:
    try:
        refusal = Refusal.model_validate_json(text)
    except ValidationError:
        return RefusedError(f"the gateway failed with HTTP {status}", "see the service's logging")
    return RefusedError(refusal.error, refusal.remedy)


def _quoted(name: str) -> str:
    return quote(name, safe="")
