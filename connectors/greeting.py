"""Says once in a session, before its first frame, that the device answers."""

from gateway.core.ports import Sink


class Greeting:
    """Shared by all that may be the first to hand something over."""

    def __init__(self, sink: Sink) -> None:
        """Begin unsaid."""
        self._sink = sink
        self._is_said = False

    def say(self) -> None:
        """Say it, if it was not said."""
        if not self._is_said:
            self._is_said = True
            self._sink.connected()
