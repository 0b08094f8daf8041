"""How the local API fails, on both ends of the socket."""

from gateway.core.errors import GatewayError


class NotFoundError(GatewayError):
    """The request names something that this gateway does not have."""


class RefusedError(GatewayError):
    """The gateway answered, and refused.

    Attributes:
        error: What is wrong.
        remedy: What to do about it.
    """

    def __init__(self, error: str, remedy: str) -> None:
        """Keep both sentences."""
        super().__init__(f"{error}; {remedy}")
        self.error = error
        self.remedy = remedy


class GoneError(GatewayError):
    """Nobody answers on the socket, or not in time."""


class AbsentError(GoneError):
    """Nobody listens on the socket: no gateway runs there."""
