"""One write to a database over its HTTP API, with the client library; for a thread of its own.

Only the library's plain synchronous call is used. Its batching writer would be a second buffer
that loses what it holds in a crash, and its retries would double ours.
"""

import gzip
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from gateway.core.errors import UplinkError

if TYPE_CHECKING:
    import urllib3
    from influxdb_client.client.influxdb_client import InfluxDBClient

COMPRESSION_LEVEL: Final = 6
"""Of gzip: a seventh smaller than level 1, for a third of a microsecond a line more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where points go."""

    url: str
    org: str
    bucket: str
    precision: str
    """Unit of the times: `ns`, `us` or `ms`."""
    tls: ssl.SSLContext
    connect_timeout_s: float
    timeout_s: float
    """For the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the database, or something in between, said."""

    status: int
    retry_after: str
    content: bytes


class WriteSession:
    """Connections to one place under one token."""

    def __init__(self, place: Place, token: SecretStr | None) -> None:
        """Connect to nothing; the library is imported with the first write."""
        self._place = place
        self._token = token
        self._client: InfluxDBClient | None = None

    def write(self, body: bytes) -> Answer:
        """Post compressed lines and wait for the answer; not for the event loop's thread.

        Raises:
            UplinkError: there was none; nothing is known to have been taken.
        """
        # Heavy: a fifth of a second, and 600 modules.
        import urllib3
        from influxdb_client.rest import ApiException
        from influxdb_client.service.write_service import WriteService

        try:
            client = self._opened().api_client
            service = WriteService(client)  # type: ignore[no-untyped-call]  # the library's
            # The raw answer, since the library would decode its text and can fail in that.
            response = service.post_write(  # type: ignore[no-untyped-call]  # the library's
                self._place.org,
                self._place.bucket,
                body,
                precision=self._place.precision,
                content_encoding="gzip",
                content_type="text/plain; charset=utf-8",
                _preload_content=False,
            )
            return _answer(response)
        except ApiException as error:
            if error.status == 0:  # the library's word for a failure of TLS
                raise self._unreachable(_cause(error)) from error
            return Answer(
                status=int(error.status or 0),
                retry_after=str(error.retry_after or ""),
                content=error.body or b"",
            )
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(error) from error

    def close(self) -> None:
        """Close idle connections."""
        if self._client is not None:
            self._client.close()  # type: ignore[no-untyped-call]  # the library's
            self._client = None

    def _opened(self) -> "InfluxDBClient":
        if self._client is None:
            from influxdb_client.client.influxdb_client import InfluxDBClient

            timeouts_ms = (self._place.connect_timeout_s * 1000, self._place.timeout_s * 1000)
            self._client = InfluxDBClient(
                self._place.url,
                token=self._token.get_secret_value() if self._token else "",
                timeout=timeouts_ms,
                ssl_context=self._place.tls,
                retries=False,
            )
        return self._client

    def _unreachable(self, error: BaseException) -> UplinkError:
        """Return what a failure of the connection means."""
        from urllib3 import exceptions

        url = self._place.url
        if isinstance(error, ssl.SSLCertVerificationError):
            text = f"the certificate of {url} is not trusted: check ca_file and the clock"
        elif isinstance(error, ssl.SSLError | exceptions.SSLError):
            text = f"no secure connection to {url}: check that it speaks TLS"
        elif isinstance(error, exceptions.NameResolutionError):
            text = f"the name in {url} is unknown: check the spelling and the name server"
        elif isinstance(error, exceptions.NewConnectionError | exceptions.ConnectTimeoutError):
            text = f"no connection to {url}: check the network and whether the database runs"
        elif isinstance(error, exceptions.TimeoutError):
            text = f"{url} does not answer within {self._place.timeout_s:g} s"
        else:
            text = f"the connection to {url} broke before the points were confirmed"
        return UplinkError(text, detail=f"{type(error).__name__}: {error}")


def compressed(lines: Sequence[str]) -> bytes:
    """Return lines as the body of a write."""
    # A lone half of a surrogate pair, from a device's text, is no UTF-8: it becomes a `?`.
    return gzip.compress("\n".join(lines).encode(errors="replace"), COMPRESSION_LEVEL)


def _answer(response: "urllib3.HTTPResponse") -> Answer:
    """Return a success; its content is of no interest, but ends the use of the connection."""
    try:
        response.drain_conn()
    finally:
        response.release_conn()
    return Answer(status=response.status, retry_after="", content=b"")


def _cause(error: BaseException) -> BaseException:
    """Return what OpenSSL said, where an error of the library's stands for it."""
    seen = error
    while seen.__context__ is not None and not isinstance(seen, ssl.SSLError):
        seen = seen.__context__
    if isinstance(seen, ssl.SSLError):
        return seen
    return next((each for each in seen.args if isinstance(each, ssl.SSLError)), seen)
