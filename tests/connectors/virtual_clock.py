"""Time that a test moves."""

S = 1_000_000_000


class VirtualClock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.time_ns = S

    def now_ns(self) -> int:
        return self.time_ns

    def monotonic_ns(self) -> int:
        return self.time_ns

    @property
    def is_trusted(self) -> bool:
        return True
