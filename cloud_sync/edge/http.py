"""Batches over HTTP: one POST a batch, confirmed by the answer after the cloud's commit.

A batch counts as taken only by a 200 whose content is consistent with what was sent. Everything
else leaves the cursor where it is. A lost answer leads to the same batch once more; the cloud
knows its records by `(gateway, boot, seq)`.

Only an answer that the cloud itself made can say that a batch will never be taken: 400 and 413
with its JSON. The same codes from a proxy in between are an outage.
"""

from pathlib import Path
from typing import Annotated, Literal, NoReturn

import aiohttp
from pydantic import Field, SecretStr, field_validator, model_validator

from cloud_sync.edge.addresses import checked_url
from cloud_sync.edge.answers import (
    ANSWER_SIZE_BYTES_MAX,
    complaint_of,
    confirmed,
    encode_aside,
    refusal,
)
from cloud_sync.edge.delivery import DeliverySettings
from cloud_sync.edge.https import read_token, retry_after_s, tls_context
from gateway.core.errors import ConfigError, UplinkError
from gateway.core.ports import Batch, SendResult
from gateway.core.settings import Settings
from gateway.wire.batches import MEDIA_TYPE


class HttpUplinkConfig(Settings):
    """Delivery to the sync API of the cloud."""

    type: Literal["http"] = "http"
    """Selects this uplink."""
    url: str
    """Address of the cloud, such as `https://sync.example.com`."""
    token_file: Path | None = None
    """File with the token of this gateway."""
    token_credential: str | None = None
    """Name of the systemd credential with the token; instead of `token_file`."""
    ca_file: Path | None = None
    """Certificates (PEM) that may vouch for the cloud; without it, the system's."""
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    """For one batch, from the first byte to the end of the answer."""
    connect_timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    """For the connection."""
    delivery: DeliverySettings = DeliverySettings()
    """How records are put together and outages are waited out."""

    @field_validator("url")
    @classmethod
    def _is_safe(cls, url: str) -> str:
        return checked_url(url)

    @model_validator(mode="after")
    def _has_one_token(self) -> "HttpUplinkConfig":
        if self.token_file is not None and self.token_credential is not None:
            raise ValueError("give token_file or token_credential, not both")
        return self


class HttpUplink:
    """Implements `Uplink` with the sync API."""

    def __init__(self, name: str, config: HttpUplinkConfig) -> None:
        """Check everything that can be checked without connecting.

        Raises:
            ConfigError: the token or the certificates cannot be read.
        """
        self.name = name
        self._config = config
        self._url = f"{config.url}/v1/batches"
        self._context = tls_context(config.ca_file, place=f"uplinks.{name}.ca_file")
        self._session: aiohttp.ClientSession | None = None
        self._token = self._read_token()

    @property
    def address(self) -> str:
        """Where it delivers to, for a person."""
        return self._config.url

    async def send(self, batch: Batch) -> SendResult:
        """Deliver one batch and wait for the cloud's commit.

        Raises:
            UplinkError: refused or no answer; nothing is known to have been taken.
            RefusedBatchError: the cloud will never take it as it is.
        """
        data = await encode_aside(batch)
        try:
            status, retry_after, answer = await self._post(data)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error
        if status != 200:
            self._refuse(status, retry_after, answer)
        return confirmed(answer, batch, size_bytes=len(data), detail="HTTP 200")

    async def aclose(self) -> None:
        """Close connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(self, data: bytes) -> tuple[int, str, bytes]:
        """Return status, `Retry-After` and content of the answer."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(
                    total=self._config.timeout_s, sock_connect=self._config.connect_timeout_s
                )
            )
        headers = {"Content-Type": MEDIA_TYPE}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        async with self._session.post(
            # A redirect would carry the token to wherever it points.
            self._url,
            data=data,
            headers=headers,
            ssl=self._context,
            allow_redirects=False,
        ) as response:
            answer = bytearray()
            async for chunk in response.content.iter_any():
                answer += chunk
                if len(answer) > ANSWER_SIZE_BYTES_MAX:
                    raise UplinkError(
                        f"{self._config.url} sends an endless answer: is this the cloud?",
                        detail=f"over {ANSWER_SIZE_BYTES_MAX} bytes, status {response.status}",
                    )
            return response.status, response.headers.get("Retry-After", ""), bytes(answer)

    def _read_token(self) -> SecretStr | None:
        return read_token(file=self._config.token_file, credential=self._config.token_credential)

    def _renew_token(self) -> None:
        """Read the token again: a person may have renewed it while the gateway runs."""
        try:
            self._token = self._read_token()
        except ConfigError as error:
            raise UplinkError("the token for the cloud is gone", detail=str(error)) from error

    def _unreachable(self, error: Exception) -> UplinkError:
        """Return what a failure of the connection means."""
        url = self._config.url
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            text = f"the certificate of {url} is not trusted: check ca_file and the clock"
        elif isinstance(error, aiohttp.ClientSSLError):
            text = f"no secure connection to {url}: check that it speaks TLS"
        elif isinstance(error, aiohttp.ClientConnectorDNSError):
            text = f"the name in {url} is unknown: check the spelling and the name server"
        elif isinstance(error, aiohttp.ClientConnectorError):
            text = f"no connection to {url}: check the network and whether the cloud runs"
        elif isinstance(error, TimeoutError):
            text = f"{url} does not answer within {self._config.timeout_s:g} s"
        else:
            text = f"the connection to {url} broke before the batch was confirmed"
        return UplinkError(text, detail=f"{type(error).__name__}: {error}")

    def _refuse(self, status: int, retry_after: str, answer: bytes) -> NoReturn:
        """Raise what an answer other than 200 means."""
        complaint = complaint_of(answer)
        if status in (401, 403):
            self._renew_token()
        raise refusal(
            self._config.url,
            status,
            complaint=complaint,
            detail=f"HTTP {status} {complaint or answer[:200]!r}",
            retry_after_s=retry_after_s(retry_after),
        )
