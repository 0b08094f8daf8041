"""The HTTP server of the cloud: address, TLS, start and stop."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field, model_validator

from gateway.core.errors import ConfigError
from gateway.core.settings import Settings


class ServerSettings(Settings):
    """Where gateways and operators reach the cloud."""

    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` is every IPv4 address of the machine."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8443
    """Port to listen on; 0 takes a free one and tells it in the first log line."""
    tls_certificate_file: Path | None = None
    """Certificate chain (PEM), the server's own first; without it, plain HTTP."""
    tls_key_file: Path | None = None
    """Private key of the certificate (PEM), readable by the service alone."""
    plain_http: Literal["loopback", "anywhere"] = "loopback"
    """Where plain HTTP is allowed; `anywhere` is for a proxy in front that speaks TLS."""
    stop_timeout_s: Annotated[float, Field(gt=0, le=300)] = 10.0
    """Time that running requests have to finish when the service stops."""

    @model_validator(mode="after")
    def _is_safe(self) -> "ServerSettings":
        if (self.tls_certificate_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_certificate_file and tls_key_file belong together")
        if self.tls_key_file or self.plain_http == "anywhere" or _is_loopback(self.host):
            return self
        raise ValueError(
            "tokens would travel in the clear: give tls_certificate_file and tls_key_file, "
            'or set plain_http = "anywhere" when a proxy in front speaks TLS'
        )

    def resolved(self, folder: Path) -> "ServerSettings":
        """Return the settings with relative paths meant from a folder."""
        certificate, key = (
            None if path is None else folder / path
            for path in (self.tls_certificate_file, self.tls_key_file)
        )
        return self.model_copy(
            update={"tls_certificate_file": certificate, "tls_key_file": key}
        )  # fmt: skip


def tls_context(settings: ServerSettings) -> ssl.SSLContext | None:
    """Return what the server encrypts with; None is plain HTTP.

    Raises:
        ConfigError: the certificate or its key cannot be used.
    """
    if settings.tls_certificate_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_certificate_file, settings.tls_key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"server.tls_certificate_file: {settings.tls_certificate_file} with "
            f"{settings.tls_key_file}: {error}"
        ) from error
    return context


@asynccontextmanager
async def serving(
    application: web.Application, *, settings: ServerSettings, context: ssl.SSLContext | None
) -> AsyncIterator[int]:
    """Serve an application and yield the port.

    Raises:
        ConfigError: the address is taken, or not of this machine.
    """
    runner = web.AppRunner(
        application, access_log=None, shutdown_timeout=settings.stop_timeout_s
    )  # fmt: skip
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port, ssl_context=context)
        try:
            await site.start()
        except OSError as error:
            raise ConfigError(
                f"server: cannot listen on {settings.host}:{settings.port}: {error.strerror}"
            ) from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
