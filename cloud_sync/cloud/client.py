"""What the operator's command asks a running cloud, over HTTP."""

import asyncio
import json
import ssl
from io import BytesIO
from pathlib import Path
from typing import Final, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from cloud_sync.cloud.api import BUNDLE_MEDIA_TYPE
from cloud_sync.cloud.messages import (
    ModelRelease,
    Problem,
    RetrainRun,
    Status,
)
from cloud_sync.cloud.openapi import JSON
from cloud_sync.edge.addresses import checked_url
from gateway.core.errors import ConfigError, UplinkError

MessageT = TypeVar("MessageT", bound=BaseModel)

_TIMEOUT_S: Final = 60.0
_RETRAIN_TIMEOUT_S: Final = 86_400.0


class CloudClient:
    """Asks with the operator's token; each question is a connection of its own."""

    def __init__(self, url: str, *, token: str, ca_file: Path | None = None) -> None:
        """Keep where to ask.

        Raises:
            ConfigError: the address is none, or the certificates cannot be read.
        """
        try:
            self._url = checked_url(url)
        except ValueError as error:
            raise ConfigError(f"--url: {url!r} {error}") from error
        self._token = token
        try:
            self._context = ssl.create_default_context(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"{ca_file}: the certificates cannot be read: {error}") from error

    async def status(self) -> Status:
        """Return how the cloud is.

        Raises:
            UplinkError: it does not answer, or refuses.
        """
        return await self._ask("GET", "/v1/status", Status)

    async def release(self, bundle: bytes) -> ModelRelease:
        """Release a bundle.

        Raises:
            UplinkError: the cloud does not answer, or refuses; says why.
        """
        return await self._ask(
            "POST", "/v1/releases", ModelRelease, body=bundle, media_type=BUNDLE_MEDIA_TYPE
        )

    async def retrain(self, model: str) -> RetrainRun:
        """Have a model retrained and wait for what comes of it.

        Raises:
            UplinkError: the cloud does not answer, or refuses; says why.
        """
        body = json.dumps({"model": model}).encode()
        return await self._ask(
            "POST", "/v1/retrain", RetrainRun, body=body, timeout_s=_RETRAIN_TIMEOUT_S
        )

    async def _ask(
        self,
        method: str,
        path: str,
        answer: type[MessageT],
        *,
        body: bytes | None = None,
        media_type: str = JSON,
        timeout_s: float = _TIMEOUT_S,
    ) -> MessageT:
        headers = {"Authorization": f"Bearer {self._token}"}
        if body is not None:
            headers["Content-Type"] = media_type
        try:
            async with (
                asyncio.timeout(timeout_s),
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session,
                session.request(
                    method,
                    self._url + path,
                    data=None if body is None else BytesIO(body),
                    headers=headers,
                    ssl=self._context,
                    allow_redirects=False,
                ) as response,
            ):
                content = await response.read()
                status = response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UplinkError(
                f"no answer from {self._url}: check the address and whether the cloud runs",
                detail=f"{type(error).__name__}: {error}",
            ) from error
        try:
            if status == 200:
                return answer.model_validate_json(content)
            problem = Problem.model_validate_json(content)
        except ValidationError as error:
            raise UplinkError(
                f"{self._url} answers in an unknown way: is this the cloud?",
                detail=f"HTTP {status} {content[:200]!r}",
            ) from error
        raise UplinkError(f"{problem.error}: {problem.remedy}", detail=f"HTTP {status}")
