"""The local API: HTTP on a Unix socket, for the console, the commands and programs on the box."""

from gateway.api.client import GatewayClient
from gateway.api.errors import GoneError, RefusedError
from gateway.api.server import ApiConfig, ApiServer
from gateway.api.view import GatewayView

__all__ = [
    "ApiConfig",
    "ApiServer",
    "GatewayClient",
    "GatewayView",
    "GoneError",
    "RefusedError",
]
